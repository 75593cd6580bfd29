// exp, sigmoid and tanh for the cells and the loss: one text for every vector type, so that every instruction set gives
// the same bits. V is a vector of V::Scalar with + - * /, and the functions fma, min, max, round_even and pow2.
//
// exp(x) = 2^n (1 + q) with n = round(x / ln 2), r = x - n ln 2 and q = expm1(r) by its Taylor series; |r| <=
// ln(2)/2, so that the first term left out is below half a unit in the last place.
#pragma once

#include "base/device.h"

namespace rnn_engine {

template <class Scalar>
struct ExpConstants;

template <>
struct ExpConstants<float> {
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440054690583e-4f;
  static constexpr float kLowest = -87.0f, kHighest = 88.0f;  // beyond, 2^n leaves the normal numbers
  static constexpr float kTanhBound = 20.0f;                  // tanh(10) rounds to 1
  static constexpr int kTerms = 7;
};

template <>
struct ExpConstants<double> {
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  static constexpr double kLowest = -708.0, kHighest = 709.0;
  static constexpr double kTanhBound = 40.0;
  static constexpr int kTerms = 13;
};

// 1 / n!
template <class Scalar>
RNN_ENGINE_DEVICE constexpr Scalar inverse_factorial(int n) {
  double product = 1;
  for (int i = 2; i <= n; ++i) product *= i;
  return static_cast<Scalar>(1 / product);
}

// Splits exp(x) = scale * (1 + q); x within [kLowest, kHighest]. NaN stays NaN.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE void split_exp(V x, V& scale, V& q) {
  using S = typename V::Scalar;
  using C = ExpConstants<S>;
  const V n = round_even(x * V(static_cast<S>(1.44269504088896340736)));
  V r = fma(n, V(-C::kLn2High), x);
  r = fma(n, V(-C::kLn2Low), r);
  V p(inverse_factorial<S>(C::kTerms));
#pragma GCC unroll 16
  for (int i = C::kTerms - 1; i >= 2; --i) p = fma(p, r, V(inverse_factorial<S>(i)));
  q = fma(r * r, p, r);
  scale = pow2(n);
}

// Beyond the bounds the result is that of the bound, never infinite and never quite zero.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V exp(V x) {
  using C = ExpConstants<typename V::Scalar>;
  V scale, q;
  split_exp(min(V(C::kHighest), max(V(C::kLowest), x)), scale, q);
  return fma(scale, q, scale);
}

// The bound stands first in min and max: they return their second argument when one is NaN.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V sigmoid(V x) {
  using C = ExpConstants<typename V::Scalar>;
  V scale, q;
  split_exp(min(V(C::kHighest), max(V(C::kLowest), -x)), scale, q);
  const V one(1);
  return one / (one + fma(scale, q, scale));
}

// tanh(x) = e / (e + 2) with e = expm1(2x), exact to the last places near zero too.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V tanh(V x) {
  using C = ExpConstants<typename V::Scalar>;
  V scale, q;
  split_exp(min(V(C::kTanhBound), max(V(-C::kTanhBound), x + x)), scale, q);
  const V e = fma(scale, q, scale - V(1));
  return e / (e + V(2));
}

}  // namespace rnn_engine
