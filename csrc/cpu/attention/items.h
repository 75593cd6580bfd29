// What forward and backward share: a sentence's heads one after the other, its rows, and products with packed panels.
#pragma once

#include <algorithm>
#include <atomic>

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
void for_each_sentence(const Team& team, const rnn_engine_attention_problem& p,
                       const rnn_engine_attention_inputs& inputs, const std::int64_t* order, std::int64_t heads,
                       std::atomic<std::int64_t>& next, const Work& work) {
  const std::int64_t parts = p.heads / heads;
  for (;;) {
    const std::int64_t item = next.fetch_add(1, std::memory_order_relaxed);
    if (item >= p.batch * parts) return;
    const Sentence sentence = sentence_at(p, inputs, order[item / parts]);
    if (team.stopped(2 * sentence.steps * sentence.length * (p.key_size + p.value_size) / parts)) return;
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
  explicit operator bool() const { return first != nullptr; }
  void clear(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t row = begin; first && row < end; ++row) std::fill_n(at(row), columns, T{});
  }
};

// The right-hand side [columns, count] of products with the transpose of `count` rows, in panels.
template <class T>
void pack_transposed_rows(const Kernels<T>& kernels, const HeadRows<const T>& rows, std::int64_t count, T* packed) {
  const std::int64_t width = kernels.width, panel_columns = kPanelVectors * width, k = rows.columns;
  for (std::int64_t first = 0; first < count; first += panel_columns) {
    const std::int64_t columns = std::min(panel_columns, count - first), padded = round_up(columns, width);
    for (std::int64_t j = 0; j < columns; j += width)
      kernels.pack_transposed({rows.at(first + j), rows.stride, std::min(width, columns - j), k,
                               packed + first * packed_depth<T>(k) + j * kInterleave<T>, padded});
  }
}

// The right-hand side [count, columns] of products with `count` rows, in panels.
template <class T>
void pack_panels(const Kernels<T>& kernels, const HeadRows<const T>& rows, std::int64_t count, T* packed) {
  const std::int64_t panel_columns = kPanelVectors * kernels.width;
  for (std::int64_t first = 0; first < rows.columns; first += panel_columns)
    pack_panel(
        kernels, count, first, std::min(panel_columns, rows.columns - first),
        [&](std::int64_t row) { return rows.at(row); }, packed + first * packed_depth<T>(count));
}

// c[rows, n] = a[rows, k] * packed[k, n], or added to what is there.
template <class T, class End>
struct PanelProduct {
  std::int64_t rows, n, k;
  const T* a;
  std::ptrdiff_t a_row, a_col;
  const T* packed;
  End* c;
  std::ptrdiff_t c_row;
  bool add = false;
  // Where rows of a lie in blocks of kRowBlock: values between these; else 0.
  std::ptrdiff_t a_block = 0;
};

template <class T, class End>
void multiply_panels(const Kernels<T>& kernels, const PanelProduct<T, End>& p) {
  const std::int64_t panel_columns = kPanelVectors * kernels.width, height = p.a_block ? kRowBlock : p.rows;
  for (std::int64_t first = 0; first < p.n; first += panel_columns) {
    GemmTile<T> tile{};
    tile.a_row = p.a_row;
    tile.a_col = p.a_col;
    tile.panel = p.packed + first * packed_depth<T>(p.k);
    tile.k = p.k;
    tile.columns = std::min(panel_columns, p.n - first);
    tile.vectors = static_cast<int>((tile.columns + kernels.width - 1) / kernels.width);
    tile.init_row = tile.c_row = p.c_row;
    tile.vector_stride = kernels.width;
    for (std::int64_t row = 0; row < p.rows; row += height) {
      tile.a = p.a + row / height * p.a_block;
      tile.rows = std::min(height, p.rows - row);
      End* c = p.c + row * p.c_row + first;
      if (p.add) set_init(tile, static_cast<const End*>(c));
      set_end(tile, c);
      kernels.gemm(tile);
    }
  }
}

// The mask of a head's weights at a target step.
inline Mask attention_mask(const rnn_engine_attention_problem& p, const rnn_engine_masks& masks, std::int64_t b,
                           std::int64_t head, std::int64_t step) {
  const MaskSite site = make_mask_site(MaskKind::kAttention, head, 0, p.dropout);
  return {key_of(masks), site.site, static_cast<std::uint32_t>(step), row_id(masks, b), site.threshold, 0};
}

}  // namespace rnn_engine
