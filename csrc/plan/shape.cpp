#include "plan/shape.h"

#include <string>

#include "base/error.h"

namespace rnn_engine {
namespace {

// Whoever asks for more has mistaken something, and may not have as many sizes of layers either.
constexpr std::int64_t kMostLayers = 1024;

void require_at_least(const std::string& name, std::int64_t least, std::int64_t value) {
  require(value >= least, name + ": expected at least " + std::to_string(least) + ", got " + std::to_string(value));
}

void require_probability(const char* name, double value) {
  require(value >= 0 && value <= 1,
          std::string(name) + ": expected a probability in [0, 1], got " + std::to_string(value));
}

std::vector<std::int64_t> offsets_of(const rnn_engine_problem& p) {
  std::vector<std::int64_t> offsets{0};
  if (!p.batch_sizes) return {};
  std::int64_t before = p.batch;
  for (std::int64_t t = 0; t < p.steps; ++t) {
    const std::int64_t rows = p.batch_sizes[t];
    require(rows >= 1 && rows <= before && (t > 0 || rows == p.batch),
            "batch_sizes[" + std::to_string(t) + "]: expected " + (t == 0 ? "batch = " : "1 to ") +
                std::to_string(before) + ", got " + std::to_string(rows));
    offsets.push_back(offsets.back() + rows);
    before = rows;
  }
  return offsets;
}

// Rows of gates a power of two apart would share few sets of the caches: one line more sets them apart.
std::int64_t gate_stride(std::int64_t gates, int dtype) {
  constexpr std::int64_t kLine = 64, kConflict = 1024;
  const std::int64_t value = bytes_of_value(dtype);
  return gates + (gates * value % kConflict == 0 ? kLine / value : 0);
}

std::vector<LayerShape> layers_of(const rnn_engine_problem& p) {
  std::vector<LayerShape> layers;
  std::int64_t input = p.input_size, h_state = 0, c_state = 0;
  double values = 0;
  for (std::int64_t l = 0; l < p.layers; ++l) {
    const std::int64_t hidden = p.hidden_sizes[l];
    require_at_least("hidden_sizes[" + std::to_string(l) + "]", 1, hidden);
    require(p.projection < hidden, "projection: expected less than hidden_sizes[" + std::to_string(l) +
                                       "] = " + std::to_string(hidden) + ", got " + std::to_string(p.projection));
    // Beyond 1e15, offsets in bytes could overflow; no machine has the memory.
    const double width = static_cast<double>(hidden) + static_cast<double>(input);
    values += (32.0 * static_cast<double>(p.steps) * static_cast<double>(p.batch) + 24.0 * width) * width;
    require(values < 1e15,
            "steps, batch, input_size, hidden_sizes, layers: expected a problem of less than 1e15 values, got " +
                std::to_string(values));
    const std::int64_t state = p.projection ? p.projection : hidden;
    require(!p.residual || l == 0 || input == p.directions * state,
            "residual: expected layers of one width, got hidden_sizes[" + std::to_string(l) +
                "] = " + std::to_string(hidden) + " after " + std::to_string(input / p.directions));
    const std::int64_t gates = kCellTable[p.cell].gates * hidden;
    layers.push_back({input, hidden, state, gates, gate_stride(gates, p.dtype), h_state, c_state});
    h_state += p.directions * p.batch * state;
    c_state += p.directions * p.batch * hidden;
    input = p.directions * state;
  }
  return layers;
}

// All but the sizes of the layers and the batch.
void require_problem(const rnn_engine_problem& p) {
  require(p.cell >= 0 && p.cell < kCells,
          "cell: expected 0 to " + std::to_string(kCells - 1) + ", got " + std::to_string(p.cell));
  require(p.dtype >= RNN_ENGINE_FLOAT32 && p.dtype <= RNN_ENGINE_FLOAT16,
          "dtype: expected float32 (0), float64 (1), bfloat16 (2) or float16 (3), got " + std::to_string(p.dtype));
  const CellTraits& cell = kCellTable[p.cell];
  require(!cell.single_state || p.projection == 0,
          "projection: expected 0 for a " + std::string(cell.name) + ", got " + std::to_string(p.projection));
  require(!cell.single_state || p.zoneout[0] == 0, "zoneout[0]: expected 0 for a " + std::string(cell.name) +
                                                       ", which has no c, got " + std::to_string(p.zoneout[0]));
  require_at_least("steps", 1, p.steps);
  require_at_least("batch", 1, p.batch);
  require_at_least("input_size", 1, p.input_size);
  require(p.layers >= 1 && p.layers <= kMostLayers,
          "layers: expected 1 to " + std::to_string(kMostLayers) + ", got " + std::to_string(p.layers));
  require_at_least("projection", 0, p.projection);
  require(p.hidden_sizes != nullptr, "hidden_sizes: expected a pointer, got NULL");
  const auto aligned = [](const std::int64_t* numbers) {
    return reinterpret_cast<std::uintptr_t>(numbers) % alignof(std::int64_t) == 0;
  };
  require(aligned(p.hidden_sizes), "hidden_sizes: expected an address that is a multiple of 8");
  require(aligned(p.batch_sizes), "batch_sizes: expected an address that is a multiple of 8");
  require(p.directions == 1 || p.directions == 2, "directions: expected 1 or 2, got " + std::to_string(p.directions));
  require_probability("dropout", p.dropout);
  require_probability("recurrent_dropout", p.recurrent_dropout);
  require_probability("zoneout[0]", p.zoneout[0]);
  require_probability("zoneout[1]", p.zoneout[1]);
  require(p.memory >= RNN_ENGINE_STORE && p.memory <= RNN_ENGINE_BUDGET,
          "memory: expected store (0), recompute (1), checkpoint (2) or budget (3), got " + std::to_string(p.memory));
  require(p.schedule >= RNN_ENGINE_AUTO && p.schedule <= RNN_ENGINE_STEPS,
          "schedule: expected auto (0), layers (1), wavefront (2) or steps (3), got " + std::to_string(p.schedule));
  require(p.schedule != RNN_ENGINE_STEPS || (p.directions == 1 && p.projection == 0 && !p.batch_sizes),
          "schedule: steps (3) are for one direction, no projection and sequences of one length");
  require(!p.prepacked || !p.training, "prepacked: expected 0 in training, got 1");
}

}  // namespace

Shape make_shape(const rnn_engine_problem& p) {
  require_problem(p);
  Shape shape{};
  shape.cell_index = p.cell;
  shape.dtype = p.dtype;
  shape.cell = kCellTable[p.cell];
  shape.T = p.steps;
  shape.B = p.batch;
  shape.L = p.layers;
  shape.D = p.directions;
  shape.layers = layers_of(p);
  shape.bias = p.bias != 0;
  shape.projected = p.projection > 0;
  shape.training = p.training != 0;
  shape.residual = p.residual != 0 && p.layers > 1;
  shape.dropout = p.dropout > 0 && p.layers > 1;
  shape.dropout_probability = p.dropout;
  shape.one_mask = p.dropout_per_sentence != 0 || p.recurrent_dropout > 0;
  shape.recurrent_dropout = p.recurrent_dropout;
  shape.zoneout_c = shape.cell.single_state ? p.zoneout[1] : p.zoneout[0];
  shape.zoneout_h = p.zoneout[1];
  shape.zoneout_masks = p.zoneout_masks != 0;
  shape.prepacked = p.prepacked != 0;
  shape.output = p.output != 0 || p.training;
  shape.cell_output = p.cell_output != 0;
  shape.input_gradient = p.input_gradient != 0;
  shape.stepwise = p.schedule == RNN_ENGINE_STEPS;
  shape.offsets = offsets_of(p);
  shape.N = p.batch_sizes ? shape.offsets.back() : p.steps * p.batch;
  return shape;
}

}  // namespace rnn_engine
