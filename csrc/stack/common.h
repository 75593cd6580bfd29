// What forward and backward share: typed views of the caller's pointers, row offsets, dropout.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "backend/kernels.h"
#include "base/pool.h"
#include "plan/layout.h"

namespace rnn_engine {

template <class T>
struct Weights {
  T *weight_ih, *weight_hh, *bias_ih, *bias_hh, *extra[kMaxExtra];

  explicit Weights(const rnn_engine_weights& w)
      : weight_ih(static_cast<T*>(w.weight_ih)),
        weight_hh(static_cast<T*>(w.weight_hh)),
        bias_ih(static_cast<T*>(w.bias_ih)),
        bias_hh(static_cast<T*>(w.bias_hh)),
        extra{static_cast<T*>(w.extra[0]), static_cast<T*>(w.extra[1]), static_cast<T*>(w.extra[2]),
              static_cast<T*>(w.extra[3])} {}
};

// offsets[t]: first row of step t; offsets[T] = N. One thread fills it.
inline void fill_offsets(const Shape& shape, std::int64_t* offsets) {
  offsets[0] = 0;
  for (std::int64_t t = 0; t < shape.T; ++t) offsets[t + 1] = offsets[t] + shape.batch(t);
}

// out = in * mask / (1 - p) for this thread's share of the steps. The mask of an element is a function of
// (seed, layer, step, the caller's row, column) and so is the same in forward and backward, whatever the
// batch.
template <class T>
void drop(const Team& team, const Shape& s, const Kernels<T>& kernels, std::int64_t layer,
          const std::int64_t* offsets, const T* in, T* out) {
  const std::int64_t columns = s.D * s.H;
  const double p = s.problem->dropout;
  DropoutRow<T> row{};
  row.columns = columns;
  row.key = {static_cast<std::uint32_t>(s.problem->seed), static_cast<std::uint32_t>(s.problem->seed >> 32)};
  row.site = static_cast<std::uint32_t>(layer);
  row.threshold = static_cast<std::uint32_t>(std::min(p * 4294967296.0, 4294967295.0));
  row.scale = p < 1 ? static_cast<T>(1 / (1 - p)) : T(0);
  const Team::Range steps = team.share(s.T);
  for (std::int64_t t = steps.begin; t < steps.end; ++t) {
    row.step = static_cast<std::uint32_t>(t);
    for (std::int64_t b = 0; b < s.batch(t); ++b) {
      row.row = static_cast<std::uint32_t>(s.row_id(b));
      row.in = in + (offsets[t] + b) * columns;
      row.out = out + (offsets[t] + b) * columns;
      kernels.dropout(row);
    }
  }
}

}  // namespace rnn_engine
