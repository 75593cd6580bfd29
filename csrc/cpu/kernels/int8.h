// Products of 8-bit integers, written once for every set of lanes P. Sums are exact, and what follows them is written
// out, so that every instruction set gives the same bits, whatever the number of rows.
//
// Rows of values and columns of weights are rounded to -127..127 of a scale of their own: value = scale * integer. Four
// neighbouring k stand side by side; what is left of the last four is zero.
#pragma once

#include <cmath>
#include <cstring>

#include "cells/lanes.h"
#include "cpu/kernels/kernels.h"

namespace rnn_engine::cpu {

template <class V>
RNN_ENGINE_INLINE typename V::Scalar largest_of(const typename V::Scalar* values, std::int64_t count) {
  V top(0);
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    const V value = load_units<V>(values + j, units_at<V>(j, count));
    top = max(max(value, -value), top);
  }
  typename V::Scalar lanes[V::kWidth], largest = 0;
  top.store(lanes);
  for (const auto value : lanes) largest = value > largest ? value : largest;
  return largest;
}

// A row that holds what is no number, or is infinite, has a scale that is no number: so is all that comes of it.
template <class P>
float quantise_row(const float* values, std::int64_t count, std::int8_t* quantised) {
  using V = typename P::Vector;
  const float largest = largest_of<V>(values, count);
  const float nothing = row_sum<V, 1>(count, [&](int, std::int64_t j, int lanes, V sum) {
    return lanes ? fma(load_units<V>(values + j, lanes), V(0.0f), sum) : sum;
  });
  std::memset(quantised + count, 0, static_cast<std::size_t>(round_up_to_four(count) - count));
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

template <class P, int kRows, int kVectors>
__attribute__((noinline)) void int8_micro(const Int8Tile& t, std::int64_t first_row) {
  using V = typename P::Vector;
  constexpr int kWidth = V::kWidth;
  typename P::Sum acc[kRows][kVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const auto begin = P::begin(t.offsets + j * kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) acc[i][j] = begin;
  }
  const std::int8_t* a = t.a + first_row * t.a_row;
  const std::int8_t* panel = t.panel;
  for (std::int64_t k = 0; k < t.k; k += 4, a += 4, panel += 4 * kVectors * kWidth) {
    typename P::Four b[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) b[j] = P::load(panel + 4 * j * kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      std::int32_t four;
      std::memcpy(&four, a + i * t.a_row, sizeof four);
      const auto value = P::broadcast(four);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = P::dot(acc[i][j], value, b[j]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
    const V scale(t.row_scales[first_row + i]);
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t column = j * kWidth;
      const int lanes = units_at<V>(column, t.columns);
      const V init = t.init ? load_units<V>(t.init + (first_row + i) * t.init_row + column, lanes) : V(0.0f);
      const V value = fma(P::as_float(acc[i][j]) * scale, load_units<V>(t.column_scales + column, lanes), init);
      store_units(value, t.c + (first_row + i) * t.c_row + column, lanes);
    }
  }
}

template <class P, int kVectors, int kMaxRows>
RNN_ENGINE_INLINE void int8_rows(const Int8Tile& t) {
  std::int64_t row = 0;
  for (; row + kMaxRows <= t.rows; row += kMaxRows) int8_micro<P, kMaxRows, kVectors>(t, row);
  switch (t.rows - row) {
    case 1:
      return int8_micro<P, 1, kVectors>(t, row);
    case 2:
      if constexpr (kMaxRows > 2) return int8_micro<P, 2, kVectors>(t, row);
      break;
    case 3:
      if constexpr (kMaxRows > 3) return int8_micro<P, 3, kVectors>(t, row);
      break;
    case 4:
      if constexpr (kMaxRows > 4) return int8_micro<P, 4, kVectors>(t, row);
      break;
    case 5:
      if constexpr (kMaxRows > 5) return int8_micro<P, 5, kVectors>(t, row);
      break;
  }
}

template <class P, int kMaxRows>
void int8_product(const Int8Tile& t) {
  switch (t.vectors) {
    case 1:
      return int8_rows<P, 1, kMaxRows>(t);
    case 2:
      return int8_rows<P, 2, kMaxRows>(t);
    case 3:
      return int8_rows<P, 3, kMaxRows>(t);
    default:
      return int8_rows<P, 4, kMaxRows>(t);
  }
}

template <class P, int kMaxRows>
Int8Kernels make_int8_kernels() {
  return {P::kName, P::Vector::kWidth, P::kOffset, quantise_row<P>, int8_product<P, kMaxRows>};
}

}  // namespace rnn_engine::cpu
