// Vectors with tails, and sums over the units of a row.
//
// A sum runs over 16 lanes whatever the vector's width: unit j belongs to lane j % 16, and the lanes are
// joined in one fixed order, so that every instruction set gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/device.h"

namespace rnn_engine {

inline constexpr int kLanes = 16;

template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V load_units(const typename V::Scalar* p, int units) {
  return units == V::kWidth ? V::load(p) : V::load(p, units);
}

template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE void store_units(V value, typename V::Scalar* p, int units) {
  if (units == V::kWidth)
    value.store(p);
  else
    value.store(p, units);
}

// The first `units` values, and zeros.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V first_units(V value, int units) {
  if (units == V::kWidth) return value;
  typename V::Scalar all[V::kWidth];
  value.store(all);
  return V::load(all, units);
}

// How many of the `units` values of a row lie in the vector that begins at `unit`.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE int units_at(std::int64_t unit, std::int64_t units) {
  const std::int64_t left = units - unit;
  return left >= V::kWidth ? V::kWidth : left < 0 ? 0 : static_cast<int>(left);
}

template <class V>
struct LaneSum {
  static constexpr int kVectors = kLanes / V::kWidth;
  V part[kVectors];

  RNN_ENGINE_DEVICE RNN_ENGINE_INLINE LaneSum() {
    for (int i = 0; i < kVectors; ++i) part[i] = V(typename V::Scalar(0));
  }
  // The lanes of the vector that begins at `unit`.
  RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V& at(std::int64_t unit) { return part[unit / V::kWidth % kVectors]; }

  RNN_ENGINE_DEVICE RNN_ENGINE_INLINE typename V::Scalar total() const {
    typename V::Scalar lanes[kLanes];
    for (int i = 0; i < kVectors; ++i) part[i].store(lanes + i * V::kWidth);
    for (int half = kLanes / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) lanes[i] = lanes[i] + lanes[i + half];
    return lanes[0];
  }
};

// Sums over kParts x units: `add(part, unit, valid, sum)` is the sum with the vector at `unit`, of `valid`
// values, added; beyond those it adds zeros.
template <class V, int kParts, class Add>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE typename V::Scalar row_sum(std::int64_t units, const Add& add) {
  LaneSum<V> sums[kParts];
  for (std::int64_t first = 0; first < units; first += LaneSum<V>::kVectors * V::kWidth) {
#pragma GCC unroll 8
    for (int i = 0; i < LaneSum<V>::kVectors; ++i) {
      const std::int64_t unit = first + i * V::kWidth;
      const int valid = units_at<V>(unit, units);
#pragma GCC unroll 4
      for (int k = 0; k < kParts; ++k) sums[k].part[i] = add(k, unit, valid, sums[k].part[i]);
    }
  }
  typename V::Scalar total = sums[0].total();
  for (int k = 1; k < kParts; ++k) total = total + sums[k].total();
  return total;
}

}  // namespace rnn_engine
