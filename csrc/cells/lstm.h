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
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void activate(V (&z)[kGates]) {
    z[0] = sigmoid(z[0]);
    z[1] = sigmoid(z[1]);
    z[2] = tanh(z[2]);
    z[3] = sigmoid(z[3]);
  }

  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE V next_state(const V (&gates)[kGates], V c_prev) {
    return fma(gates[1], c_prev, gates[0] * gates[2]);
  }

  // Activated i, f, g in, their dz out; dc: gradient of c in, of c' out.
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void state_gradients(V (&gates)[kGates], V c_prev, V& dc) {
    const V one(1), i = gates[0], f = gates[1], g = gates[2];
    gates[0] = dc * g * i * (one - i);
    gates[1] = dc * c_prev * f * (one - f);
    gates[2] = dc * i * (one - g * g);
    dc = dc * f;
  }

  // gates: z in, activated gates out.
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void forward(V (&gates)[kGates], V (&)[kGates], const V (*)[kGates],
                                                          V c_prev, V& c, V& h) {
    activate(gates);
    c = next_state(gates, c_prev);
    h = gates[3] * tanh(c);
  }

  // gates: activated gates in, dz out.
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void backward(V (&gates)[kGates], V (&)[kGates], const V (*)[kGates],
                                                           V c_prev, V c, V dh, V& dc, V (*sums)[kGates]) {
    const V one(1), o = gates[3], tanh_c = tanh(c);
    dc = fma(dh * o, one - tanh_c * tanh_c, dc);
    state_gradients(gates, c_prev, dc);
    gates[3] = dh * tanh_c * o * (one - o);
    for (int k = 0; k < kGates; ++k) sums[0][k] = sums[0][k] + gates[k];
  }

  // For cells that bring wx and uh themselves: z of gate k, and from dz (d) the gradients of wx and uh in their place.
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE V join(V wx, V uh, const V (*)[kGates], int) {
    return wx + uh;
  }
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void separate(V d, V& wx, V& uh, const V (*)[kGates], int k,
                                                           V (*sums)[kGates]) {
    wx = uh = d;
    sums[0][k] = sums[0][k] + d;
  }

  template <class T>
  RNN_ENGINE_DEVICE static VectorGradients<T> finish(const T* sums, const T*) {
    return {sums[0], sums[0], {}};
  }
};

}  // namespace rnn_engine
