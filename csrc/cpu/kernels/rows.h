// Kernels on one row of values, for searches: few rows, whose values are the lanes.
#pragma once

#include <limits>

#include "cells/lanes.h"
#include "cells/math.h"
#include "cpu/kernels/kernels.h"

namespace rnn_engine::cpu {

template <class V>
void tanh_row(typename V::Scalar* values, std::int64_t count) {
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    const int lanes = units_at<V>(j, count);
    store_units(tanh(load_units<V>(values + j, lanes)), values + j, lanes);
  }
}

// The highest of `count` values.
template <class V>
RNN_ENGINE_INLINE typename V::Scalar highest_of(const typename V::Scalar* values, std::int64_t count) {
  using T = typename V::Scalar;
  T highest = std::numeric_limits<T>::lowest();
  V top(highest);
  std::int64_t j = 0;
  for (; j + V::kWidth <= count; j += V::kWidth) top = max(V::load(values + j), top);  // NaN is no highest value
  T lanes[V::kWidth];
  top.store(lanes);
  for (T value : lanes) highest = value > highest ? value : highest;
  for (; j < count; ++j) highest = values[j] > highest ? values[j] : highest;
  return highest;
}

template <class V>
void softmax_row(typename V::Scalar* values, std::int64_t count) {
  using T = typename V::Scalar;
  const V highest(highest_of<V>(values, count));
  const T total = row_sum<V, 1>(count, [&](int, std::int64_t j, int lanes, V sum) {
    if (!lanes) return sum;
    const V power = first_units(exp(load_units<V>(values + j, lanes) - highest), lanes);
    store_units(power, values + j, lanes);
    return sum + power;
  });
  const V factor(T(1) / total);
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    const int lanes = units_at<V>(j, count);
    store_units(load_units<V>(values + j, lanes) * factor, values + j, lanes);
  }
}

template <class V>
RowTotal<typename V::Scalar> total_row(const typename V::Scalar* values, std::int64_t count,
                                       typename V::Scalar* chunk_tops) {
  using T = typename V::Scalar;
  RowTotal<T> result{std::numeric_limits<T>::lowest(), T(0)};
  for (std::int64_t first = 0; first < count; first += kChunk, ++chunk_tops) {
    *chunk_tops = highest_of<V>(values + first, count - first < kChunk ? count - first : kChunk);
    result.highest = *chunk_tops > result.highest ? *chunk_tops : result.highest;
  }
  const V highest(result.highest);
  result.total = row_sum<V, 1>(count, [&](int, std::int64_t j, int lanes, V sum) {
    return lanes ? sum + first_units(exp(load_units<V>(values + j, lanes) - highest), lanes) : sum;
  });
  return result;
}

}  // namespace rnn_engine::cpu
