// Multiplicative-integration LSTM (Wu et al. 2016, "On multiplicative integration with recurrent neural
// networks"):
//   a = W x + b_ih;  r = U h' + b_hh;  z = alpha a r + beta1 r + beta2 a + b;  gates and state as in the LSTM
#pragma once

#include "cells/lstm.h"

namespace rnn_engine {

struct MiLstmCell : CellDefaults {
  static constexpr const char* kName = "mi_lstm";
  static constexpr bool kSeparateRecurrentProduct = true;
  static constexpr int kVectorParams = 4;  // alpha, beta1, beta2, bias
  static constexpr unsigned kBiasVectors = 1u << 3;
  static constexpr int kSums = 4;  // with d = dz: sums of d, d r, d a, d a r

  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) V join(V a, V r,
                                                                        const V (*vector_params)[kGates],
                                                                        int k) {
    return fma(fma(vector_params[0][k], a, vector_params[1][k]), r,
               fma(vector_params[2][k], a, vector_params[3][k]));
  }

  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void separate(
      V d, V& a, V& r, const V (*vector_params)[kGates], int k, V (*sums)[kGates]) {
    const V dr = d * r;
    sums[0][k] = sums[0][k] + d;
    sums[1][k] = sums[1][k] + dr;
    sums[2][k] = fma(d, a, sums[2][k]);
    sums[3][k] = fma(dr, a, sums[3][k]);
    const V da = d * fma(vector_params[0][k], r, vector_params[2][k]);
    r = d * fma(vector_params[0][k], a, vector_params[1][k]);
    a = da;
  }

  // a and r are kept as they are: backward recomputes the gates from them.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void forward(
      V (&a)[kGates], V (&r)[kGates], const V (*vector_params)[kGates], V c_prev, V& c, V& h) {
    V z[kGates];
    for (int k = 0; k < kGates; ++k) z[k] = join(a[k], r[k], vector_params, k);
    LstmCell::forward(z, r, vector_params, c_prev, c, h);
  }

  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void backward(
      V (&a)[kGates], V (&r)[kGates], const V (*vector_params)[kGates], V c_prev, V c, V dh, V& dc,
      V (*sums)[kGates]) {
    V d[kGates], ignored[1][kGates] = {};
    for (int k = 0; k < kGates; ++k) d[k] = join(a[k], r[k], vector_params, k);
    LstmCell::activate(d);
    LstmCell::backward(d, r, vector_params, c_prev, c, dh, dc, ignored);  // d: gates in, dz out
    for (int k = 0; k < kGates; ++k) separate(d[k], a[k], r[k], vector_params, k, sums);
  }

  // da = d (alpha r + beta2) and dr = d (alpha a + beta1), so their sums follow from those of d, d r and d a.
  template <class T>
  RNN_ENGINE_DEVICE static VectorGradients<T> finish(const T* sums, const T* vector_params) {
    return {vector_params[0] * sums[1] + vector_params[2] * sums[0],
            vector_params[0] * sums[2] + vector_params[1] * sums[0],
            {sums[3], sums[1], sums[2], sums[0]}};
  }
};

}  // namespace rnn_engine
