// The natural logarithm with the same bits on every machine: C libraries round some results differently.
#pragma once

#include <cmath>

#include "base/device.h"

namespace rnn_engine {

// log(x) of a normal x > 0, within one unit in the last place; -inf of 0; NaN stays NaN.
//
// x = 2^n m with m in [sqrt(1/2), sqrt(2)), and log(m) = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m +
// 1); |s| < 0.172, so that the first term left out is far below half a unit in the last place.
RNN_ENGINE_DEVICE inline double portable_log(double x) {
  constexpr double kRootHalf = 0.70710678118654752440;
  // ln 2 in two parts; the first has so few digits that n times it is exact.
  constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr int kTerms = 11;
  if (x == 0) return -__builtin_huge_val();
  int n = 0;
  double m = ::frexp(x, &n);
  if (m < kRootHalf) {
    m *= 2;
    --n;
  }
  const double f = m - 1, s = f / (m + 1), square = s * s;
  double series = 1.0 / (2 * kTerms + 1);
  for (int i = kTerms - 1; i >= 1; --i) series = series * square + 1.0 / (2 * i + 1);
  // 2 s = f - s f, whose first part is exact.
  return n * kLn2High + (f - (s * (f - 2 * square * series) - n * kLn2Low));
}

}  // namespace rnn_engine
