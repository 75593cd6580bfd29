// The problem, checked and completed with what follows from it.
#pragma once

#include <cstdint>
#include <vector>

#include "cells/table.h"
#include "rnn_engine.h"

namespace rnn_engine {

// Sizes of one layer. R is the width of its state h and of its output in each direction: P with a projection, else H.
struct LayerShape {
  std::int64_t I, H, R;
  std::int64_t Z;                 // values of all gates of a row: 4H, or 3H of a GRU
  std::int64_t G;                 // values from one row of gates to the next: Z, or a little more
  std::int64_t h_state, c_state;  // values before its first direction's in h0/hn and c0/cn
};

struct Shape {
  int cell_index, dtype;
  CellTraits cell;
  std::int64_t T, B, L, D;
  std::int64_t N;  // rows: sum of the batch sizes
  std::vector<LayerShape> layers;
  bool bias, projected, training;
  bool residual;  // from the second layer on, what a layer puts out is h plus what the layer below put out
  bool dropout;   // between layers
  double dropout_probability;
  bool one_mask;                // between layers for all steps
  double recurrent_dropout;     // 0: none
  double zoneout_c, zoneout_h;  // 0: none
  bool zoneout_masks;           // else the expectation
  bool prepacked, output, cell_output, input_gradient;
  bool stepwise;                      // RNN_ENGINE_STEPS
  std::vector<std::int64_t> offsets;  // [T + 1] first row of each step; empty if all steps have B rows

  std::int64_t offset(std::int64_t t) const { return offsets.empty() ? t * B : offsets[static_cast<std::size_t>(t)]; }
  std::int64_t batch(std::int64_t t) const { return offset(t + 1) - offset(t); }
  const LayerShape& layer(std::int64_t l) const { return layers[static_cast<std::size_t>(l)]; }
};

// Bytes of a stored value of a dtype of rnn_engine.h.
inline std::int64_t bytes_of_value(int dtype) {
  return dtype == RNN_ENGINE_FLOAT32 ? 4 : dtype == RNN_ENGINE_FLOAT64 ? 8 : 2;
}

// Throws InvalidArgument with what was expected and what came. Which dtypes a machine has is for it to say.
Shape make_shape(const rnn_engine_problem& problem);

// Where step s of direction d, counted in the order of computation, lies in time, and which of its rows
// continue a sequence: rows [0, carried) have a step before it, rows [0, continued) one after it.
struct Step {
  std::int64_t t, before,
      after;  // before, after: neighbouring t in the order of computation; unused at the ends
  std::int64_t rows, carried, continued;
};

inline Step step_at(const Shape& shape, std::int64_t direction, std::int64_t s) {
  Step step{};
  const std::int64_t forward = direction == 0 ? 1 : -1;
  step.t = direction == 0 ? s : shape.T - 1 - s;
  step.before = step.t - forward;
  step.after = step.t + forward;
  step.rows = shape.batch(step.t);
  const auto shared = [&](std::int64_t other) {
    const std::int64_t rows = shape.batch(other);
    return rows < step.rows ? rows : step.rows;
  };
  step.carried = s == 0 ? 0 : shared(step.before);
  step.continued = s == shape.T - 1 ? 0 : shared(step.after);
  return step;
}

// Steps [s0, s1) in the order of computation: one piece of time, and one of rows, in either direction.
struct StepRange {
  std::int64_t t0, t1, row0, row1;
  std::int64_t rows() const { return row1 - row0; }
};

inline StepRange step_range(const Shape& shape, std::int64_t direction, std::int64_t s0, std::int64_t s1) {
  const std::int64_t t0 = direction == 0 ? s0 : shape.T - s1, t1 = direction == 0 ? s1 : shape.T - s0;
  return {t0, t1, shape.offset(t0), shape.offset(t1)};
}

}  // namespace rnn_engine
