// rnn_engine_linear and rnn_engine_dropout as methods of a context.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <vector>

#include "bindings/context.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using LinearProblem = rnn_engine_linear_problem;
// An array of rows, and the values from one row to the next.
using LinearRows = std::tuple<Input, int64_t>;

void require_count(const char* name, std::size_t count, int64_t expected) {
  if (static_cast<int64_t>(count) != expected)
    throw nb::value_error(
        (std::string(name) + ": expected " + std::to_string(expected) + " arrays, got " + std::to_string(count))
            .c_str());
}

// Checked before sizes are multiplied.
std::tuple<uint64_t, uint64_t> linear_workspaces(const Context& context, const LinearProblem& problem) {
  uint64_t forward = 0, backward = 0;
  check(context.api, context.api.linear_workspace(context.raw, &problem, &forward, &backward));
  return {forward, backward};
}

struct LinearSizes {
  int64_t rows, inputs = 0;
  explicit LinearSizes(const LinearProblem& p) : rows(p.steps * p.batch) {
    for (int64_t i = 0; i < p.inputs; ++i) inputs += p.input_sizes[i];
  }
};

const void* linear_rows(int device, const Type& type, const LinearRows& given, int64_t rows, int64_t columns,
                        const std::string& name) {
  const auto& [values, row] = given;
  if (row < columns)
    throw nb::value_error(
        (name + ": expected rows at least " + std::to_string(columns) + " values apart, got " + std::to_string(row))
            .c_str());
  return data_of({device, type, rows ? (rows - 1) * row + columns : 0}, values, name);
}

template <class Args>
void set_linear_inputs(Args& args, const Context& context, const LinearProblem& p,
                       const std::vector<LinearRows>& inputs, const Input& weight) {
  const LinearSizes sizes(p);
  const Type& type = type_of(p.dtype);
  require_count("inputs", inputs.size(), p.inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    args.inputs[i] =
        linear_rows(context.device, type, inputs[i], sizes.rows, p.input_sizes[i], "inputs[" + std::to_string(i) + "]");
    args.input_rows[i] = std::get<1>(inputs[i]);
  }
  args.weight = data_of({context.device, type, p.outputs * sizes.inputs}, weight, "weight");
}

void linear(const Context& context, const LinearProblem& p, const std::vector<LinearRows>& inputs, const Input& weight,
            const std::optional<Input>& bias, const Values& y, uint64_t seed, const std::optional<Values>& workspace,
            uintptr_t stream) {
  const uint64_t bytes = std::get<0>(linear_workspaces(context, p));
  rnn_engine_linear_args args{};
  set_linear_inputs(args, context, p, inputs, weight);
  args.bias = data_of({context.device, value_type_of(p.dtype), p.outputs}, bias, "bias");
  args.y = data_of({context.device, type_of(p.dtype), LinearSizes(p).rows * p.outputs}, y, "y");
  args.seed = seed;
  args.workspace = workspace_of(context.device, workspace, bytes);
  args.stream = stream_of(stream);
  released(context.api, [&] { return context.api.linear(context.raw, &p, &args); });
}

void linear_backward(const Context& context, const LinearProblem& p, const std::vector<LinearRows>& inputs,
                     const Input& weight, const std::optional<Input>& y, const Input& dy, uint64_t seed,
                     const std::vector<MaybeValues>& d_inputs, const MaybeValues& d_weight, const MaybeValues& d_bias,
                     const std::optional<Values>& workspace, bool overwrite, uintptr_t stream) {
  const uint64_t bytes = std::get<1>(linear_workspaces(context, p));
  const LinearSizes sizes(p);
  const Type &type = type_of(p.dtype), &value = value_type_of(p.dtype);
  rnn_engine_linear_backward_args args{};
  set_linear_inputs(args, context, p, inputs, weight);
  args.y = data_of({context.device, type, sizes.rows * p.outputs}, y, "y");
  args.dy = data_of({context.device, type, sizes.rows * p.outputs}, dy, "dy");
  args.seed = seed;
  require_count("d_inputs", d_inputs.size(), p.inputs);
  for (size_t i = 0; i < d_inputs.size(); ++i)
    args.d_inputs[i] = data_of({context.device, type, sizes.rows * p.input_sizes[i]}, d_inputs[i],
                               "d_inputs[" + std::to_string(i) + "]");
  args.d_weight = data_of({context.device, value, p.outputs * sizes.inputs}, d_weight, "d_weight");
  args.d_bias = data_of({context.device, value, p.outputs}, d_bias, "d_bias");
  args.overwrite = overwrite;
  args.workspace = workspace_of(context.device, workspace, bytes);
  args.stream = stream_of(stream);
  released(context.api, [&] { return context.api.linear_backward(context.raw, &p, &args); });
}

void dropout(const Context& context, const rnn_engine_dropout_problem& p, const LinearRows& in, const Values& out,
             uint64_t seed, uintptr_t stream) {
  const Type& type = type_of(p.dtype);
  rnn_engine_dropout_args args{};
  args.in = linear_rows(context.device, type, in, p.steps * p.batch, p.features, "in");
  args.in_row = std::get<1>(in);
  args.out = data_of({context.device, type, p.steps * p.batch * p.features}, out, "out");
  args.seed = seed;
  args.stream = stream_of(stream);
  released(context.api, [&] { return context.api.dropout(context.raw, &p, &args); });
}

}  // namespace

void bind_linear(nb::module_& module, nb::class_<Context>& context) {
  nb::class_<LinearProblem>(module, "LinearProblem")
      .def(
          "__init__",
          [](LinearProblem* self, int dtype, int activation, int64_t steps, int64_t batch, int64_t outputs,
             const std::vector<int64_t>& input_sizes, double dropout, bool per_sentence, int64_t first_step,
             bool tf32) {
            new (self) LinearProblem{
                dtype, activation, steps,        batch,      outputs, static_cast<int64_t>(input_sizes.size()),
                {},    dropout,    per_sentence, first_step, tf32};
            const size_t most = std::min<size_t>(input_sizes.size(), RNN_ENGINE_MAX_INPUTS);
            std::copy_n(input_sizes.begin(), most, self->input_sizes);
          },
          nb::kw_only(), "dtype"_a, "activation"_a, "steps"_a, "batch"_a, "outputs"_a, "input_sizes"_a, "dropout"_a,
          "per_sentence"_a, "first_step"_a = 0, "tf32"_a = false);
  nb::class_<rnn_engine_dropout_problem>(module, "DropoutProblem")
      .def(
          "__init__",
          [](rnn_engine_dropout_problem* self, int dtype, int64_t steps, int64_t batch, int64_t features, double scale,
             double dropout, double row_dropout, bool per_sentence) {
            new (self)
                rnn_engine_dropout_problem{dtype, per_sentence, steps, batch, features, scale, dropout, row_dropout};
          },
          nb::kw_only(), "dtype"_a, "steps"_a, "batch"_a, "features"_a, "scale"_a, "dropout"_a, "row_dropout"_a,
          "per_sentence"_a);
  context.def("linear_workspace", &linear_workspaces, "problem"_a)
      .def("linear", &linear, "problem"_a, "inputs"_a, "weight"_a, "bias"_a.none(), "y"_a, "seed"_a,
           "workspace"_a.none(), "stream"_a = 0)
      .def("linear_backward", &linear_backward, "problem"_a, "inputs"_a, "weight"_a, "y"_a.none(), "dy"_a, "seed"_a,
           "d_inputs"_a, "d_weight"_a.none(), "d_bias"_a.none(), "workspace"_a.none(), "overwrite"_a = false,
           "stream"_a = 0)
      .def("dropout", &dropout, "problem"_a, "input"_a, "out"_a, "seed"_a, "stream"_a = 0);
}
