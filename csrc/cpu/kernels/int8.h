// Products of 8-bit integers, written once for every set of lanes P. Sums are exact, and what follows them is written
// out, so that every instruction set gives the same bits, whatever the number of rows.
//
// Rows of values and of weights are rounded to -127..127 of a scale of their own: value = scale * integer.
#pragma once

#include <cmath>
#include <cstring>

#include "cells/lanes.h"
#include "cpu/kernels/kernels.h"

namespace rnn_engine::cpu {

// The largest absolute value of a row, and a sum that is zero unless one of them is no number, or is infinite.
struct Magnitude {
  float largest, nothing;
};

template <class V>
RNN_ENGINE_INLINE Magnitude magnitude_of(const float* values, std::int64_t count) {
  constexpr int kChains = 4;
  V top[kChains], sum[kChains];
  for (int i = 0; i < kChains; ++i) top[i] = sum[i] = V(0.0f);
  const auto look = [&](int i, V value) {
    top[i] = max(max(value, -value), top[i]);
    sum[i] = fma(value, V(0.0f), sum[i]);
  };
  std::int64_t j = 0;
  for (; j + kChains * V::kWidth <= count; j += kChains * V::kWidth) {
#pragma GCC unroll 4
    for (int i = 0; i < kChains; ++i) look(i, V::load(values + j + i * V::kWidth));
  }
  for (; j < count; j += V::kWidth) look(0, load_units<V>(values + j, units_at<V>(j, count)));
  float tops[V::kWidth], sums[V::kWidth];
  max(max(top[0], top[1]), max(top[2], top[3])).store(tops);
  ((sum[0] + sum[1]) + (sum[2] + sum[3])).store(sums);
  Magnitude result{0.0f, 0.0f};
  for (int i = 0; i < V::kWidth; ++i) {
    result.largest = tops[i] > result.largest ? tops[i] : result.largest;
    result.nothing += sums[i];
  }
  return result;
}

// A row that holds what is no number, or is infinite, has a scale that is no number: so is all that comes of it.
template <class P>
float quantise_row(const float* values, std::int64_t count, std::int8_t* quantised) {
  using V = typename P::Vector;
  const auto [largest, nothing] = magnitude_of<V>(values, count);
  if (!(nothing == 0.0f) || largest == 0.0f) {
    std::memset(quantised, 0, static_cast<std::size_t>(count));
    return nothing == 0.0f ? 0.0f : nothing;
  }
  const V factor(127.0f / largest);
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    const int lanes = units_at<V>(j, count);
    P::narrow(round_even(load_units<V>(values + j, lanes) * factor), quantised + j, lanes);
  }
  return largest / 127.0f;
}

template <class P>
void quantise_rows(std::int64_t rows, const float* values, std::ptrdiff_t row, std::int64_t count,
                   std::int8_t* quantised, float* scales) {
  const std::int64_t wide = round_up_to_four(count);
  for (std::int64_t i = 0; i < rows; ++i, values += row, quantised += wide) {
    scales[i] = quantise_row<P>(values, count, quantised);
    std::memset(quantised + count, 0, static_cast<std::size_t>(wide - count));
    if constexpr (P::kOffset != 0)
      for (std::int64_t j = 0; j < wide; ++j) quantised[j] = static_cast<std::int8_t>(quantised[j] ^ 0x80);
  }
}

// kRows x kPanels panels' accumulators in registers.
template <class P, int kRows, int kPanels>
__attribute__((noinline)) void int8_micro(const Int8Product& p, std::int64_t first_row, std::int64_t first_column) {
  using V = typename P::Vector;
  constexpr int kWidth = V::kWidth, kOfPanel = static_cast<int>(kInt8Panel) / kWidth, kVectors = kPanels * kOfPanel;
  const std::int64_t k = round_up_to_four(p.weights.k);
  typename P::Sum acc[kRows][kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) {
    const auto begin = P::begin(p.offsets + first_column + j * kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) acc[i][j] = begin;
  }
  const std::int8_t* a = p.a + first_row * k;
  const std::int8_t* panel = p.weights.values + first_column * k;
  for (std::int64_t left = k; left > 0; left -= 4, a += 4, panel += 4 * kInt8Panel) {
    typename P::Four b[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j)
      b[j] = P::load(panel + j / kOfPanel * kInt8Panel * k + j % kOfPanel * 4 * kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      std::int32_t four;
      std::memcpy(&four, a + i * k, sizeof four);
      const auto value = P::broadcast(four);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) acc[i][j] = P::dot(acc[i][j], value, b[j]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
    const std::int64_t row = first_row + i;
    const V scale(p.row_scales[row]);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t column = first_column + j * kWidth;
      const int lanes = units_at<V>(column, p.weights.n);
      const V init = p.init ? load_units<V>(p.init + row * p.init_row + column, lanes) : V(0.0f);
      const V value = fma(P::as_float(acc[i][j]) * scale, load_units<V>(p.weights.scales + column, lanes), init);
      store_units(value, p.c + row * p.c_row + column, lanes);
    }
  }
}

// All rows, in blocks of nearly equal height.
template <class P, int kPanels, int kMaxRows>
RNN_ENGINE_INLINE void int8_rows(const Int8Product& p, std::int64_t column) {
  const std::int64_t blocks = (p.rows + kMaxRows - 1) / kMaxRows;
  std::int64_t row = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t height = (p.rows - row + (blocks - block) - 1) / (blocks - block);
    switch (height) {
      case 1:
        int8_micro<P, 1, kPanels>(p, row, column);
        break;
      case 2:
        if constexpr (kMaxRows >= 2) int8_micro<P, 2, kPanels>(p, row, column);
        break;
      case 3:
        if constexpr (kMaxRows >= 3) int8_micro<P, 3, kPanels>(p, row, column);
        break;
      case 4:
        if constexpr (kMaxRows >= 4) int8_micro<P, 4, kPanels>(p, row, column);
        break;
      case 5:
        if constexpr (kMaxRows >= 5) int8_micro<P, 5, kPanels>(p, row, column);
        break;
      default:
        if constexpr (kMaxRows >= 6) int8_micro<P, 6, kPanels>(p, row, column);
        break;
    }
    row += height;
  }
}

// kMostPanels: that a micro-kernel takes at once.
template <class P, int kMaxRows, int kMostPanels>
void int8_product(const Int8Product& p) {
  std::int64_t column = 0;
  const auto take = [&]<int kPanels>() {
    if constexpr (kPanels <= kMostPanels)
      for (; column + (kPanels - 1) * kInt8Panel < p.weights.n; column += kPanels * kInt8Panel)
        int8_rows<P, kPanels, kMaxRows>(p, column);
  };
  take.template operator()<4>();
  take.template operator()<3>();
  take.template operator()<2>();
  take.template operator()<1>();
}

template <class P, int kMaxRows, int kMostPanels>
Int8Kernels make_int8_kernels() {
  return {P::kName, P::kOffset, quantise_row<P>, quantise_rows<P>, int8_product<P, kMaxRows, kMostPanels>};
}

}  // namespace rnn_engine::cpu
