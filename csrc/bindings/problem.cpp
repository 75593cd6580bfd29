#include "bindings/problem.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>

namespace nb = nanobind;
using namespace nb::literals;

Problem::Problem(int cell, int dtype, int64_t steps, int64_t batch, int64_t input_size,
                 std::vector<int64_t> hidden, int64_t projection, int directions, bool bias, bool training,
                 bool output, bool cell_output, bool input_gradient, bool prepacked, double dropout,
                 double recurrent_dropout, std::tuple<double, double> zoneout, bool zoneout_masks,
                 uint64_t seed, std::optional<std::vector<int64_t>> sizes,
                 std::optional<std::vector<int64_t>> ids, int memory, uint64_t budget, int schedule,
                 bool tf32)
    : hidden_sizes(std::move(hidden)),
      batch_sizes(sizes.value_or(std::vector<int64_t>{})),
      row_ids(ids.value_or(std::vector<int64_t>{})) {
  if (sizes && static_cast<int64_t>(batch_sizes.size()) != steps)
    throw nb::value_error(("batch_sizes: expected [T] = [" + std::to_string(steps) + "], got [" +
                           std::to_string(batch_sizes.size()) + "]")
                              .c_str());
  if (ids && static_cast<int64_t>(row_ids.size()) != batch)
    throw nb::value_error(("row_ids: expected [B] = [" + std::to_string(batch) + "], got [" +
                           std::to_string(row_ids.size()) + "]")
                              .c_str());
  raw = {.cell = cell,
         .dtype = dtype,
         .steps = steps,
         .batch = batch,
         .input_size = input_size,
         .hidden_sizes = hidden_sizes.data(),
         .layers = static_cast<int64_t>(hidden_sizes.size()),
         .projection = projection,
         .directions = directions,
         .bias = bias,
         .training = training,
         .output = output,
         .cell_output = cell_output,
         .input_gradient = input_gradient,
         .prepacked = prepacked,
         .batch_sizes = sizes ? batch_sizes.data() : nullptr,
         .dropout = dropout,
         .recurrent_dropout = recurrent_dropout,
         .zoneout = {std::get<0>(zoneout), std::get<1>(zoneout)},
         .zoneout_masks = zoneout_masks,
         .seed = seed,
         .row_ids = ids ? row_ids.data() : nullptr,
         .memory = memory,
         .budget = budget,
         .schedule = schedule,
         .tf32 = tf32};
  rows = steps * batch;
  if (sizes) {
    rows = 0;
    for (int64_t size : batch_sizes) rows += size;
  }
  for (int64_t size : hidden_sizes) {
    h_values += directions * batch * (projection ? projection : size);
    c_values += directions * batch * size;
    output_width = directions * (projection ? projection : size);
    cell_width = directions * size;
  }
}

std::vector<rnn_engine_weights> weights_of(const Api& api, const Problem& problem,
                                           const std::vector<Lane>& lanes, const Type& matrix,
                                           const char* name) {
  const rnn_engine_problem& p = problem.raw;
  const int64_t count = p.layers * p.directions;
  if (count < 1 || static_cast<int64_t>(lanes.size()) != count)
    throw nb::value_error((std::string(name) + ": expected one entry for each layer and direction = " +
                           std::to_string(count) + ", got " + std::to_string(lanes.size()))
                              .c_str());
  std::vector<rnn_engine_weights> out(count);
  for (int64_t i = 0; i < count; ++i) {
    const Lane& lane = lanes[i];
    const std::string where = std::string(name) + "[" + std::to_string(i) + "]";
    if (lane.size() < 5 || lane.size() > 5 + RNN_ENGINE_MAX_VECTOR_PARAMS)
      throw nb::value_error((where + ": expected 5 to " + std::to_string(5 + RNN_ENGINE_MAX_VECTOR_PARAMS) +
                             " arrays, got " + std::to_string(lane.size()))
                                .c_str());
    const int64_t layer = i / p.directions, hidden = p.hidden_sizes[layer],
                  gates = api.gates(p.cell) * hidden;
    const int64_t state = p.projection ? p.projection : hidden;
    const int64_t below = layer == 0 || p.projection ? p.projection : p.hidden_sizes[layer - 1];
    const int64_t input = layer == 0 ? p.input_size : p.directions * below;
    out[i].weight_ih = data_of(matrix, lane[0], gates * input, where + ".weight_ih");
    out[i].weight_hh = data_of(matrix, lane[1], gates * state, where + ".weight_hh");
    out[i].bias_ih = data_of(problem.value(), lane[2], gates, where + ".bias_ih");
    out[i].bias_hh = data_of(problem.value(), lane[3], gates, where + ".bias_hh");
    out[i].weight_hr = data_of(matrix, lane[4], p.projection * hidden, where + ".weight_hr");
    for (int e = 0; e + 5 < static_cast<int>(lane.size()); ++e)
      out[i].vector_params[e] = data_of(problem.value(), lane[e + 5], api.vector_width(p.cell, e) * hidden,
                                        where + ".vector_params[" + std::to_string(e) + "]");
  }
  return out;
}

void bind_problem(nb::module_& module) {
  nb::class_<Problem>(module, "Problem")
      .def(nb::init<int, int, int64_t, int64_t, int64_t, std::vector<int64_t>, int64_t, int, bool, bool, bool,
                    bool, bool, bool, double, double, std::tuple<double, double>, bool, uint64_t,
                    std::optional<std::vector<int64_t>>, std::optional<std::vector<int64_t>>, int, uint64_t,
                    int, bool>(),
           nb::kw_only(), "cell"_a, "dtype"_a, "steps"_a, "batch"_a, "input_size"_a, "hidden_sizes"_a,
           "projection"_a, "directions"_a, "bias"_a, "training"_a, "output"_a, "cell_output"_a,
           "input_gradient"_a, "prepacked"_a, "dropout"_a, "recurrent_dropout"_a, "zoneout"_a,
           "zoneout_masks"_a, "seed"_a, "batch_sizes"_a.none(), "row_ids"_a.none(), "memory"_a, "budget"_a,
           "schedule"_a, "tf32"_a)
      .def_ro("rows", &Problem::rows);
}
