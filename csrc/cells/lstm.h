// LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), as in torch.nn.LSTM:
//   z = W x + b_ih + b_hh + U h';  i, f, o = sigmoid(z);  g = tanh(z);  c = f c' + i g;  h = o tanh(c)
#pragma once

#include "cells/cell.h"
#include "cells/math.h"

namespace rnn_engine {

struct LstmCell {
  static constexpr const char* kName = "lstm";
  static constexpr bool kSplit = false;
  static constexpr int kExtra = 0;
  static constexpr bool kExtraBias = false;
  static constexpr int kSums = 1;  // sum of dz

  // a: z in, activated gates out.
  template <class V>
  static inline __attribute__((always_inline)) void forward(V (&a)[kGates], V (&)[kGates],
                                                            const V (*)[kGates], V c_prev, V& c, V& h) {
    a[0] = sigmoid(a[0]);
    a[1] = sigmoid(a[1]);
    a[2] = tanh(a[2]);
    a[3] = sigmoid(a[3]);
    c = fma(a[1], c_prev, a[0] * a[2]);
    h = a[3] * tanh(c);
  }

  // a: activated gates in, dz out.
  template <class V>
  static inline __attribute__((always_inline)) void backward(V (&a)[kGates], V (&)[kGates],
                                                             const V (*)[kGates], V c_prev, V c, V dh, V& dc,
                                                             V (*sums)[kGates]) {
    const V one(1), i = a[0], f = a[1], g = a[2], o = a[3], tanh_c = tanh(c);
    const V dc_total = fma(dh * o, one - tanh_c * tanh_c, dc);
    a[0] = dc_total * g * i * (one - i);
    a[1] = dc_total * c_prev * f * (one - f);
    a[2] = dc_total * i * (one - g * g);
    a[3] = dh * tanh_c * o * (one - o);
    dc = dc_total * f;
    for (int k = 0; k < kGates; ++k) sums[0][k] = sums[0][k] + a[k];
  }

  template <class T>
  static VectorGradients<T> finish(const T* sums, const T*) {
    return {sums[0], sums[0], {}};
  }
};

}  // namespace rnn_engine
