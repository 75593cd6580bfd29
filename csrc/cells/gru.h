// Gated recurrent unit (Cho et al. 2014), as in torch.nn.GRU; gate order r, z, n:
//   wx = W x + b_ih;  uh = U h' + b_hh
//   r = sigmoid(wx_r + uh_r);  z = sigmoid(wx_z + uh_z);  n = tanh(wx_n + r uh_n);  h = (1 - z) n + z h'
#pragma once

#include "cells/cell.h"
#include "cells/math.h"

namespace rnn_engine {

struct GruCell : CellDefaults {
  static constexpr const char* kName = "gru";
  static constexpr int kGates = 3;
  static constexpr bool kSeparateRecurrentProduct = true, kSingleState = true;
  static constexpr int kSums = 2;  // sums of d_wx, of d_uh

  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void activate(const V (&wx)[kGates], const V (&uh)[kGates], V& r, V& z,
                                                           V& n) {
    r = sigmoid(wx[0] + uh[0]);
    z = sigmoid(wx[1] + uh[1]);
    n = tanh(fma(r, uh[2], wx[2]));
  }

  // wx and uh are kept as they are. c is h.
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void forward(V (&wx)[kGates], V (&uh)[kGates], const V (*)[kGates],
                                                          V c_prev, V& c, V& h) {
    V r, z, n;
    activate(wx, uh, r, z, n);
    c = h = fma(z, c_prev - n, n);
  }

  // dh is the gradient of h from the outputs and through U, dc the one through z.
  template <class V>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void backward(V (&wx)[kGates], V (&uh)[kGates], const V (*)[kGates],
                                                           V c_prev, V, V dh, V& dc, V (*sums)[kGates]) {
    V r, z, n;
    activate(wx, uh, r, z, n);
    const V one(1), d = dh + dc, dn = d * (one - z) * (one - n * n);
    wx[0] = dn * uh[2] * r * (one - r);
    wx[1] = d * (c_prev - n) * z * (one - z);
    wx[2] = dn;
    uh[0] = wx[0];
    uh[1] = wx[1];
    uh[2] = dn * r;
    dc = d * z;
    for (int k = 0; k < kGates; ++k) {
      sums[0][k] = sums[0][k] + wx[k];
      sums[1][k] = sums[1][k] + uh[k];
    }
  }

  template <class T>
  RNN_ENGINE_DEVICE static VectorGradients<T> finish(const T* sums, const T*) {
    return {sums[0], sums[1], {}};
  }
};

}  // namespace rnn_engine
