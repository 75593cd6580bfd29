// Gated recurrent unit (Cho et al. 2014), as in torch.nn.GRU; gate order r, z, n:
//   a = W x + b_ih;  u = U h' + b_hh;  r = sigmoid(a_r + u_r);  z = sigmoid(a_z + u_z);  n = tanh(a_n + r
//   u_n) h = (1 - z) n + z h'
#pragma once

#include "cells/cell.h"
#include "cells/math.h"

namespace rnn_engine {

struct GruCell : CellDefaults {
  static constexpr const char* kName = "gru";
  static constexpr int kGates = 3;
  static constexpr bool kSeparateRecurrentProduct = true, kSingleState = true;
  static constexpr int kSums = 2;  // sums of da, of du

  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void activate(const V (&a)[kGates],
                                                                               const V (&u)[kGates], V& r,
                                                                               V& z, V& n) {
    r = sigmoid(a[0] + u[0]);
    z = sigmoid(a[1] + u[1]);
    n = tanh(fma(r, u[2], a[2]));
  }

  // a and u are kept as they are. c is h.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void forward(V (&a)[kGates], V (&u)[kGates],
                                                                              const V (*)[kGates], V c_prev,
                                                                              V& c, V& h) {
    V r, z, n;
    activate(a, u, r, z, n);
    c = h = fma(z, c_prev - n, n);
  }

  // What comes to h from the outputs and through U is in dh, what comes through z in dc.
  template <class V>
  RNN_ENGINE_DEVICE static inline __attribute__((always_inline)) void backward(V (&a)[kGates], V (&u)[kGates],
                                                                               const V (*)[kGates], V c_prev,
                                                                               V, V dh, V& dc,
                                                                               V (*sums)[kGates]) {
    V r, z, n;
    activate(a, u, r, z, n);
    const V one(1), d = dh + dc, dn = d * (one - z) * (one - n * n);
    a[0] = dn * u[2] * r * (one - r);
    a[1] = d * (c_prev - n) * z * (one - z);
    a[2] = dn;
    u[0] = a[0];
    u[1] = a[1];
    u[2] = dn * r;
    dc = d * z;
    for (int k = 0; k < kGates; ++k) {
      sums[0][k] = sums[0][k] + a[k];
      sums[1][k] = sums[1][k] + u[k];
    }
  }

  template <class T>
  RNN_ENGINE_DEVICE static VectorGradients<T> finish(const T* sums, const T*) {
    return {sums[0], sums[1], {}};
  }
};

}  // namespace rnn_engine
