// Softmax of two passes over the same tokens, with how far they lie apart and the gradient of that, for
// cpu/loss/linear_cross_entropy.cpp. As in softmax.h the lanes of a vector are tokens; docs/engine.md has the
// equations.
#pragma once

#include <limits>

#include "cells/math.h"
#include "cpu/kernels/kernels.h"

namespace rnn_engine::cpu {

// How far a logit is above its partner's. Bounded, so that two of -inf are equal, and nothing that a probability of 0
// is multiplied by is infinite. The bound stands first: NaN stays NaN.
template <class V>
RNN_ENGINE_INLINE V logits_apart(V logit, V partner) {
  const V floor(typename V::Scalar(-0x1p64));
  return max(floor, logit) - max(floor, partner);
}

// Pairs from `first`: kVectors full vectors of each pass, or one of `lanes` values.
template <class V, int kVectors>
RNN_ENGINE_INLINE void pairs_strip(const SoftmaxPairs<typename V::Scalar>& t, std::int64_t first, int lanes) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::kWidth;
  const std::int64_t pairs = t.columns / 2;
  const auto load = [&](const T* p) { return kVectors > 1 || lanes == kWidth ? V::load(p) : V::load(p, lanes); };
  const auto store = [&](V value, T* p) {
    if (kVectors > 1 || lanes == kWidth)
      value.store(p);
    else
      value.store(p, lanes);
  };
  V top[2][kVectors], total[2][kVectors], sum[2][kVectors], apart[2][kVectors];
  for (int side = 0; side < 2; ++side) {
    for (int j = 0; j < kVectors; ++j) {
      top[side][j] = V(std::numeric_limits<T>::lowest());  // not -inf, which would make NaN of a block of -inf
      total[side][j] = sum[side][j] = apart[side][j] = V(T(0));
    }
    const T* z = t.z + side * pairs + first;
    for (std::int64_t row = 0; row < t.rows; ++row, z += t.z_row) {
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        const V value = load(z + j * kWidth);
        top[side][j] = max(top[side][j], value);
        sum[side][j] = sum[side][j] + value;
      }
    }
  }
  const T* z = t.z + first;
  for (std::int64_t row = 0; row < t.rows; ++row, z += t.z_row) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      const V one = load(z + j * kWidth), other = load(z + pairs + j * kWidth);
      const V p = exp(one - top[0][j]), q = exp(other - top[1][j]);
      total[0][j] = total[0][j] + p;
      total[1][j] = total[1][j] + q;
      apart[0][j] = fma(p, logits_apart(one, other), apart[0][j]);
      apart[1][j] = fma(q, logits_apart(other, one), apart[1][j]);
    }
  }
  for (int side = 0; side < 2; ++side)
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t at = side * pairs + first + j * kWidth;
      store(top[side][j], t.top + at);
      store(total[side][j], t.total + at);
      store(sum[side][j], t.sum + at);
      store(apart[side][j], t.apart + at);
    }
}

template <class V>
void softmax_pairs_block(const SoftmaxPairs<typename V::Scalar>& t) {
  constexpr std::int64_t kWidth = V::kWidth;
  const std::int64_t pairs = t.columns / 2;
  std::int64_t first = 0;
  for (; first + 2 * kWidth <= pairs; first += 2 * kWidth) pairs_strip<V, 2>(t, first, kWidth);
  for (; first < pairs; first += kWidth)
    pairs_strip<V, 1>(t, first, static_cast<int>(pairs - first < kWidth ? pairs - first : kWidth));
}

// The slopes of one vector of logits and of their partners.
template <class V>
struct SlopesOfPair {
  V one, other;

  RNN_ENGINE_INLINE SlopesOfPair(const SoftmaxPairs<typename V::Scalar>& t, const typename V::Scalar* z,
                                 std::int64_t at, int lanes) {
    const std::int64_t pairs = t.columns / 2;
    const auto load = [&](const typename V::Scalar* p) { return lanes == V::kWidth ? V::load(p) : V::load(p, lanes); };
    const V a = load(z + at), b = load(z + pairs + at), apart = logits_apart(a, b);
    const V p = exp(a - load(t.highest + at)) * load(t.factor + at);
    const V q = exp(b - load(t.highest + pairs + at)) * load(t.factor + pairs + at);
    const V up(t.divergence), down(-t.divergence), shift(-t.shift);
    one = fma(q, down, fma(p, fma(up, apart, load(t.lift + at)), shift));
    other = fma(p, down, fma(q, fma(down, apart, load(t.lift + pairs + at)), shift));
  }
};

template <class V>
void softmax_pairs_slope(const SoftmaxPairs<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::kWidth, kLanes = 16, kVectors = kLanes / kWidth;
  const std::int64_t pairs = t.columns / 2;
  T* z = t.z;
  for (std::int64_t row = 0; row < t.rows; ++row, z += t.z_row) {
    V sums[kVectors];
    for (int j = 0; j < kVectors; ++j) sums[j] = V(T(0));
    std::int64_t first = 0;
    for (; first + kLanes <= pairs; first += kLanes) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) {
        const std::int64_t at = first + j * kWidth;
        const SlopesOfPair<V> slopes(t, z, at, kWidth);
        slopes.one.store(z + at);
        slopes.other.store(z + pairs + at);
        sums[j] = (sums[j] + slopes.one) + slopes.other;
      }
    }
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t at = first + j * kWidth, left = pairs - at;
      if (left <= 0) break;
      const int lanes = static_cast<int>(left < kWidth ? left : kWidth);
      const SlopesOfPair<V> slopes(t, z, at, lanes);
      slopes.one.store(z + at, lanes);
      slopes.other.store(z + pairs + at, lanes);
      sums[j] = (sums[j] + V::load(z + at, lanes)) + V::load(z + pairs + at, lanes);  // zeros in the other lanes
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
