// Products of bfloat16 where pairs have no instruction, or a slow one: what is multiplied is widened to float32 in the
// nearest cache, some k at a time, and goes through float32's micro-kernel. The bits are those of MultiplyPairs.
//
// Widened values lie in two planes, of even and of odd k: so every word gives two values without a shuffle.
#pragma once

#include "base/build.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pair_products.h"
#include "cpu/kernels/pairs.h"

namespace rnn_engine::cpu {

// k whose widened panel stays in the nearest cache, with what it is multiplied by; rows for which it is widened once,
// and those that are widened at once. All are whole blocks.
inline constexpr int kWidenedDepth = 96, kWidenedRows = 96, kWidenedAtOnce = 12;

// From a value of an even k to that of the k after it: a row or a block takes as many whole vectors as its pairs need.
template <class V>
inline constexpr int kWidenedPlane = kWidenedAtOnce * kWidenedDepth / 2 + V::kWidth;

template <class V>
struct MultiplyWidened {
  using Vector = V;
  using Stored = float;
  using Tile = GemmTile<float>;                 // whose a_col goes from pair to pair
  static constexpr bool kHalvesPanels = false;  // they are in the nearest cache

  template <int kRows, int kVectors>
  static RNN_ENGINE_INLINE void accumulate(const GemmTile<float>& t, const float* a, V (&acc)[kRows][kVectors]) {
    constexpr int kPanelRow = kVectors * V::kWidth;
    const std::ptrdiff_t a_row = t.a_row;
    const float *panel = t.panel, *a_fourth = a + 3 * a_row;
    for (std::int64_t k = 0; k + 1 < t.k; k += 2) {
      asm("" : "+r"(a), "+r"(a_fourth));  // as in Multiply
      Multiply<V>::add(a, a_fourth, a_row, panel, acc);
      Multiply<V>::add(a + kWidenedPlane<V>, a_fourth + kWidenedPlane<V>, a_row, panel + kPanelRow, acc);
      a += t.a_col;
      a_fourth += t.a_col;
      panel += 2 * kPanelRow;
    }
    if (t.k % 2 != 0) Multiply<V>::add(a, a_fourth, a_row, panel, acc);
  }
};

template <class P>
class WidenedGemm {
  using V = typename P::Vector;
  static constexpr int kWidth = V::kWidth, kWord = 2 * kWidth;  // values of bfloat16 in one load
  static constexpr int kPlane = kWidenedPlane<V>;

 public:
  explicit WidenedGemm(const GemmTile<BFloat16>& tile) : t_(tile) {}

  template <int kMaxRows>
  void run() {
    for (std::int64_t first = 0; first < t_.rows; first += kWidenedRows)
      run_rows<kMaxRows>(first, lesser(kWidenedRows, t_.rows - first));
  }

 private:
  static RNN_ENGINE_INLINE std::int64_t lesser(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

  // Sums grow where they end, if that is float32, else in a place of their own.
  template <int kMaxRows>
  void run_rows(std::int64_t first, std::int64_t rows) {
    GemmTile<float> tile{};
    tile.a = rows_;
    tile.panel = panel_;
    tile.vectors = t_.vectors;
    tile.gates = t_.gates;
    tile.columns = t_.columns;
    tile.vector_stride = t_.c ? t_.vector_stride : kWidth;
    tile.c_row = t_.c ? t_.c_row : kPanelVectors * kWidth;
    float* const sums = t_.c ? t_.c + first * t_.c_row : sums_;
    const float* init = t_.init ? t_.init + first * t_.init_row : nullptr;
    tile.init_row = t_.init_row;
    if (t_.stored_init || (init && !t_.c)) {
      for_each_vector(rows, [&](std::int64_t row, int j, int lanes) {
        const std::ptrdiff_t from = (first + row) * t_.init_row + j * t_.vector_stride;
        store_units(t_.init ? load_units<V>(t_.init + from, lanes) : load_units<V>(t_.stored_init + from, lanes),
                    sums + row * tile.c_row + j * tile.vector_stride, lanes);
      });
      init = sums;
      tile.init_row = tile.c_row;
    }
    for (std::int64_t k = 0; k < t_.k || k == 0; k += kWidenedDepth) {
      tile.k = lesser(kWidenedDepth, t_.k - k);
      widen_panel(k, tile.k);
      for (std::int64_t row = 0; row < rows; row += kWidenedAtOnce) {
        tile.rows = lesser(kWidenedAtOnce, rows - row);
        widen_rows(first + row, k, tile);
        tile.init = init ? init + row * tile.init_row : nullptr;
        tile.c = sums + row * tile.c_row;
        gemm<MultiplyWidened<V>, kMaxRows>(tile);
      }
      init = sums;
      tile.init_row = tile.c_row;
    }
    if (!t_.c)
      for_each_vector(rows, [&](std::int64_t row, int j, int lanes) {
        store_units(load_units<V>(sums + row * tile.c_row + j * tile.vector_stride, lanes),
                    t_.stored_c + (first + row) * t_.c_row + j * t_.vector_stride, lanes);
      });
  }

  template <class Visit>
  void for_each_vector(std::int64_t rows, const Visit& visit) const {
    for (std::int64_t row = 0; row < rows; ++row)
      for (int j = 0; j < t_.vectors; ++j) visit(row, j, lanes_of<V>(t_, j));
  }

  void widen_panel(std::int64_t k, std::int64_t depth) {
    const int vectors = t_.vectors;
    const BFloat16* from = t_.panel + k * vectors * kWidth;
    float* to = panel_;
    for (std::int64_t pair = 0; pair < depth; pair += 2, to += 2 * vectors * kWidth)
      for (int j = 0; j < vectors; ++j, from += kWord) {
        const P values = P::load(from);
        __builtin_prefetch(from + kPrefetchDepth * kPanelVectors * kWidth);
        values.factor(0).store(to + j * kWidth);
        values.factor(1).store(to + (vectors + j) * kWidth);
      }
  }

  void widen_rows(std::int64_t first, std::int64_t k, GemmTile<float>& tile) {
    if (t_.a_block) {
      tile.a_row = 1;
      tile.a_col = kRowBlock;
      tile.a_block = kWidenedDepth / 2 * kRowBlock;
      for (std::int64_t row = 0; row < tile.rows; row += kRowBlock)
        widen(t_.a + (first + row) / kRowBlock * t_.a_block + k * kRowBlock, (tile.k + 1) / 2 * kRowBlock * 2,
              rows_ + row / kRowBlock * tile.a_block);
    } else {
      tile.a_row = kWidenedDepth / 2;
      tile.a_col = 1;
      for (std::int64_t row = 0; row < tile.rows; ++row)
        widen(t_.a + (first + row) * t_.a_row + k, tile.k, rows_ + row * tile.a_row);
    }
  }

  RNN_ENGINE_INLINE void widen(const BFloat16* from, std::int64_t count, float* even) {
    for (; count > 0; count -= kWord, from += kWord, even += kWidth) {
      const P values = count >= kWord ? P::load(from) : P::load(from, static_cast<int>(count));
      values.factor(0).store(even);
      values.factor(1).store(even + kPlane);
    }
  }

  const GemmTile<BFloat16>& t_;
  alignas(64) float panel_[kWidenedDepth * kPanelVectors * kWidth];
  alignas(64) float rows_[2 * kPlane];
  alignas(64) float sums_[kWidenedRows * kPanelVectors * kWidth];
};

// Few rows are not worth a widened panel: their pairs are multiplied as they are.
template <class P, int kMaxRows, int kPairRows>
void gemm_widened(const GemmTile<BFloat16>& t) {
  if (t.rows > kPairRows)
    WidenedGemm<P>(t).template run<kMaxRows>();
  else
    gemm<MultiplyPairs<P>, kPairRows>(t);
}

}  // namespace rnn_engine::cpu
