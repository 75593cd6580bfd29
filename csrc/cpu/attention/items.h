// What forward and backward share: a sentence's heads one after the other, its rows, and products with packed panels.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

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

// Has each sentence run by `widened`, or by what make() makes where its products take halves as they are. Which one
// follows from the sentence alone. run_all calls what it is given for all of a thread's sentences and heads.
template <class T, class Widened, class RunAll, class Make>
void run_each(const rnn_engine_attention_problem& p, const Machine& machine, const Team& team, Widened& widened,
              const RunAll& run_all, const Make& make) {
  if constexpr (kRounds<T>)
    if (multiplies_halves(p, machine)) {
      auto halves = make();
      return run_all([&](const Sentence& sentence, std::int64_t head) {
        if (fills_tiles(sentence.steps, sentence.length))
          halves.run(team, sentence, head);
        else
          widened.run(team, sentence, head);
      });
    }
  run_all([&](const Sentence& sentence, std::int64_t head) { widened.run(team, sentence, head); });
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

// Gathers `count` rows as products take them, `stride` values apart.
template <class T, class O>
void gather(const Kernels<T>& kernels, const HeadRows<const T>& rows, std::int64_t count, O* gathered,
            std::int64_t stride) {
  if constexpr (!std::is_same_v<T, O>) {
    kernels.widen({count, 1, rows.columns, 0, rows.first, rows.stride, gathered, stride});
  } else {
    constexpr std::int64_t kAhead = 4, kFirst = 64;  // where a row begins, so that the processor goes on by itself
    for (std::int64_t row = 0; row < count; ++row) {
      if (row + kAhead < count) prefetch_values(rows.at(row + kAhead), std::min(kFirst, rows.columns));
      std::memcpy(gathered + row * stride, rows.at(row), sizeof(T) * static_cast<std::size_t>(rows.columns));
    }
  }
}

// Rows that products are made of, `stride` values apart.
template <class O>
struct OperandRows {
  const O* first = nullptr;
  std::ptrdiff_t stride = 0;
};

// Rows that are read once: as they lie, or widened.
template <class T, class O>
OperandRows<O> operand_rows(const Kernels<T>& kernels, const HeadRows<const T>& rows, std::int64_t count, O* widened,
                            std::int64_t stride) {
  if constexpr (!std::is_same_v<T, O>) {
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
template <class O>
void pack_transposed_rows(const Kernels<O>& kernels, OperandRows<O> rows, std::int64_t count, std::int64_t columns,
                          O* packed) {
  const std::int64_t width = kernels.width;
  for_each_panel(count, width, [&](std::int64_t first, std::int64_t taken) {
    const std::int64_t padded = round_up(taken, width);
    for (std::int64_t j = 0; j < taken; j += width)
      kernels.pack_transposed({rows.first + (first + j) * rows.stride, rows.stride, std::min(width, taken - j), columns,
                               packed + first * packed_depth<O>(columns) + j * kInterleave<O>, padded});
  });
}

// Rows that a product begins with or ends in: sums, or values to be stored.
template <class O>
struct EndRows {
  Value<O>* sums = nullptr;
  O* stored = nullptr;
  std::ptrdiff_t stride = 0;

  explicit operator bool() const { return sums || stored; }
};

// Results end in rows beside each other, and are handed over whole: a product goes over its rows a panel at a time, and
// would open each of the caller's, which lie far apart, many times.
template <class O>
EndRows<O> end_rows(O* rows, std::ptrdiff_t stride) {
  if constexpr (kRounds<O>)
    return {nullptr, rows, stride};
  else
    return {rows, nullptr, stride};
}

template <class T, class O>
void hand_over(const Kernels<T>& kernels, const O* results, std::ptrdiff_t stride, std::int64_t count,
               const HeadRows<T>& rows) {
  if constexpr (!std::is_same_v<T, O>)
    kernels.narrow({count, 1, rows.columns, 0, results, stride, rows.first, rows.stride});
  else
    for (std::int64_t row = 0; row < count; ++row)
      std::memcpy(rows.at(row), results + row * stride, sizeof(T) * static_cast<std::size_t>(rows.columns));
}

// A matrix of sums [rows, columns], rows `row` values apart, as products take it: itself, or rounded, and filled up to
// whole groups.
template <class O>
const O* as_operands(const Kernels<O>& kernels, const Value<O>* sums, std::int64_t rows, std::int64_t columns,
                     std::int64_t row, O* rounded) {
  if constexpr (kRounds<O>) {
    kernels.narrow({rows, 1, columns, 0, sums, row, rounded, row});
    for (std::int64_t i = 0; i < rows; ++i)
      std::fill(rounded + i * row + columns, rounded + i * row + filled_depth<O>(columns), O{});
    return rounded;
  } else {
    return sums;
  }
}

// The left side of a product, element (m, k): as GemmTile has it.
template <class O>
struct LeftSide {
  const O* first;
  std::ptrdiff_t row, col, block;
};

template <class O>
LeftSide<O> left_rows(const O* rows, std::ptrdiff_t stride) {
  return {rows, stride, 1, 0};
}

// The transpose of rows [k, m]; of halves it is packed, for pairs of k must lie side by side, and filled up.
template <class O>
LeftSide<O> left_transposed(const Kernels<O>& kernels, const O* rows, std::ptrdiff_t stride, std::int64_t k,
                            std::int64_t m, O* packed) {
  if constexpr (kRounds<O>) {
    const std::int64_t depth = filled_depth<O>(k);
    pack_rows(kernels, depth, m, [&](std::int64_t i) { return i < k ? rows + i * stride : nullptr; }, packed);
    GemmTile<O> tile{};
    set_packed_rows(kernels, depth, tile);
    return {packed, tile.a_row, tile.a_col, tile.a_block};
  } else {
    return {rows, 1, stride, 0};
  }
}

// Gathered rows are multiplied as they lie while they are few: of more, a panel's pages outgrow what the processor
// knows of them, and the panel is packed first. Pairs are always packed.
inline constexpr std::int64_t kRowsInPlace = 64;

// end[rows, n] = begin + left[rows, k] * right[k, n]. Of gathered halves, k is filled up on both sides.
template <class O>
struct RowsProduct {
  std::int64_t rows, n, k;
  LeftSide<O> left;
  const O* right;
  std::ptrdiff_t right_row;  // between gathered rows; 0: packed
  EndRows<O> end;
  O* panel = nullptr;     // [k, panel], for gathered rows
  EndRows<O> begin = {};  // sums, or nothing
};

template <class O>
void multiply_rows(const Kernels<O>& kernels, const RowsProduct<O>& p) {
  for_each_panel(p.n, kernels.width, [&](std::int64_t first, std::int64_t columns) {
    GemmTile<O> tile{};
    tile.a = p.left.first;
    tile.a_row = p.left.row;
    tile.a_col = p.left.col;
    tile.a_block = p.left.block;
    tile.panel = p.right + first * (p.right_row ? 1 : packed_depth<O>(p.k));
    tile.panel_row = p.right_row;
    tile.rows = p.rows;
    tile.k = p.k;
    tile.columns = columns;
    tile.vectors = static_cast<int>((tile.columns + kernels.width - 1) / kernels.width);
    if (p.right_row && (kRounds<O> || p.k > kRowsInPlace)) {
      tile.k = filled_depth<O>(p.k);
      pack_panel(
          kernels, tile.k, first, tile.columns,
          [&](std::int64_t row) { return row < p.k ? p.right + row * p.right_row : nullptr; }, p.panel);
      tile.panel = p.panel;
      tile.panel_row = 0;
    }
    if (p.begin) tile.init = p.begin.sums + first;
    tile.init_row = p.begin.stride;
    if (p.end.sums)
      tile.c = p.end.sums + first;
    else
      tile.stored_c = p.end.stored + first;
    tile.c_row = p.end.stride;
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
