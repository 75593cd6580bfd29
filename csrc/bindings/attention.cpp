#include "bindings/attention.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include "bindings/context.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Problem = rnn_engine_attention_problem;
using MaybeInput = std::optional<Input>;
// queries, keys, values, vector, lengths of sources and targets
using AttentionInputs = std::tuple<Input, Input, Input, MaybeInput, MaybeInput, MaybeInput>;
using AttentionOutputs = std::tuple<Values, MaybeValues, MaybeValues>;  // context, logarithms, weights
using AttentionGradients = std::tuple<MaybeValues, MaybeValues, MaybeValues, MaybeValues>;  // of the first four

// How many values each array of a problem has.
struct Counts {
  int64_t queries, keys, values, context, logarithms, weights;
  explicit Counts(const Problem& p)
      : queries(p.steps * p.batch * p.key_size),
        keys(p.source_steps * p.batch * p.key_size),
        values(p.source_steps * p.batch * p.value_size),
        context(p.steps * p.batch * p.value_size),
        logarithms(p.steps * p.batch * p.heads),
        weights(p.steps * p.batch * p.source_steps) {}
};

rnn_engine_attention_inputs inputs_of(const Context& context, const Problem& p, const AttentionInputs& given,
                                      uint64_t seed) {
  const Counts counts(p);
  const Type& type = type_of(p.dtype);
  const int device = context.device;
  const auto& [queries, keys, values, vector, source_lengths, target_lengths] = given;
  const auto lengths = [&](const MaybeInput& array, const char* name) {
    return static_cast<const int64_t*>(data_of({device, kInt64, p.batch}, array, name));
  };
  return {data_of({device, type, counts.queries}, queries, "queries"),
          data_of({device, type, counts.keys}, keys, "keys"),
          data_of({device, type, counts.values}, values, "values"),
          data_of({device, value_type_of(p.dtype), p.key_size}, vector, "vector"),
          lengths(source_lengths, "source_lengths"),
          lengths(target_lengths, "target_lengths"),
          {seed, nullptr}};
}

uint64_t workspace_bytes(const Context& context, const Problem& p, int gradients) {
  uint64_t bytes = 0;
  check(context.api, context.api.attention_workspace(context.raw, &p, gradients, &bytes));
  return bytes;
}

void forward(const Context& context, const Problem& p, const AttentionInputs& inputs, const AttentionOutputs& outputs,
             const MaybeValues& workspace, uint64_t seed, uintptr_t stream) {
  const uint64_t bytes = workspace_bytes(context, p, 0);  // refuses what is no problem before sizes are counted
  const Counts counts(p);
  const Type& value = value_type_of(p.dtype);
  const auto& [y, logarithms, weights] = outputs;
  rnn_engine_attention_forward_args args{};
  args.inputs = inputs_of(context, p, inputs, seed);
  args.context = data_of({context.device, type_of(p.dtype), counts.context}, y, "context");
  args.logarithms = data_of({context.device, value, counts.logarithms}, logarithms, "logarithms");
  args.weights = data_of({context.device, value, counts.weights}, weights, "weights");
  args.workspace = workspace_of(context.device, workspace, bytes);
  args.stream = stream_of(stream);
  released(context.api, [&] { return context.api.attention_forward(context.raw, &p, &args); });
}

void backward(const Context& context, const Problem& p, const AttentionInputs& inputs, const Input& logarithms,
              const Input& d_context, const AttentionGradients& gradients, const MaybeValues& workspace, uint64_t seed,
              uintptr_t stream) {
  const auto& [d_queries, d_keys, d_values, d_vector] = gradients;
  const int wanted = (d_queries ? RNN_ENGINE_ATTENTION_QUERIES : 0) | (d_keys ? RNN_ENGINE_ATTENTION_KEYS : 0) |
                     (d_values ? RNN_ENGINE_ATTENTION_VALUES : 0) | (d_vector ? RNN_ENGINE_ATTENTION_VECTOR : 0);
  const uint64_t bytes = workspace_bytes(context, p, wanted);
  const Counts counts(p);
  const Type& type = type_of(p.dtype);
  const int device = context.device;
  rnn_engine_attention_backward_args args{};
  args.inputs = inputs_of(context, p, inputs, seed);
  args.logarithms = data_of({device, value_type_of(p.dtype), counts.logarithms}, logarithms, "logarithms");
  args.d_context = data_of({device, type, counts.context}, d_context, "d_context");
  args.d_queries = data_of({device, type, counts.queries}, d_queries, "d_queries");
  args.d_keys = data_of({device, type, counts.keys}, d_keys, "d_keys");
  args.d_values = data_of({device, type, counts.values}, d_values, "d_values");
  args.d_vector = data_of({device, value_type_of(p.dtype), p.key_size}, d_vector, "d_vector");
  args.workspace = workspace_of(device, workspace, bytes);
  args.stream = stream_of(stream);
  released(context.api, [&] { return context.api.attention_backward(context.raw, &p, &args); });
}

}  // namespace

void bind_attention(nb::module_& module) {
  nb::class_<Problem>(module, "AttentionProblem")
      .def(
          "__init__",
          [](Problem* self, int dtype, int form, int64_t steps, int64_t batch, int64_t source_steps, int64_t key_size,
             int64_t value_size, int64_t heads, double scale, double dropout, int64_t first_step, bool tf32) {
            new (self) Problem{dtype,      form,  steps, batch,   source_steps, key_size,
                               value_size, heads, scale, dropout, first_step,   tf32};
          },
          nb::kw_only(), "dtype"_a, "form"_a, "steps"_a, "batch"_a, "source_steps"_a, "key_size"_a, "value_size"_a,
          "heads"_a, "scale"_a, "dropout"_a, "first_step"_a = 0, "tf32"_a = false);
  module.def("attention_workspace", workspace_bytes, "context"_a, "problem"_a, "gradients"_a);
  module.def("attention_forward", forward, "context"_a, "problem"_a, "inputs"_a, "outputs"_a, "workspace"_a.none(),
             "seed"_a = 0, "stream"_a = 0);
  module.def("attention_backward", backward, "context"_a, "problem"_a, "inputs"_a, "logarithms"_a, "d_context"_a,
             "gradients"_a, "workspace"_a.none(), "seed"_a = 0, "stream"_a = 0);
}
