#include "plan/shape.h"

#include <string>

#include "base/error.h"

namespace rnn_engine {
namespace {

void require_at_least(const char* name, std::int64_t least, std::int64_t value) {
  require(value >= least, std::string(name) + ": expected at least " + std::to_string(least) + ", got " +
                              std::to_string(value));
}

std::int64_t count_rows(const rnn_engine_problem& p) {
  std::int64_t total = 0, before = p.batch;
  for (std::int64_t t = 0; t < p.steps; ++t) {
    const std::int64_t rows = p.batch_sizes[t];
    require(rows >= 1 && rows <= before && (t > 0 || rows == p.batch),
            "batch_sizes[" + std::to_string(t) + "]: expected " + (t == 0 ? "batch = " : "1 to ") +
                std::to_string(before) + ", got " + std::to_string(rows));
    total += rows;
    before = rows;
  }
  return total;
}

}  // namespace

Shape make_shape(const rnn_engine_problem& p) {
  require(p.cell >= 0 && p.cell < kCells,
          "cell: expected 0 to " + std::to_string(kCells - 1) + ", got " + std::to_string(p.cell));
  require(p.dtype == RNN_ENGINE_FLOAT32 || p.dtype == RNN_ENGINE_FLOAT64,
          "dtype: expected float32 (0) or float64 (1), got " + std::to_string(p.dtype));
  require_at_least("steps", 1, p.steps);
  require_at_least("batch", 1, p.batch);
  require_at_least("input_size", 1, p.input_size);
  require_at_least("hidden_size", 1, p.hidden_size);
  require_at_least("layers", 1, p.layers);
  require(p.directions == 1 || p.directions == 2,
          "directions: expected 1 or 2, got " + std::to_string(p.directions));
  require(p.dropout >= 0 && p.dropout <= 1,
          "dropout: expected a probability in [0, 1], got " + std::to_string(p.dropout));

  Shape shape{};
  shape.problem = &p;
  shape.cell = kCellTable[p.cell];
  shape.T = p.steps;
  shape.B = p.batch;
  shape.I = p.input_size;
  shape.H = p.hidden_size;
  shape.L = p.layers;
  shape.D = p.directions;
  shape.training = p.training != 0;
  shape.dropout = p.dropout > 0 && p.layers > 1;
  // Beyond this, offsets in bytes could overflow; no machine has the memory.
  const double hidden = static_cast<double>(p.hidden_size), input = static_cast<double>(p.input_size);
  const double rows = static_cast<double>(p.steps) * static_cast<double>(p.batch);
  const double values =
      (16 * rows + 8 * (input + 3 * hidden)) * (hidden + input) * static_cast<double>(p.layers);
  require(values < 1e15,
          "steps, batch, input_size, hidden_size, layers: expected a problem of less than 1e15 values, got " +
              std::to_string(values));
  shape.N = p.batch_sizes ? count_rows(p) : p.steps * p.batch;
  return shape;
}

}  // namespace rnn_engine
