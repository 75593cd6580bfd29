// The problem, checked and completed with what follows from it.
#pragma once

#include <cstdint>

#include "cells/table.h"
#include "rnn_engine.h"

namespace rnn_engine {

struct Shape {
  const rnn_engine_problem* problem;
  CellTraits cell;
  std::int64_t T, B, I, H, L, D;
  std::int64_t N;  // rows: sum of batch_sizes
  bool training, dropout;

  std::int64_t batch(std::int64_t t) const { return problem->batch_sizes ? problem->batch_sizes[t] : B; }
  std::int64_t input_size(std::int64_t layer) const { return layer == 0 ? I : D * H; }
  std::int64_t row_id(std::int64_t row) const { return problem->row_ids ? problem->row_ids[row] : row; }
};

// Throws InvalidArgument with what was expected and what came.
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

}  // namespace rnn_engine
