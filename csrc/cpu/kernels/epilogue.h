// What comes behind a product, in either direction, on one row: activation, and dropout's mask and scale.
#pragma once

#include "cells/lanes.h"
#include "cells/math.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/masks.h"

namespace rnn_engine::cpu {

// Calls visit(column, lanes, factor) for each vector of the row: what its values are multiplied by.
template <class V, class T, class Visit>
RNN_ENGINE_INLINE void for_each_vector(const EpilogueRow<T>& t, const Visit& visit) {
  using S = typename V::Scalar;
  const V one(S(1)), scale(t.scale);
  if (!t.drops) {
    for (std::int64_t j = 0; j < t.columns; j += V::kWidth) visit(j, units_at<V>(j, t.columns), scale);
    return;
  }
  for_each_marks<V>(t.mask, t.columns, [&](std::int64_t first, std::int64_t last, const S* marks) {
    for (std::int64_t j = first; j < last; j += V::kWidth) {
      const int lanes = units_at<V>(j, last);
      visit(j, lanes, (one - load_units<V>(marks + (j - first), lanes)) * scale);
    }
  });
}

// Products may lie in float32 where T is bfloat16.
template <class V, class T>
void epilogue_forward(const EpilogueRow<T>& t) {
  if (t.tanh)
    for_each_vector<V>(t, [&](std::int64_t j, int lanes, V factor) {
      store_units(tanh(load_units<V>(t.product + j, lanes)) * factor, t.out + j, lanes);
    });
  else
    for_each_vector<V>(t, [&](std::int64_t j, int lanes, V factor) {
      store_units(load_units<V>(t.product + j, lanes) * factor, t.out + j, lanes);
    });
}

template <class V, class T>
void epilogue_backward(const EpilogueRow<T>& t) {
  using S = typename V::Scalar;
  const V one(S(1)), inverse(t.inverse);
  for_each_vector<V>(t, [&](std::int64_t j, int lanes, V factor) {
    V slope = load_units<V>(t.dy + j, lanes) * factor;
    if (t.tanh) {
      const V value = load_units<V>(t.y + j, lanes) * inverse;
      slope = slope * fma(-value, value, one);
    }
    if (t.out) store_units(slope, t.out + j, lanes);
    if (t.sums) store_units(load_units<V>(t.sums + j, lanes) + slope, t.sums + j, lanes);
  });
}

}  // namespace rnn_engine::cpu
