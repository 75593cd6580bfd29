// Softmax and its gradient for cpu/loss/linear_cross_entropy.cpp. The lanes of a vector are tokens, so that
// every token's sums are chains in the order of its classes, whatever the width.
#pragma once

#include <limits>

#include "cells/math.h"
#include "cpu/kernels/kernels.h"

namespace rnn_engine::cpu {

// Columns from `first`: kVectors full vectors, or one of `lanes` values.
template <class V, int kVectors>
RNN_ENGINE_INLINE void softmax_strip(const SoftmaxBlock<typename V::Scalar>& t, std::int64_t first, int lanes) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::kWidth;
  const auto load = [&](const T* p) { return kVectors > 1 || lanes == kWidth ? V::load(p) : V::load(p, lanes); };
  const auto store = [&](V value, T* p) {
    if (kVectors > 1 || lanes == kWidth)
      value.store(p);
    else
      value.store(p, lanes);
  };
  V top[kVectors], total[kVectors], sum[kVectors];
  for (int j = 0; j < kVectors; ++j) {
    top[j] = V(std::numeric_limits<T>::lowest());  // not -inf, which would make NaN of a block of -inf
    total[j] = sum[j] = V(T(0));
  }
  T* z = t.z + first;
  for (std::int64_t row = 0; row < t.rows; ++row, z += t.z_row) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const V value = load(z + j * kWidth);
      top[j] = max(top[j], value);
      sum[j] = sum[j] + value;
    }
  }
  z = t.z + first;
  for (std::int64_t row = 0; row < t.rows; ++row, z += t.z_row) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const V power = exp(load(z + j * kWidth) - top[j]);
      store(power, z + j * kWidth);
      total[j] = total[j] + power;
    }
  }
  for (int j = 0; j < kVectors; ++j) {
    store(top[j], t.top + first + j * kWidth);
    store(total[j], t.total + first + j * kWidth);
    store(sum[j], t.sum + first + j * kWidth);
  }
}

template <class V>
void softmax_block(const SoftmaxBlock<typename V::Scalar>& t) {
  constexpr std::int64_t kWidth = V::kWidth;
  std::int64_t first = 0;
  for (; first + 4 * kWidth <= t.columns; first += 4 * kWidth) softmax_strip<V, 4>(t, first, kWidth);
  for (; first < t.columns; first += kWidth)
    softmax_strip<V, 1>(t, first, static_cast<int>(t.columns - first < kWidth ? t.columns - first : kWidth));
}

template <class V>
void softmax_join(const SoftmaxJoin<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  constexpr std::int64_t kWidth = V::kWidth;
  for (std::int64_t first = 0; first < t.columns; first += kWidth) {
    const int lanes = static_cast<int>(t.columns - first < kWidth ? t.columns - first : kWidth);
    V highest(std::numeric_limits<T>::lowest()), sum(T(0)), all(T(0));
    for (std::int64_t b = 0; b < t.blocks; ++b) {
      highest = max(highest, V::load(t.top + b * t.stride + first, lanes));
      sum = sum + V::load(t.sum + b * t.stride + first, lanes);
    }
    for (std::int64_t b = 0; b < t.blocks; ++b) {
      T* top = t.top + b * t.stride + first;
      const V power = exp(V::load(top, lanes) - highest);
      power.store(top, lanes);
      all = fma(V::load(t.total + b * t.stride + first, lanes), power, all);
    }
    const V factor = V(t.scale) / all;
    for (std::int64_t b = 0; b < t.blocks; ++b) {
      T* top = t.top + b * t.stride + first;
      (V::load(top, lanes) * factor).store(top, lanes);
    }
    highest.store(t.highest + first, lanes);
    all.store(t.all + first, lanes);
    sum.store(t.sum + first, lanes);
  }
}

template <class V>
void softmax_slope(const SoftmaxBlock<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::kWidth, kLanes = 16, kVectors = kLanes / kWidth;
  const V shift(-t.shift);
  T* z = t.z;
  for (std::int64_t row = 0; row < t.rows; ++row, z += t.z_row) {
    V sums[kVectors];
    for (int j = 0; j < kVectors; ++j) sums[j] = V(T(0));
    std::int64_t first = 0;
    for (; first + kLanes <= t.columns; first += kLanes) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        const std::int64_t at = first + j * kWidth;
        const V value = fma(V::load(z + at), V::load(t.factor + at), shift);
        value.store(z + at);
        sums[j] = sums[j] + value;
      }
    }
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t at = first + j * kWidth, left = t.columns - at;
      if (left <= 0) break;
      const int lanes = static_cast<int>(left < kWidth ? left : kWidth);
      fma(V::load(z + at, lanes), V::load(t.factor + at, lanes), shift).store(z + at, lanes);
      sums[j] = sums[j] + V::load(z + at, lanes);  // zeros in the other lanes
    }
    if (!t.row_sums) continue;
    T lanes[kLanes];
    for (int j = 0; j < kVectors; ++j) sums[j].store(lanes + j * kWidth);
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    t.row_sums[row] = lanes[0];
  }
}

}  // namespace rnn_engine::cpu
