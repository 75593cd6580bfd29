#include "bindings/loss.h"

namespace nb = nanobind;
using namespace nb::literals;

rnn_engine_loss_args loss_args(const rnn_engine_loss_problem& p, int device, const LossInputs& inputs,
                               const LossGradients& gradients) {
  const Type& type = type_of(p.dtype);
  const Type& value = value_type_of(p.dtype);
  const auto& [hidden, weight, bias, targets] = inputs;
  const auto& [d_hidden, d_weight, d_bias] = gradients;
  rnn_engine_loss_args args{};
  args.hidden = data_of({device, type, p.tokens * p.features}, hidden, "hidden");
  args.weight = data_of({device, type, p.vocabulary * p.features}, weight, "weight");
  args.bias = data_of({device, value, p.vocabulary}, bias, "bias");
  args.targets = static_cast<const int64_t*>(data_of({device, kInt64, p.tokens}, targets, "targets"));
  args.d_hidden = data_of({device, type, p.tokens * p.features}, d_hidden, "d_hidden");
  args.d_weight = data_of({device, value, p.vocabulary * p.features}, d_weight, "d_weight");
  args.d_bias = data_of({device, value, p.vocabulary}, d_bias, "d_bias");
  return args;
}

rnn_engine_loss_result* loss_result(int device, const Values& words) {
  static_assert(sizeof(rnn_engine_loss_result) == 4 * sizeof(int64_t));
  return static_cast<rnn_engine_loss_result*>(data_of({device, kInt64, 4}, words, "result"));
}

void bind_loss_problem(nb::module_& module) {
  nb::class_<rnn_engine_loss_problem>(module, "LossProblem")
      .def(
          "__init__",
          [](rnn_engine_loss_problem* self, int dtype, int gradients, int64_t tokens, int64_t features,
             int64_t vocabulary, int64_t ignore_index, double smoothing, bool tf32) {
            new (self) rnn_engine_loss_problem{dtype,      gradients,    tokens,    features,
                                               vocabulary, ignore_index, smoothing, tf32};
          },
          nb::kw_only(), "dtype"_a, "gradients"_a, "tokens"_a, "features"_a, "vocabulary"_a, "ignore_index"_a,
          "smoothing"_a, "tf32"_a = false);
}
