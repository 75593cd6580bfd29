// One unit of one sequence through a forward step: the same text for a kernel of its own and for the end of a
// product.
#pragma once

#include "cuda/states.cuh"
#include "cuda/vector.h"

namespace rnn_engine::cuda {

template <class T, class Cell>
__device__ inline void load_extra(const CellWeights<T>& weights, std::int64_t units, std::int64_t unit,
                                  One<Value<T>> (&extra)[kMaxExtra][Cell::kGates]) {
#pragma unroll
  for (int e = 0; e < Cell::kExtra; ++e)
#pragma unroll
    for (int k = 0; k < Cell::kGates; ++k)
      extra[e][k] = One<Value<T>>(weights.extra[e] ? weights.extra[e][k * units + unit] : Value<T>(0));
}

// a and r are the gates' products.
template <class T, class Cell>
__device__ inline void forward_unit(const CellForward<T>& p, std::int32_t b, std::int32_t unit,
                                    One<Value<T>> (&a)[Cell::kGates], One<Value<T>> (&r)[Cell::kGates]) {
  using V = One<Value<T>>;
  const std::int64_t H = p.units, gates = b * p.gate_row + unit, place = b * H + unit;
  V extra[kMaxExtra][Cell::kGates];
  load_extra<T, Cell>(p.weights, H, unit, extra);
  const V before(p.c_prev[place]);
  V c, h;
  Cell::forward(a, r, extra, before, c, h);
#pragma unroll
  for (int k = 0; k < Cell::kGates; ++k) {
    if (p.kept_a) p.kept_a[gates + k * H] = narrow<T>(a[k].v);
    if constexpr (Cell::kSplit) {
      if (p.kept_r) p.kept_r[gates + k * H] = narrow<T>(r[k].v);
    }
  }
  if (p.cell) p.cell[place] = c.v;
  if (p.zoneout.on) c.v = zone_out(p.zoneout, b, unit, before.v, c.v);
  if (p.state) p.state[place] = c.v;
  if (p.c) p.c[place] = c.v;
  if (p.c_output) p.c_output[b * p.c_output_row + unit] = c.v;
  if (p.raw)
    p.raw[place] = narrow<T>(h.v);
  else if (p.end.units)
    end_hidden_value(p.end, b, unit, narrow<T>(h.v));
}

}  // namespace rnn_engine::cuda
