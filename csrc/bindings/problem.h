// rnn_engine_problem with the arrays that it points to, and the memory of weights that belong to it.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <tuple>
#include <vector>

#include "bindings/api.h"
#include "bindings/values.h"

// weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, vector_params...
using Lane = std::vector<std::optional<Values>>;

struct Problem {
  rnn_engine_problem raw{};
  std::vector<int64_t> hidden_sizes, batch_sizes, row_ids;
  int64_t rows = 0, h_values = 0, c_values = 0, output_width = 0, cell_width = 0;

  Problem(int cell, int dtype, int64_t steps, int64_t batch, int64_t input_size, std::vector<int64_t> hidden,
          int64_t projection, int directions, bool bias, bool training, bool output, bool cell_output,
          bool input_gradient, bool prepacked, double dropout, double recurrent_dropout,
          std::tuple<double, double> zoneout, bool zoneout_masks, uint64_t seed,
          std::optional<std::vector<int64_t>> sizes, std::optional<std::vector<int64_t>> ids, int memory,
          uint64_t budget, int schedule, bool tf32);
  Problem(const Problem&) = delete;

  const Type& stored() const { return type_of(raw.dtype); }
  const Type& value() const { return value_type_of(raw.dtype); }
};

// Pointers to the weights of each layer and direction, or to their gradients, whose matrices are of type
// `matrix`; `name` is for errors.
std::vector<rnn_engine_weights> weights_of(const Api& api, const Problem& problem,
                                           const std::vector<Lane>& lanes, const Type& matrix,
                                           const char* name);

void bind_problem(nanobind::module_& module);
