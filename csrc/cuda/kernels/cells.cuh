// Units through a step of a cell: the same text for a kernel of its own and for the end of a product.
#pragma once

#include "cuda/kernels/states.cuh"
#include "cuda/kernels/vector.h"

namespace rnn_engine::cuda {

template <class T, class Cell>
__device__ inline void load_vector_params(const CellWeights<T>& weights, std::int64_t units, std::int64_t unit,
                                          One<Value<T>> (&vector_params)[kMaxVectorParams][Cell::kGates]) {
#pragma unroll
  for (int e = 0; e < Cell::kVectorParams; ++e)
#pragma unroll
    for (int k = 0; k < Cell::kGates; ++k)
      vector_params[e][k] =
          One<Value<T>>(weights.vector_params[e] ? weights.vector_params[e][k * units + unit] : Value<T>(0));
}

// One unit of one sequence through a forward step. wx and uh are the gates' products.
template <class T, class Cell>
__device__ inline void forward_unit(const CellForward<T>& p, std::int32_t b, std::int32_t unit,
                                    One<Value<T>> (&wx)[Cell::kGates], One<Value<T>> (&uh)[Cell::kGates]) {
  using V = One<Value<T>>;
  const std::int64_t H = p.units, gates = b * p.gate_row + unit, place = b * H + unit;
  V vector_params[kMaxVectorParams][Cell::kGates];
  load_vector_params<T, Cell>(p.weights, H, unit, vector_params);
  const V before(p.c_prev[place]);
  V c, h;
  Cell::forward(wx, uh, vector_params, before, c, h);
#pragma unroll
  for (int k = 0; k < Cell::kGates; ++k) {
    if (p.reserve_wx) p.reserve_wx[gates + k * H] = narrow<T>(wx[k].v);
    if constexpr (Cell::kSeparateRecurrentProduct) {
      if (p.reserve_uh) p.reserve_uh[gates + k * H] = narrow<T>(uh[k].v);
    }
  }
  if (p.c_candidate) p.c_candidate[place] = c.v;
  if (p.zoneout.on) c.v = zone_out(p.zoneout, b, unit, before.v, c.v);
  if (p.state) p.state[place] = c.v;
  if (p.c) p.c[place] = c.v;
  if (p.c_output) p.c_output[b * p.c_output_row + unit] = c.v;
  if (p.h_unprojected)
    p.h_unprojected[place] = narrow<T>(h.v);
  else if (p.end.units)
    end_hidden_value(p.end, b, unit, narrow<T>(h.v));
}

// One unit of the kSumRows sequences of a block of rows through a backward step; their contributions to the
// sums are added up in their order. dh_of(b): gradient of the cell's output of sequence b.
template <class T, class Cell, class GradientOf>
__device__ inline void backward_units(const CellBackward<T>& p, std::int32_t block, std::int32_t unit,
                                      const GradientOf& dh_of) {
  const std::int64_t H = p.units;
  using V = One<Value<T>>;
  V vector_params[kMaxVectorParams][Cell::kGates], sums[kMaxSums][Cell::kGates];
  load_vector_params<T, Cell>(p.weights, H, unit, vector_params);
  Value<T>* own = p.sums + block * (Cell::kSums * Cell::kGates * H) + unit;
#pragma unroll
  for (int s = 0; s < Cell::kSums; ++s)
#pragma unroll
    for (int k = 0; k < Cell::kGates; ++k) sums[s][k] = V(own[(s * Cell::kGates + k) * H]);
#pragma unroll
  for (int i = 0; i < kSumRows; ++i) {
    const std::int32_t b = block * kSumRows + i;
    if (b >= p.rows) break;
    const std::int64_t gates = b * p.gate_row + unit, place = b * H + unit;
    V wx[Cell::kGates], uh[Cell::kGates];
#pragma unroll
    for (int k = 0; k < Cell::kGates; ++k) {
      wx[k] = V(widen(p.wx[gates + k * H]));
      if constexpr (Cell::kSeparateRecurrentProduct) uh[k] = V(widen(p.uh[gates + k * H]));
    }
    const V dh(dh_of(b));
    V dc(p.dc[place]);
    if (p.dc_output) dc.v = dc.v + p.dc_output[b * p.dc_output_row + unit];
    Value<T> past(0);
    if (p.zoneout.on) {
      const Value<T> s = stays(p.zoneout, b, unit);
      past = s * dc.v;
      dc.v = (Value<T>(1) - s) * dc.v;
    }
    const V c_prev(b < p.known ? p.c_prev[place] : p.c_first ? p.c_first[place] : Value<T>(0));
    Cell::backward(wx, uh, vector_params, c_prev, V(p.c[place]), dh, dc, sums);
#pragma unroll
    for (int k = 0; k < Cell::kGates; ++k) {
      p.wx[gates + k * H] = narrow<T>(wx[k].v);
      if constexpr (Cell::kSeparateRecurrentProduct) p.uh[gates + k * H] = narrow<T>(uh[k].v);
    }
    if (p.zoneout.on) dc.v = dc.v + past;
    p.dc[place] = dc.v;
    if (p.dc0 && b >= p.carried) p.dc0[place] = dc.v;
  }
#pragma unroll
  for (int s = 0; s < Cell::kSums; ++s)
#pragma unroll
    for (int k = 0; k < Cell::kGates; ++k) own[(s * Cell::kGates + k) * H] = sums[s][k].v;
}

}  // namespace rnn_engine::cuda
