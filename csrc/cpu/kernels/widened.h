// Products of float32 with weights of bfloat16, which are widened on the way: what the product with the widened weights
// would be, to the bit, and half as much to read.
#pragma once

#include "cells/lanes.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pairs.h"

namespace rnn_engine::cpu {

template <class V, int kRows, int kPanels>
__attribute__((noinline)) void widened_micro(const WidenedProduct& p, std::int64_t first_row,
                                             std::int64_t first_column) {
  using Pair = Pairs<V>;
  constexpr int kWidth = V::kWidth, kOfPanel = static_cast<int>(kBfloat16Panel) / kWidth, kVectors = kPanels * kOfPanel;
  const std::int64_t k = p.weights.k, wide = round_up_to_two(k);
  const auto column = [&](int j) { return first_column + j * kWidth; };
  const auto lanes = [&](int j) { return units_at<V>(column(j), p.weights.n); };
  V acc[kRows][kVectors];
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j)
      acc[i][j] = p.init ? load_units<V>(p.init + (first_row + i) * p.init_row + column(j), lanes(j)) : V(0.0f);
  const float* a = p.a + first_row * p.a_row;
  const BFloat16* panel = p.weights.values + first_column * wide;
  const auto load = [&](int j) {
    return Pair::load(panel + j / kOfPanel * kBfloat16Panel * wide + j % kOfPanel * 2 * kWidth);
  };
  const auto add = [&](const Pair(&pairs)[kVectors], int term) {
    V b[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) b[j] = pairs[j].factor(term);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const V value(a[i * p.a_row + term]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(value, b[j], acc[i][j]);
    }
  };
  Pair pairs[kVectors];
  for (std::int64_t left = k; left > 0; left -= 2, a += 2, panel += 2 * kBfloat16Panel) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) pairs[j] = load(j);
    add(pairs, 0);
    if (left > 1) add(pairs, 1);
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) store_units(acc[i][j], p.c + (first_row + i) * p.c_row + column(j), lanes(j));
}

// All rows, in blocks of nearly equal height.
template <class V, int kPanels, int kMaxRows>
RNN_ENGINE_INLINE void widened_rows(const WidenedProduct& p, std::int64_t column) {
  std::int64_t row = 0;
  for (std::int64_t blocks = (p.rows + kMaxRows - 1) / kMaxRows; blocks > 0; --blocks) {
    const std::int64_t height = (p.rows - row + blocks - 1) / blocks;
    const auto take = [&]<int kRows>() {
      if constexpr (kRows <= kMaxRows)
        if (height == kRows) widened_micro<V, kRows, kPanels>(p, row, column);
    };
    take.template operator()<1>();
    take.template operator()<2>();
    take.template operator()<3>();
    take.template operator()<4>();
    take.template operator()<5>();
    take.template operator()<6>();
    row += height;
  }
}

// kFloatRows: of float32's micro-kernel, whose registers hold four vectors of columns; here pairs and values of each
// stand in them. AVX2 has room for a panel, two vectors, and one row more.
template <class V, int kFloatRows>
void widened_product(const WidenedProduct& p) {
  constexpr int kMostPanels = V::kWidth == 16 ? 4 : 1;
  constexpr int kMaxRows = V::kWidth == 8 ? kFloatRows + 1 : V::kWidth == 4 && kFloatRows > 5 ? 5 : kFloatRows;
  std::int64_t column = 0;
  const auto take = [&]<int kPanels>() {
    if constexpr (kPanels <= kMostPanels)
      for (; column + (kPanels - 1) * kBfloat16Panel < p.weights.n; column += kPanels * kBfloat16Panel)
        widened_rows<V, kPanels, kMaxRows>(p, column);
  };
  take.template operator()<4>();
  take.template operator()<3>();
  take.template operator()<2>();
  take.template operator()<1>();
}

}  // namespace rnn_engine::cpu
