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
  static constexpr float kLowest = -88.0f, kHighest = 88.0f;  // 2^n is zero at one, and beyond the other not finite
  static constexpr float kOverflow = 89.0f;                   // half of exp is finite there, and all of it is not
  static constexpr float kTanhBound = 20.0f;                  // tanh(10) rounds to 1
  static constexpr int kTerms = 7;
};

template <>
struct ExpConstants<double> {
  static constexpr double kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
  static constexpr double kLowest = -709.0, kHighest = 709.0;
  static constexpr double kOverflow = 710.0;
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

// Splits exp(x) 2^-kHalvings = scale * (1 + q); x within [kLowest, kHighest], or as far as 2^(n - kHalvings) goes. NaN
// stays NaN.
template <int kHalvings = 0, class V>
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
  if constexpr (kHalvings == 0)
    scale = pow2(n);
  else
    scale = pow2(n - V(kHalvings));
}

// What rounds to a number below the normal ones may be zero, and exp(-inf) is. Above the bound the result is the
// bound's: the loss takes exp of nothing above 0.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V exp(V x) {
  using C = ExpConstants<typename V::Scalar>;
  V scale, q;
  split_exp(min(V(C::kHighest), max(V(C::kLowest), x)), scale, q);
  return fma(scale, q, scale);
}

// 1 / (1 + 2 e) with e = exp(-x) / 2: where exp(-x) is beyond the largest number the sum is infinite and the result
// zero, as sigmoid(-inf) is. Below -60 exp(-x) is lost in the sum. The bound stands first in min and max: they return
// their second argument when one is NaN.
template <class V>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V sigmoid(V x) {
  using S = typename V::Scalar;
  V scale, q;
  split_exp<1>(min(V(ExpConstants<S>::kOverflow), max(V(S(-60)), -x)), scale, q);
  const V one(1);
  return one / fma(V(S(2)), fma(scale, q, scale), one);
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
