// LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), as in torch.nn.LSTM:
//   z = W x + b_ih + b_hh + U h';  i, f, o = sigmoid(z);  g = tanh(z);  c = f c' + i g;  h = o tanh(c)
#pragma once

#include "cells/cell.h"
#include "cells/math.h"

namespace rnn_engine {

struct LstmCell : CellDefaults {
  static constexpr const char* kName = "lstm";
  static constexpr int kSums = 1;  // sum of dz

  // z in, activated gates out.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void activate(V (&z)[kGates]) {
    z[0] = sigmoid(z[0]);
    z[1] = sigmoid(z[1]);
    z[2] = tanh(z[2]);
    z[3] = sigmoid(z[3]);
  }

  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) V next_state(const V (&gates)[kGates],
                                                                              V c_prev) {
    return fma(gates[1], c_prev, gates[0] * gates[2]);
  }

  // Activated i, f, g in, their dz out; dc: gradient of c in, of c' out.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void state_gradients(V (&a)[kGates],
                                                                                      V c_prev, V& dc) {
    const V one(1), i = a[0], f = a[1], g = a[2];
    a[0] = dc * g * i * (one - i);
    a[1] = dc * c_prev * f * (one - f);
    a[2] = dc * i * (one - g * g);
    dc = dc * f;
  }

  // a: z in, activated gates out.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void forward(V (&a)[kGates], V (&)[kGates],
                                                                              const V (*)[kGates], V c_prev,
                                                                              V& c, V& h) {
    activate(a);
    c = next_state(a, c_prev);
    h = a[3] * tanh(c);
  }

  // a: activated gates in, dz out.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void backward(V (&a)[kGates], V (&)[kGates],
                                                                               const V (*)[kGates], V c_prev,
                                                                               V c, V dh, V& dc,
                                                                               V (*sums)[kGates]) {
    const V one(1), o = a[3], tanh_c = tanh(c);
    dc = fma(dh * o, one - tanh_c * tanh_c, dc);
    state_gradients(a, c_prev, dc);
    a[3] = dh * tanh_c * o * (one - o);
    for (int k = 0; k < kGates; ++k) sums[0][k] = sums[0][k] + a[k];
  }

  // For cells that bring a and r themselves: z of gate k, and from dz (d) the gradients of a and r in their
  // place.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) V join(V a, V r, const V (*)[kGates], int) {
    return a + r;
  }
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void separate(V d, V& a, V& r,
                                                                               const V (*)[kGates], int k,
                                                                               V (*sums)[kGates]) {
    a = r = d;
    sums[0][k] = sums[0][k] + d;
  }

  template <class T>
  RNN_ENGINE_DEVICE static VectorGradients<T> finish(const T* sums, const T*) {
    return {sums[0], sums[0], {}};
  }
};

}  // namespace rnn_engine
