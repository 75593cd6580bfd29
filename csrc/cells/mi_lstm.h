// Multiplicative-integration LSTM (Wu et al. 2016, "On multiplicative integration with recurrent neural
// networks"):
//   a = W x + b_ih;  r = U h' + b_hh;  z = alpha a r + beta1 r + beta2 a + b;  gates and state as in the LSTM
#pragma once

#include "cells/lstm.h"

namespace rnn_engine {

struct MiLstmCell {
  static constexpr const char* kName = "mi_lstm";
  static constexpr bool kSplit = true;
  static constexpr int kExtra = 4;  // alpha, beta1, beta2, bias
  static constexpr bool kExtraBias = true;
  static constexpr int kSums = 4;  // with d = dz: sums of d, d r, d a, d a r

  template <class V>
  static inline __attribute__((always_inline)) V integrate(V a, V r, V alpha, V beta1, V beta2, V bias) {
    return fma(fma(alpha, a, beta1), r, fma(beta2, a, bias));
  }

  // a and r are kept as they are: backward makes the gates from them again.
  template <class V>
  static inline __attribute__((always_inline)) void forward(V (&a)[kGates], V (&r)[kGates],
                                                            const V (*extra)[kGates], V c_prev, V& c, V& h) {
    V z[kGates];
    for (int k = 0; k < kGates; ++k)
      z[k] = integrate(a[k], r[k], extra[0][k], extra[1][k], extra[2][k], extra[3][k]);
    LstmCell::forward(z, r, extra, c_prev, c, h);
  }

  template <class V>
  static inline __attribute__((always_inline)) void backward(V (&a)[kGates], V (&r)[kGates],
                                                             const V (*extra)[kGates], V c_prev, V c, V dh,
                                                             V& dc, V (*sums)[kGates]) {
    V d[kGates];
    for (int k = 0; k < kGates; ++k)
      d[k] = integrate(a[k], r[k], extra[0][k], extra[1][k], extra[2][k], extra[3][k]);
    d[0] = sigmoid(d[0]);
    d[1] = sigmoid(d[1]);
    d[2] = tanh(d[2]);
    d[3] = sigmoid(d[3]);
    LstmCell::backward(d, r, extra, c_prev, c, dh, dc, sums);  // d: gates in, dz out; sums[0] += dz
    for (int k = 0; k < kGates; ++k) {
      const V dr = d[k] * r[k];
      sums[1][k] = sums[1][k] + dr;
      sums[2][k] = fma(d[k], a[k], sums[2][k]);
      sums[3][k] = fma(dr, a[k], sums[3][k]);
      const V da = d[k] * fma(extra[0][k], r[k], extra[2][k]);
      r[k] = d[k] * fma(extra[0][k], a[k], extra[1][k]);
      a[k] = da;
    }
  }

  // da = d (alpha r + beta2) and dr = d (alpha a + beta1), so their sums follow from those of d, d r and d a.
  template <class T>
  static VectorGradients<T> finish(const T* sums, const T* extra) {
    return {extra[0] * sums[1] + extra[2] * sums[0],
            extra[0] * sums[2] + extra[1] * sums[0],
            {sums[3], sums[1], sums[2], sums[0]}};
  }
};

}  // namespace rnn_engine
