// What happens to h behind a cell, and to its gradient before one: the same text for a cell's own kernel and
// for those of stacks with a projection.
#pragma once

#include "cuda/kernels/masks.cuh"

namespace rnn_engine::cuda {

template <class T>
__device__ inline Value<T> value_at(const SlicedSum<T>& sum, std::int64_t place) {
  Value<T> value = sum.slice[place];
  for (std::int32_t i = 1; i < sum.count; ++i) value = value + sum.slice[i * sum.stride + place];
  return value;
}

// h of sequence b leaves its step.
template <class T>
__device__ inline void end_hidden_value(const HiddenEnd<T>& end, std::int32_t b, std::int32_t j, T h) {
  const std::int64_t place = std::int64_t{b} * end.units + j;
  if (end.zoneout.on) h = narrow<T>(zone_out(end.zoneout, b, j, widen(end.state[place]), widen(h)));
  if (end.h) end.h[b * end.h_row + j] = h;
  if (end.zoneout.on || b >= end.ended) end.state[place] = h;
  if (end.next) end.next[place] = end.factors ? narrow<T>(end.factors[place] * widen(h)) : h;
}

// The gradient of h of sequence b. product(): dr U of the step after, for those that go on.
template <class T, class ProductAt>
__device__ inline Value<T> state_gradient_value(const StateGradient<T>& g, std::int32_t b, std::int32_t j,
                                                const ProductAt& product) {
  const std::int64_t place = std::int64_t{b} * g.units + j;
  const Value<T> dy = g.dy ? widen(g.dy[b * g.dy_row + j]) : Value<T>(0);
  Value<T> value;
  if (b < g.continued) {
    value = product();
    if (g.factors) value = value * g.factors[place] + dy;
  } else {
    value = dy + (g.dhn ? widen(g.dhn[place]) : Value<T>(0));
  }
  if (!g.zoneout.on) return value;
  if (b < g.continued) value = value + g.past[place];
  const Value<T> s = stays(g.zoneout, b, j);
  g.past[place] = s * value;
  return (Value<T>(1) - s) * value;
}

template <class T>
__device__ inline Value<T> state_gradient_value(const StateGradient<T>& g, std::int32_t b, std::int32_t j) {
  return state_gradient_value(g, b, j, [&] { return value_at(g.product, std::int64_t{b} * g.units + j); });
}

}  // namespace rnn_engine::cuda
