// Attention's weights in training, a row at a time: the lanes are steps of the source.
#pragma once

#include "cells/lanes.h"
#include "cells/math.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/rows.h"

namespace rnn_engine::cpu {

template <class V>
RowTotal<typename V::Scalar> weigh_row(typename V::Scalar* values, std::int64_t count, typename V::Scalar scale) {
  using T = typename V::Scalar;
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    const int lanes = units_at<V>(j, count);
    store_units(load_units<V>(values + j, lanes) * V(scale), values + j, lanes);
  }
  RowTotal<T> result{highest_of<V>(values, count), T(0)};
  const V highest(result.highest);
  result.total = row_sum<V, 1>(count, [&](int, std::int64_t j, int lanes, V sum) {
    if (!lanes) return sum;
    const V power = first_units(exp(load_units<V>(values + j, lanes) - highest), lanes);
    store_units(power, values + j, lanes);
    return sum + power;
  });
  const V factor(T(1) / result.total);
  for (std::int64_t j = 0; j < count; j += V::kWidth) {
    const int lanes = units_at<V>(j, count);
    store_units(load_units<V>(values + j, lanes) * factor, values + j, lanes);
  }
  return result;
}

template <class V>
void differentiate_weights(const WeightsRow<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  const V scale(t.scale), logarithm(-t.logarithm);
  const T sum = row_sum<V, 1>(t.count, [&](int, std::int64_t j, int lanes, V sum) {
    if (!lanes) return sum;
    const V weight = exp(fma(load_units<V>(t.weights + j, lanes), scale, logarithm));
    store_units(weight, t.weights + j, lanes);
    if (!t.d_weights) return sum;
    V slope = load_units<V>(t.d_weights + j, lanes);  // zeros in the other lanes, as in their products
    if (t.kept) {
      slope = slope * load_units<V>(t.kept + j, lanes);
      store_units(slope, t.d_weights + j, lanes);
    }
    return fma(weight, slope, sum);
  });
  for (std::int64_t j = 0; j < t.count; j += V::kWidth) {
    const int lanes = units_at<V>(j, t.count);
    const V weight = load_units<V>(t.weights + j, lanes);
    if (t.d_weights)
      store_units(weight * scale * (load_units<V>(t.d_weights + j, lanes) - V(sum)), t.d_weights + j, lanes);
    if (t.kept) store_units(weight * load_units<V>(t.kept + j, lanes), t.weights + j, lanes);
  }
}

template <class V>
void score_additive(const AdditiveRow<typename V::Scalar>& t) {
  for (std::int64_t s = 0; s < t.length; ++s) {
    const auto* key = t.keys + s * t.key_row;
    t.scores[s] = row_sum<V, 1>(t.size, [&](int, std::int64_t j, int lanes, V sum) {
      if (!lanes) return sum;
      const V value = tanh(load_units<V>(t.query + j, lanes) + load_units<V>(key + j, lanes));
      return fma(load_units<V>(t.vector + j, lanes), value, sum);  // the vector has zeros in the other lanes
    });
  }
}

// d_query, and the sums over queries, are chains over ascending s.
template <class V>
void differentiate_additive(const AdditiveRow<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  for (std::int64_t s = 0; s < t.length; ++s) {
    const T* key = t.keys + s * t.key_row;
    T* d_key = t.d_keys ? t.d_keys + s * t.d_key_row : nullptr;
    const V d_score(t.d_scores[s]), one(T(1));
    for (std::int64_t j = 0; j < t.size; j += V::kWidth) {
      const int lanes = units_at<V>(j, t.size);
      const V value = tanh(load_units<V>(t.query + j, lanes) + load_units<V>(key + j, lanes));
      const V slope = d_score * load_units<V>(t.vector + j, lanes) * (one - value * value);
      if (t.d_query) store_units(s == 0 ? slope : load_units<V>(t.d_query + j, lanes) + slope, t.d_query + j, lanes);
      if (d_key) store_units(load_units<V>(d_key + j, lanes) + slope, d_key + j, lanes);
      if (t.d_vector) store_units(fma(d_score, value, load_units<V>(t.d_vector + j, lanes)), t.d_vector + j, lanes);
    }
  }
}

}  // namespace rnn_engine::cpu
