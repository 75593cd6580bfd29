// The kernels of cpu/kernels/kernels.h, written once for every vector type V. Only the files that are
// compiled for one instruction set each include this. Everything here is a template over V or inlined, and a
// vector type belongs to the file that includes it (it is in an unnamed namespace), so that no other file can
// pick up a copy compiled for more than the machine has.
#pragma once

#include "base/build.h"
#include "cpu/kernels/attention.h"
#include "cpu/kernels/cells.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/masks.h"
#include "cpu/kernels/rows.h"
#include "cpu/kernels/softmax.h"
#include "cpu/kernels/softmax_pairs.h"
#include "cpu/kernels/transpose.h"
#include "cpu/kernels/weights.h"
#include "cpu/kernels/widened.h"

namespace rnn_engine::cpu {

// Steps of k that the panel is prefetched ahead of its use: it comes from the second or third cache. Of 0, 8,
// 24 and 48, tried on the four shapes of `benchmarks/engine.py`, 24 was the fastest, by 1 to 10 % over none;
// 48 was within noise.
inline constexpr int kPrefetchDepth = 24, kCacheLine = 64;

// Valid values of a tile's vector j.
template <class V, class T>
RNN_ENGINE_INLINE int lanes_of(const GemmTile<T>& t, int j) {
  const std::int64_t left = t.gates ? t.columns : t.columns - j * V::kWidth;
  return left < V::kWidth ? static_cast<int>(left) : V::kWidth;
}

// Moves a tile of which some vectors are not full, row by row: what a product begins with into `values`, and
// `values` to where it ends. Values that are not there are zero.
template <class V, class T>
__attribute__((noinline)) void load_partial(const GemmTile<T>& t, std::int64_t first_row, int rows, int vectors,
                                            Value<T>* values) {
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < vectors; ++j, values += V::kWidth) {
      const std::ptrdiff_t place = (first_row + i) * t.init_row + j * t.vector_stride;
      const int lanes = lanes_of<V>(t, j);
      if (t.init)
        V::load(t.init + place, lanes).store(values);
      else
        load_units<V>(t.stored_init + place, lanes).store(values);
    }
}
template <class V, class T>
__attribute__((noinline)) void store_partial(const GemmTile<T>& t, std::int64_t first_row, int rows, int vectors,
                                             const Value<T>* values) {
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < vectors; ++j, values += V::kWidth) {
      const std::ptrdiff_t place = (first_row + i) * t.c_row + j * t.vector_stride;
      const int lanes = lanes_of<V>(t, j);
      if (t.c)
        V::load(values).store(t.c + place, lanes);
      else
        store_units(V::load(values), t.stored_c + place, lanes);
    }
}

// Calls visit(i, j) for each of kRows x kVectors accumulators, unrolled.
template <int kRows, int kVectors, class Visit>
RNN_ENGINE_INLINE void for_each_accumulator(const Visit& visit) {
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) visit(i, j);
}

// The micro-kernel: kRows x kVectors accumulators in registers. M says what is stored, and what one step along k does.
template <class M, int kRows, int kVectors>
__attribute__((noinline)) void micro_kernel(const typename M::Tile& t, std::int64_t first_row) {
  using V = typename M::Vector;
  using T = typename M::Stored;
  constexpr int kWidth = V::kWidth;
  const bool full = lanes_of<V>(t, t.gates ? 0 : kVectors - 1) == kWidth;
  const auto init_at = [&](int i, int j) { return (first_row + i) * t.init_row + j * t.vector_stride; };
  const auto c_at = [&](int i, int j) { return (first_row + i) * t.c_row + j * t.vector_stride; };
  const auto buffer_at = [](int i, int j) { return (i * kVectors + j) * kWidth; };
  V acc[kRows][kVectors];
  if (!t.init && !t.stored_init) {
    for_each_accumulator<kRows, kVectors>([&](int i, int j) { acc[i][j] = V(Value<T>(0)); });
  } else if (!full) {
    Value<T> values[kRows * kVectors * kWidth];
    load_partial<V>(t, first_row, kRows, kVectors, values);
    for_each_accumulator<kRows, kVectors>([&](int i, int j) { acc[i][j] = V::load(values + buffer_at(i, j)); });
  } else if (!kRounds<T> || t.init) {
    for_each_accumulator<kRows, kVectors>([&](int i, int j) {
      const Value<T>* p = t.init + init_at(i, j);
      __builtin_prefetch(p + kRows * t.init_row);  // for the next block of rows
      acc[i][j] = V::load(p);
    });
  } else {
    for_each_accumulator<kRows, kVectors>(
        [&](int i, int j) { acc[i][j] = load_units<V>(t.stored_init + init_at(i, j), kWidth); });
  }

  const std::int64_t block = t.a_block ? first_row / kRowBlock : 0, row = first_row - block * kRowBlock;
  M::accumulate(t, t.a + block * t.a_block + row * t.a_row, acc);

  if (!full) {
    Value<T> values[kRows * kVectors * kWidth];
    for_each_accumulator<kRows, kVectors>([&](int i, int j) { acc[i][j].store(values + buffer_at(i, j)); });
    store_partial<V>(t, first_row, kRows, kVectors, values);
  } else if (!kRounds<T> || t.c) {
    for_each_accumulator<kRows, kVectors>([&](int i, int j) { acc[i][j].store(t.c + c_at(i, j)); });
  } else {
    for_each_accumulator<kRows, kVectors>(
        [&](int i, int j) { store_units(acc[i][j], t.stored_c + c_at(i, j), kWidth); });
  }
}

// Products of a type that is its own Value.
template <class V>
struct Multiply {
  using Vector = V;
  using Stored = typename V::Scalar;
  using Tile = GemmTile<Stored>;
  static constexpr bool kHalvesPanels = true;
  static constexpr int kChainOperations = 2;

  static V chain_factor() { return V(Stored(0.5)); }
  static RNN_ENGINE_INLINE V chain(V acc, V factor) { return fma(acc, factor, V(Stored(1))); }

  // One k of it; `a_fourth` is the fourth row.
  template <int kRows, int kVectors>
  static RNN_ENGINE_INLINE void add(const Stored* a, const Stored* a_fourth, std::ptrdiff_t a_row, const Stored* panel,
                                    V (&acc)[kRows][kVectors]) {
    V b[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) b[j] = V::load(panel + j * V::kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const V value(i < 3 ? a[i * a_row] : a_fourth[(i - 3) * a_row]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(value, b[j], acc[i][j]);
    }
  }

  // acc += a[kRows, k] * panel[k, kVectors]
  template <int kRows, int kVectors>
  static RNN_ENGINE_INLINE void accumulate(const Tile& t, const Stored* a, V (&acc)[kRows][kVectors]) {
    if (t.panel_row)
      add_all(t, a, t.panel_row, acc);
    else
      add_all(t, a, kVectors * V::kWidth, acc);
  }

 private:
  // Inlined for panels whose rows are a constant apart, and with two pointers for all rows of a: with distances and
  // pointers in registers for each, there are too few, and the loop fetches some from vector registers.
  template <int kRows, int kVectors>
  static RNN_ENGINE_INLINE void add_all(const Tile& t, const Stored* a, std::ptrdiff_t panel_row,
                                        V (&acc)[kRows][kVectors]) {
    const std::ptrdiff_t a_row = t.a_row, a_col = t.a_col;
    const Stored *panel = t.panel, *a_fourth = a + 3 * a_row;
    for (std::int64_t k = t.k; k > 0; --k) {
      asm("" : "+r"(a), "+r"(a_fourth));  // or the compiler makes six pointers of them
#pragma GCC unroll 4
      for (int j = 0; j < kVectors * V::kWidth; j += kCacheLine / static_cast<int>(sizeof(Stored)))
        __builtin_prefetch(panel + kPrefetchDepth * panel_row + j);
      add(a, a_fourth, a_row, panel, acc);
      a += a_col;
      a_fourth += a_col;
      panel += panel_row;
    }
  }
};

// Cuts the rows into blocks of nearly equal height, or, where they are packed in blocks, into parts of those.
template <class M, int kVectors, int kMaxRows>
RNN_ENGINE_INLINE void gemm_rows(const typename M::Tile& t) {
  constexpr int kOfBlock = kRowBlock / ((kRowBlock + kMaxRows - 1) / kMaxRows);
  static_assert(kRowBlock % kOfBlock == 0);
  const std::int64_t blocks = (t.rows + kMaxRows - 1) / kMaxRows;
  std::int64_t row = 0;
  for (std::int64_t block = 0; row < t.rows; ++block) {
    const std::int64_t left = t.rows - row;
    const std::int64_t height = !t.a_block        ? (left + (blocks - block) - 1) / (blocks - block)
                                : left < kOfBlock ? left
                                                  : kOfBlock;
    switch (height) {
      case 1:
        micro_kernel<M, 1, kVectors>(t, row);
        break;
      case 2:
        if constexpr (kMaxRows >= 2) micro_kernel<M, 2, kVectors>(t, row);
        break;
      case 3:
        if constexpr (kMaxRows >= 3) micro_kernel<M, 3, kVectors>(t, row);
        break;
      case 4:
        if constexpr (kMaxRows >= 4) micro_kernel<M, 4, kVectors>(t, row);
        break;
      case 5:
        if constexpr (kMaxRows >= 5) micro_kernel<M, 5, kVectors>(t, row);
        break;
      default:
        if constexpr (kMaxRows >= 6) micro_kernel<M, 6, kVectors>(t, row);
        break;
    }
    row += height;
  }
}

// The left and the right half of a panel of four vectors, one after the other.
template <class M, int kMaxRows>
RNN_ENGINE_INLINE void gemm_halves(typename M::Tile t) {
  constexpr int kHalf = kPanelVectors / 2, kWidth = M::Vector::kWidth;
  if (!t.panel_row) t.panel_row = kPanelVectors * kWidth;
  t.vectors = kHalf;
  const std::int64_t columns = t.columns;  // there are more than three vectors of them
  if (!t.gates) t.columns = kHalf * kWidth;
  gemm_rows<M, kHalf, kMaxRows>(t);
  if (!t.gates) t.columns = columns - kHalf * kWidth;
  t.panel += kHalf * kWidth;
  const std::ptrdiff_t across = kHalf * t.vector_stride;
  if (t.init) t.init += across;
  if (t.stored_init) t.stored_init += across;
  if (t.c) t.c += across;
  if (t.stored_c) t.stored_c += across;
  gemm_rows<M, kHalf, kMaxRows>(t);
}

// kMaxRows: as many as the registers hold beside a panel of four vectors. Where that is half a block of rows, a whole
// one goes with half a panel, so that a panel that is not in the nearest cache is read half as often. Few rows read it
// twice at most, and gain nothing.
template <class M, int kMaxRows>
void gemm(const typename M::Tile& t) {
  constexpr bool kHalves = 2 * kMaxRows == kRowBlock && M::kHalvesPanels;
  switch (t.vectors) {
    case 1:
      gemm_rows<M, 1, kHalves ? kRowBlock : kMaxRows>(t);
      break;
    case 2:
      gemm_rows<M, 2, kHalves ? kRowBlock : kMaxRows>(t);
      break;
    case 3:
      gemm_rows<M, 3, kMaxRows>(t);
      break;
    default:
      if (kHalves && t.rows > kRowBlock)
        gemm_halves<M, kHalves ? kRowBlock : kMaxRows>(t);
      else
        gemm_rows<M, 4, kMaxRows>(t);
      break;
  }
}

template <class V>
void pack_transposed(const TransposedPanel<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::kWidth, kAhead = 256 / sizeof(T);
  for (std::int64_t k = 0; k < t.k; k += kWidth) {
    const int count = static_cast<int>(t.k - k < kWidth ? t.k - k : kWidth);
    V block[kWidth];
    if (count == kWidth && t.columns == kWidth) {
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        block[j] = V::load(t.rows + j * t.row_stride + k);
        __builtin_prefetch(t.rows + j * t.row_stride + k + kAhead);
      }
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) block[i].store(t.panel + (k + i) * t.stride);
    } else {
      for (int j = 0; j < kWidth; ++j)
        block[j] = j < t.columns ? V::load(t.rows + j * t.row_stride + k, count) : V(T(0));
      transpose(block);
      for (int i = 0; i < count; ++i) block[i].store(t.panel + (k + i) * t.stride);
    }
  }
}

// M::chain is one step of a chain of multiply-adds. The chains are as many as it takes to wait for none, and few enough
// to lie in 16 registers with what they share.
template <class M>
double peak(std::int64_t iterations) {
  using V = typename M::Vector;
  using T = typename V::Scalar;
  constexpr int kChains = 12;
  V acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = V(T(i));
  auto factor = M::chain_factor();
  for (std::int64_t n = 0; n < iterations; ++n) {
    asm volatile("" : "+x"(factor.v));  // keeps the compiler from seeing through the loop
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) acc[i] = M::chain(acc[i], factor);
  }
  V total = acc[0];
  for (int i = 1; i < kChains; ++i) total = total + acc[i];
  T sink[V::kWidth];
  total.store(sink);
  asm volatile("" ::"r"(sink) : "memory");
  return static_cast<double>(M::kChainOperations * kChains * V::kWidth) * static_cast<double>(iterations);
}

template <class V, int kMaxRows>
Kernels<typename V::Scalar> make_kernels() {
  using T = typename V::Scalar;
  Kernels<T> table{};
  if constexpr (!kTranslatingAlone || std::is_same_v<T, float>) {
    table.width = V::kWidth;
    table.k_group = 1;
    table.left_block = kRowBlock;
    table.gemm = gemm<Multiply<V>, kMaxRows>;
    table.pack_transposed = pack_transposed<V>;
    set_cells<V, T>(table);
    table.dropout = dropout<V>;
    table.add = add<V>;
    table.scale = scale<V>;
    table.scale_and_add = scale_and_add<V>;
    table.zoneout_forward = zoneout_forward<V>;
    if constexpr (!kTranslatingAlone) {
      table.zoneout_backward = zoneout_backward<V>;
      table.epilogue_forward = epilogue_forward<V>;
      table.epilogue_backward = epilogue_backward<V>;
      table.softmax_block = softmax_block<V>;
      table.softmax_join = softmax_join<V>;
      table.softmax_slope = softmax_slope<V>;
      table.softmax_pairs_block = softmax_pairs_block<V>;
      table.softmax_pairs_slope = softmax_pairs_slope<V>;
      table.weigh_row = weigh_row<V>;
      table.differentiate_weights = differentiate_weights<V>;
      table.score_additive = score_additive<V>;
      table.differentiate_additive = differentiate_additive<V>;
    }
    table.tanh_row = tanh_row<V>;
    table.softmax_row = softmax_row<V>;
    table.total_row = total_row<V>;
    table.attend = attend<V>;
    if constexpr (std::is_same_v<T, float>) table.widened = widened_product<V, kMaxRows>;
    table.peak = peak<Multiply<V>>;
  }
  return table;
}

}  // namespace rnn_engine::cpu
