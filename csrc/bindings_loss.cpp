#include "bindings_loss.h"

#include <string>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

void* data_of(const LossArray& array, nb::dlpack::dtype type, const char* type_name, int64_t count,
              const char* name) {
  if (array.dtype() != type)
    throw nb::type_error((std::string(name) + ": expected " + type_name + ", got another type").c_str());
  if (static_cast<int64_t>(array.size()) != count)
    throw nb::value_error((std::string(name) + ": expected " + std::to_string(count) + " values, got " +
                           std::to_string(array.size()))
                              .c_str());
  return array.data();
}

}  // namespace

rnn_engine_loss_args loss_args(const rnn_engine_loss_problem& p, const LossInputs& inputs,
                               const LossGradients& gradients) {
  const bool single = p.dtype == RNN_ENGINE_FLOAT32;
  const auto data = [&](const LossArray& array, int64_t count, const char* name) {
    return data_of(array, single ? nb::dtype<float>() : nb::dtype<double>(), single ? "float32" : "float64",
                   count, name);
  };
  const auto maybe = [&](const MaybeLossArray& array, int64_t count, const char* name) {
    return array ? data(*array, count, name) : nullptr;
  };
  const auto& [hidden, weight, bias, targets] = inputs;
  const auto& [d_hidden, d_weight, d_bias] = gradients;
  rnn_engine_loss_args args{};
  args.hidden = data(hidden, p.tokens * p.features, "hidden");
  args.weight = data(weight, p.vocabulary * p.features, "weight");
  args.bias = maybe(bias, p.vocabulary, "bias");
  args.targets =
      static_cast<const int64_t*>(data_of(targets, nb::dtype<int64_t>(), "int64", p.tokens, "targets"));
  args.d_hidden = maybe(d_hidden, p.tokens * p.features, "d_hidden");
  args.d_weight = maybe(d_weight, p.vocabulary * p.features, "d_weight");
  args.d_bias = maybe(d_bias, p.vocabulary, "d_bias");
  return args;
}

void bind_loss_problem(nb::module_& module) {
  nb::class_<rnn_engine_loss_problem>(module, "LossProblem")
      .def(
          "__init__",
          [](rnn_engine_loss_problem* self, int dtype, int gradients, int64_t tokens, int64_t features,
             int64_t vocabulary, int64_t ignore_index, double smoothing) {
            new (self) rnn_engine_loss_problem{dtype,      gradients,    tokens,   features,
                                               vocabulary, ignore_index, smoothing};
          },
          nb::kw_only(), "dtype"_a, "gradients"_a, "tokens"_a, "features"_a, "vocabulary"_a, "ignore_index"_a,
          "smoothing"_a);
}
