// What forward and backward share: a sentence's heads one after the other, its rows, and products with packed panels.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>

#include "cpu/attention/attention.h"
#include "cpu/gemm/gemm.h"
#include "plan/mask_sites.h"

namespace rnn_engine {

struct Sentence {
  std::int64_t b, steps, length;  // length: of the source
};

inline Sentence sentence_at(const rnn_engine_attention_problem& p, const rnn_engine_attention_inputs& inputs,
                            std::int64_t b) {
  return {b, inputs.target_lengths ? inputs.target_lengths[b] : p.steps,
          inputs.source_lengths ? inputs.source_lengths[b] : p.source_steps};
}

// Sentences, those first that take longest: whoever takes the last one keeps the others waiting least.
inline void sort_sentences(const rnn_engine_attention_problem& p, const rnn_engine_attention_inputs& inputs,
                           std::int64_t* order) {
  const auto cost = [&](std::int64_t b) {
    const Sentence s = sentence_at(p, inputs, b);
    return s.steps * s.length;
  };
  for (std::int64_t b = 0; b < p.batch; ++b) order[b] = b;
  std::sort(order, order + p.batch,
            [&](std::int64_t a, std::int64_t b) { return cost(a) != cost(b) ? cost(a) > cost(b) : a < b; });
}

// Calls work(sentence, first head, last head), each of them on whatever thread is free. `heads`: as many as a call
// gets.
template <class Work>
void for_each_sentence(const rnn_engine_attention_problem& p, const rnn_engine_attention_inputs& inputs,
                       const std::int64_t* order, std::int64_t heads, std::atomic<std::int64_t>& next,
                       const Work& work) {
  const std::int64_t parts = p.heads / heads;
  for (;;) {
    const std::int64_t item = next.fetch_add(1, std::memory_order_relaxed);
    if (item >= p.batch * parts) return;
    const Sentence sentence = sentence_at(p, inputs, order[item / parts]);
    work(sentence, item % parts * heads, (item % parts + 1) * heads);
  }
}

// A sentence's rows of an array [steps, B, size], and of these the columns of a head. Of nullptr: nothing.
template <class T>
struct HeadRows {
  T* first = nullptr;
  std::ptrdiff_t stride = 0;
  std::int64_t columns = 0;

  HeadRows() = default;
  template <class Void>
  HeadRows(Void* array, const rnn_engine_attention_problem& p, std::int64_t b, std::int64_t head, std::int64_t size)
      : first(array ? static_cast<T*>(array) + b * size + head * (size / p.heads) : nullptr),
        stride(p.batch * size),
        columns(size / p.heads) {}

  T* at(std::int64_t row) const { return first + row * stride; }
  HeadRows from(std::int64_t row) const {
    HeadRows rest(*this);
    if (rest.first) rest.first += row * stride;
    return rest;
  }
  explicit operator bool() const { return first != nullptr; }
  void clear(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t row = begin; first && row < end; ++row) std::fill_n(at(row), columns, T{});
  }
};

// Gathers `count` rows, as they are computed with, `stride` values apart.
template <class T>
void gather(const Kernels<T>& kernels, const HeadRows<const T>& rows, std::int64_t count, Value<T>* gathered,
            std::int64_t stride) {
  if constexpr (kRounds<T>) {
    kernels.widen({count, 1, rows.columns, 0, rows.first, rows.stride, gathered, stride});
  } else {
    constexpr std::int64_t kAhead = 4, kFirst = 64;  // where a row begins, so that the processor goes on by itself
    for (std::int64_t row = 0; row < count; ++row) {
      if (row + kAhead < count) prefetch_values(rows.at(row + kAhead), std::min(kFirst, rows.columns));
      std::memcpy(gathered + row * stride, rows.at(row), sizeof(T) * static_cast<std::size_t>(rows.columns));
    }
  }
}

// Rows of what is computed with, `stride` values apart.
template <class S>
struct ValueRows {
  const S* first;
  std::ptrdiff_t stride;
};

// Rows that are read once: as they lie, or widened.
template <class T>
ValueRows<Value<T>> value_rows(const Kernels<T>& kernels, const HeadRows<const T>& rows, std::int64_t count,
                               Value<T>* widened, std::int64_t stride) {
  if constexpr (kRounds<T>) {
    gather(kernels, rows, count, widened, stride);
    return {widened, stride};
  } else {
    return {rows.first, rows.stride};
  }
}

// Calls work(first, columns) for each panel of `n` columns. Vectors are shared out evenly: a panel of one, that is left
// after many of four, takes nearly as long as one of two.
template <class Work>
void for_each_panel(std::int64_t n, std::int64_t width, const Work& work) {
  std::int64_t vectors = (n + width - 1) / width, panels = (vectors + kPanelVectors - 1) / kPanelVectors;
  for (std::int64_t first = 0; panels > 0; --panels) {
    const std::int64_t taken = (vectors + panels - 1) / panels, columns = std::min(taken * width, n - first);
    work(first, columns);
    first += columns;
    vectors -= taken;
  }
}

// The right-hand side [columns, count] of products with the transpose of `count` rows, in panels.
template <class S>
void pack_transposed_rows(const Kernels<S>& kernels, ValueRows<S> rows, std::int64_t count, std::int64_t columns,
                          S* packed) {
  const std::int64_t width = kernels.width;
  for_each_panel(count, width, [&](std::int64_t first, std::int64_t taken) {
    const std::int64_t padded = round_up(taken, width);
    for (std::int64_t j = 0; j < taken; j += width)
      kernels.pack_transposed({rows.first + (first + j) * rows.stride, rows.stride, std::min(width, taken - j), columns,
                               packed + first * columns + j, padded});
  });
}

// Rows [rows, columns] that a product ends in: the caller's, or where they wait to be rounded.
template <class S>
struct EndRows {
  S* first;
  std::ptrdiff_t stride;
};

template <class T>
EndRows<Value<T>> end_rows(const HeadRows<T>& rows, Value<T>* waiting) {
  if constexpr (kRounds<T>)
    return {waiting, rows.columns};
  else
    return {rows.first, rows.stride};
}

template <class T>
void round_rows(const Kernels<T>& kernels, const Value<T>* waiting, std::int64_t count, const HeadRows<T>& rows) {
  if constexpr (kRounds<T>) kernels.narrow({count, 1, rows.columns, 0, waiting, rows.columns, rows.first, rows.stride});
}

// Gathered rows are multiplied as they lie while they are few: of more, a panel's pages outgrow what the processor
// knows of them, and the panel is packed first.
inline constexpr std::int64_t kRowsInPlace = 64;

// c[rows, n] = a[rows, k] * right[k, n], or added to what is there.
template <class S>
struct RowsProduct {
  std::int64_t rows, n, k;
  const S* a;
  std::ptrdiff_t a_row, a_col;
  const S* right;
  std::ptrdiff_t right_row;  // between gathered rows; 0: packed
  EndRows<S> c;
  S* panel;  // [k, panel], for gathered rows
  bool add = false;
};

template <class S>
void multiply_rows(const Kernels<S>& kernels, const RowsProduct<S>& p) {
  for_each_panel(p.n, kernels.width, [&](std::int64_t first, std::int64_t columns) {
    GemmTile<S> tile{};
    tile.a = p.a;
    tile.a_row = p.a_row;
    tile.a_col = p.a_col;
    tile.panel = p.right + first * (p.right_row ? 1 : p.k);
    tile.panel_row = p.right_row;
    tile.rows = p.rows;
    tile.k = p.k;
    tile.columns = columns;
    tile.vectors = static_cast<int>((tile.columns + kernels.width - 1) / kernels.width);
    if (p.right_row && p.k > kRowsInPlace) {
      pack_panel(
          kernels, p.k, first, tile.columns, [&](std::int64_t row) { return p.right + row * p.right_row; }, p.panel);
      tile.panel = p.panel;
      tile.panel_row = 0;
    }
    tile.c = p.c.first + first;
    tile.init = p.add ? tile.c : nullptr;
    tile.init_row = tile.c_row = p.c.stride;
    tile.vector_stride = kernels.width;
    kernels.gemm(tile);
  });
}

// Additive: a head's part of the vector, and its scores.
template <class S>
const S* vector_of(const rnn_engine_attention_inputs& inputs, const HeadShape& shape, std::int64_t head) {
  return static_cast<const S*>(inputs.vector) + head * shape.keys;
}

template <class S>
void score_additive_rows(const Kernels<S>& kernels, const HeadShape& head, const S* vector, const S* queries,
                         std::int64_t rows, const S* keys, std::int64_t length, S* scores) {
  AdditiveRow<S> tile{};
  tile.length = length;
  tile.size = head.keys;
  tile.keys = keys;
  tile.key_row = head.key_row;
  tile.vector = vector;
  for (std::int64_t row = 0; row < rows; ++row) {
    tile.query = queries + row * head.key_row;
    tile.scores = scores + row * head.row;
    kernels.score_additive(tile);
  }
}

// The mask of a head's weights at a target step.
inline Mask attention_mask(const rnn_engine_attention_problem& p, const rnn_engine_masks& masks, std::int64_t b,
                           std::int64_t head, std::int64_t step) {
  const MaskSite site = make_mask_site(MaskKind::kAttention, head, 0, p.dropout);
  return {key_of(masks),    site.site,      static_cast<std::uint32_t>(p.first_step + step),
          row_id(masks, b), site.threshold, 0};
}

}  // namespace rnn_engine
