// Multiplicative-integration LSTM (Wu et al. 2016, "On multiplicative integration with recurrent neural networks"):
//   wx = W x + b_ih;  uh = U h' + b_hh;  z = alpha wx uh + beta1 uh + beta2 wx + b
// Gates and state are those of the LSTM.
#pragma once

#include "cells/lstm.h"

namespace rnn_engine {

struct MiLstmCell : CellDefaults {
  static constexpr const char* kName = "mi_lstm";
  static constexpr bool kSeparateRecurrentProduct = true;
  static constexpr int kVectorParams = 4;  // alpha, beta1, beta2, bias
  static constexpr unsigned kBiasVectors = 1u << 3;
  static constexpr int kSums = 4;  // with d = dz: sums of d, d uh, d wx, d wx uh

  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE V join(V wx, V uh, const V (*vector_params)[kGates], int k) {
    return fma(fma(vector_params[0][k], wx, vector_params[1][k]), uh,
               fma(vector_params[2][k], wx, vector_params[3][k]));
  }

  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void separate(V d, V& wx, V& uh, const V (*vector_params)[kGates], int k,
                                                           V (*sums)[kGates]) {
    const V d_uh = d * uh;
    sums[0][k] = sums[0][k] + d;
    sums[1][k] = sums[1][k] + d_uh;
    sums[2][k] = fma(d, wx, sums[2][k]);
    sums[3][k] = fma(d_uh, wx, sums[3][k]);
    const V d_wx = d * fma(vector_params[0][k], uh, vector_params[2][k]);
    uh = d * fma(vector_params[0][k], wx, vector_params[1][k]);
    wx = d_wx;
  }

  // wx and uh are kept as they are: backward recomputes the gates from them.
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void forward(V (&wx)[kGates], V (&uh)[kGates],
                                                          const V (*vector_params)[kGates], V c_prev, V& c, V& h) {
    V z[kGates];
    for (int k = 0; k < kGates; ++k) z[k] = join(wx[k], uh[k], vector_params, k);
    LstmCell::forward(z, uh, vector_params, c_prev, c, h);
  }

  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void backward(V (&wx)[kGates], V (&uh)[kGates],
                                                           const V (*vector_params)[kGates], V c_prev, V c, V dh, V& dc,
                                                           V (*sums)[kGates]) {
    V d[kGates], ignored[1][kGates] = {};
    for (int k = 0; k < kGates; ++k) d[k] = join(wx[k], uh[k], vector_params, k);
    LstmCell::activate(d);
    LstmCell::backward(d, uh, vector_params, c_prev, c, dh, dc, ignored);  // d: gates in, dz out
    for (int k = 0; k < kGates; ++k) separate(d[k], wx[k], uh[k], vector_params, k, sums);
  }

  // d_wx = d (alpha uh + beta2) and d_uh = d (alpha wx + beta1), so their sums follow from those of d, d uh and d wx.
  template <class T>
  RNN_ENGINE_DEVICE static VectorGradients<T> finish(const T* sums, const T* vector_params) {
    return {vector_params[0] * sums[1] + vector_params[2] * sums[0],
            vector_params[0] * sums[2] + vector_params[1] * sums[0],
            {sums[3], sums[1], sums[2], sums[0]}};
  }
};

}  // namespace rnn_engine
