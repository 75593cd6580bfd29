// Attention of a few queries over the states of one source: rows as they come, nothing is packed.
#pragma once

#include "cells/lanes.h"
#include "cells/math.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/rows.h"
#include "cpu/kernels/transpose.h"

namespace rnn_engine::cpu {

// Scores of kKeys rows of keys: as LaneSum does, 16 lanes joined by halves, but for the last steps: sums [kKeys] of as
// many lanes as a vector has.
template <class V, int kKeys, bool kAdditive, class T>
RNN_ENGINE_INLINE void multiply_keys(const T* query, const T* keys, const T* vector, std::int64_t size, V* sums) {
  constexpr int kVectors = LaneSum<V>::kVectors;
  V parts[kKeys][kVectors];
#pragma GCC unroll 4
  for (int key = 0; key < kKeys; ++key)
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) parts[key][i] = V(T(0));
  for (std::int64_t first = 0; first < size; first += kLanes) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      const std::int64_t unit = first + i * V::kWidth;
      const int lanes = units_at<V>(unit, size);
      const V value = load_units<V>(query + unit, lanes);
#pragma GCC unroll 4
      for (int key = 0; key < kKeys; ++key) {
        const V other = load_units<V>(keys + key * size + unit, lanes);
        if constexpr (kAdditive)
          parts[key][i] = fma(load_units<V>(vector + unit, lanes), tanh(value + other), parts[key][i]);
        else
          parts[key][i] = fma(value, other, parts[key][i]);
      }
    }
  }
#pragma GCC unroll 4
  for (int key = 0; key < kKeys; ++key) {
#pragma GCC unroll 4
    for (int half = kVectors / 2; half > 0; half /= 2)
#pragma GCC unroll 4
      for (int i = 0; i < half; ++i) parts[key][i] = parts[key][i] + parts[key][i + half];
    sums[key] = parts[key][0];
  }
}

// weights [N, S] = scores, a vector of keys after the other: they stay in the first cache for all queries.
template <class V, bool kAdditive, class T>
RNN_ENGINE_INLINE void score_keys(const Attention<T>& a) {
  constexpr int kWidth = V::kWidth, kKeys = 4;
  const std::int64_t size = a.key_size;
  for (std::int64_t s = 0; s < a.length; s += kWidth) {
    const int count = units_at<V>(s, a.length);
    for (std::int64_t row = 0; row < a.rows; ++row) {
      const T* query = a.queries + row * a.query_row;
      V sums[kWidth];
      int key = 0;
      for (; key + kKeys <= count; key += kKeys)
        multiply_keys<V, kKeys, kAdditive>(query, a.keys + (s + key) * size, a.vector, size, sums + key);
      for (; key < count; ++key)
        multiply_keys<V, 1, kAdditive>(query, a.keys + (s + key) * size, a.vector, size, sums + key);
      for (; key < kWidth; ++key) sums[key] = V(T(0));
      transpose(sums);
#pragma GCC unroll 4
      for (int half = kWidth / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; ++i) sums[i] = sums[i] + sums[i + half];
      store_units(sums[0], a.weights + row * a.length + s, count);
    }
  }
}

// kVectors of columns of one row's context: chains over ascending s.
template <class V, int kVectors, class T>
RNN_ENGINE_INLINE void mix_columns(const Attention<T>& a, std::int64_t row, std::int64_t column) {
  constexpr int kWidth = V::kWidth;
  const int lanes = kVectors > 1 ? kWidth : units_at<V>(column, a.value_size);
  const T* weights = a.weights + row * a.length;
  V sums[kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) sums[i] = V(T(0));
  for (std::int64_t s = 0; s < a.length; ++s) {
    const V weight(weights[s]);
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i)
      sums[i] = fma(weight, load_units<V>(a.values + s * a.value_size + column + i * kWidth, lanes), sums[i]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) store_units(sums[i], a.context + row * a.context_row + column + i * kWidth, lanes);
}

template <class V>
void attend(const Attention<typename V::Scalar>& a) {
  if (a.vector)
    score_keys<V, true>(a);
  else
    score_keys<V, false>(a);
  for (std::int64_t row = 0; row < a.rows; ++row) softmax_row<V>(a.weights + row * a.length, a.length);
  constexpr int kVectors = 8, kColumns = kVectors * V::kWidth;
  std::int64_t column = 0;
  for (; column + kColumns <= a.value_size; column += kColumns)
    for (std::int64_t row = 0; row < a.rows; ++row) mix_columns<V, kVectors>(a, row, column);
  for (; column < a.value_size; column += V::kWidth)
    for (std::int64_t row = 0; row < a.rows; ++row) mix_columns<V, 1>(a, row, column);
}

}  // namespace rnn_engine::cpu
