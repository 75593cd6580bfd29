#include "bindings/context.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// Everything but scale, workspace and stream.
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

// rnn_engine_loss_result as five 64-bit words.
rnn_engine_loss_result* loss_result(int device, const Values& words) {
  static_assert(sizeof(rnn_engine_loss_result) == 5 * sizeof(int64_t));
  return static_cast<rnn_engine_loss_result*>(data_of({device, kInt64, 5}, words, "result"));
}

void bind_loss_problem(nb::module_& module) {
  nb::class_<rnn_engine_loss_problem>(module, "LossProblem")
      .def(
          "__init__",
          [](rnn_engine_loss_problem* self, int dtype, int gradients, int64_t tokens, int64_t features,
             int64_t vocabulary, int64_t ignore_index, double smoothing, bool tf32, double divergence) {
            new (self) rnn_engine_loss_problem{dtype,        gradients, tokens, features,  vocabulary,
                                               ignore_index, smoothing, tf32,   divergence};
          },
          nb::kw_only(), "dtype"_a, "gradients"_a, "tokens"_a, "features"_a, "vocabulary"_a, "ignore_index"_a,
          "smoothing"_a, "tf32"_a = false, "divergence"_a = 0.0);
}

// Python runs signal handlers on its main thread, which is taken to be the process's.
bool on_main_thread() {
#ifdef __linux__
  return getpid() == gettid();
#else
  return pthread_main_np() != 0;
#endif
}

thread_local bool in_handler = false;

// What long calls ask. Python's lock may be long in coming where other threads of Python work, so it is taken only ten
// times a second.
int handle_signals(void*) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kInterval = std::chrono::milliseconds(100);
  static thread_local Clock::time_point last{};
  if (!on_main_thread() || Clock::now() - last < kInterval) return 0;
  const nb::gil_scoped_acquire lock;
  in_handler = true;
  const bool raised = PyErr_CheckSignals() != 0;
  in_handler = false;
  last = Clock::now();
  return raised;
}

}  // namespace

void check_not_in_handler() {
  if (in_handler)
    throw EngineError(
        "a signal's handler ran in the middle of a call and made another: let it set a flag, and look at that after "
        "the call");
}

Context::Context(int count, const std::optional<std::string>& isa) : api(linked_functions()), threads(count) {
  check(api, api.context_create(count, isa ? isa->c_str() : nullptr, &raw));
  check(api, api.context_set_interrupt(raw, handle_signals, nullptr));
}

Context::Context(const std::string& path, int number, int device)
    : api(loaded_functions(path)), threads(1), device(device) {
  released(api, [&] { return api.cuda_context_create(number, &raw); });
}

void Context::calibrate(int dtype) const {
  released(api, [&] { return api.calibrate(raw, dtype); });
}

void Context::convert(const Input& in, const Values& out) const {
  if (&api != &linked_functions()) throw EngineError("convert: only the CPU's context converts values");
  const Type &wide = type_of(RNN_ENGINE_FLOAT32), &half = type_of(RNN_ENGINE_BFLOAT16);
  const bool rounds = in.type == wide.native;
  const void* from = data_of({kCpu, rounds ? wide : half, in.count}, in, "values");
  void* to = data_of({kCpu, rounds ? half : wide, in.count}, out, "out");
  released(api, [&] {
    return rounds ? rnn_engine_round(raw, in.count, static_cast<const float*>(from), to)
                  : rnn_engine_widen(raw, in.count, from, static_cast<float*>(to));
  });
}

void Context::gemm(int64_t m, int64_t n, int64_t k, const Values& a, const Values& b, const Values& c,
                   const Values& workspace) const {
  const Type& type = type_of(RNN_ENGINE_FLOAT32);
  const auto* left = static_cast<const float*>(data_of({kCpu, type, m * k}, a, "a"));
  const auto* right = static_cast<const float*>(data_of({kCpu, type, n * k}, b, "b"));
  auto* product = static_cast<float*>(data_of({kCpu, type, m * n}, c, "c"));
  released(api, [&] { return api.gemm(raw, m, n, k, left, right, product, workspace.data, workspace.bytes()); });
}

uint64_t Context::loss_workspace(const rnn_engine_loss_problem& problem) const {
  uint64_t bytes = 0;
  check(api, api.loss_workspace(raw, &problem, &bytes));
  return bytes;
}

void Context::linear_cross_entropy(const rnn_engine_loss_problem& problem, const LossInputs& inputs, double scale,
                                   const LossGradients& gradients, const std::optional<Values>& workspace,
                                   const Values& result, uintptr_t stream) const {
  rnn_engine_loss_args args = loss_args(problem, device, inputs, gradients);
  args.scale = scale;
  args.workspace = workspace_of(device, workspace, loss_workspace(problem));
  args.stream = stream_of(stream);
  rnn_engine_loss_result* found = loss_result(device, result);
  released(api, [&] { return api.linear_cross_entropy(raw, &problem, &args, found); });
}

double Context::peak(int64_t iterations, int dtype) const {
  double operations = 0;
  released(api, [&] { return api.peak(raw, dtype, iterations, &operations); });
  return operations;
}

void bind_context(nb::module_& module) {
  bind_loss_problem(module);
  nb::class_<Context> context(module, "Context");
  bind_linear(module, context);
  context.def(nb::init<int, std::optional<std::string>>(), "threads"_a, "isa"_a.none() = nb::none())
      .def_static(
          "cuda",
          [](const std::string& library, int number, int device) { return new Context(library, number, device); },
          "library"_a, "number"_a, "device"_a)
      .def_ro("threads", &Context::threads)
      .def_prop_ro("isa",
                   [](const Context& c) {
                     const char* isa = nullptr;
                     check(c.api, c.api.context_isa(c.raw, &isa));
                     return std::string(isa);
                   })
      .def_prop_ro("products",
                   [](const Context& c) {
                     const char* products = "own products";
                     if (c.api.cuda_products) check(c.api, c.api.cuda_products(c.raw, &products));
                     return std::string(products);
                   })
      .def_prop_ro("graphs",
                   [](const Context& c) {
                     int64_t graphs = 0;
                     if (c.api.cuda_graphs) check(c.api, c.api.cuda_graphs(c.raw, &graphs));
                     return graphs;
                   })
      .def("calibrate", &Context::calibrate, "dtype"_a = RNN_ENGINE_FLOAT32 + 0)
      .def("loss_workspace", &Context::loss_workspace, "problem"_a)
      .def("linear_cross_entropy", &Context::linear_cross_entropy, "problem"_a, "inputs"_a, "scale"_a, "gradients"_a,
           "workspace"_a.none(), "result"_a, "stream"_a = 0)
      .def("gemm", &Context::gemm, "m"_a, "n"_a, "k"_a, "a"_a, "b"_a, "c"_a, "workspace"_a)
      .def("gemm_workspace",
           [](const Context& c, int64_t n, int64_t k) {
             size_t bytes = 0;
             check(c.api, c.api.gemm_workspace(c.raw, n, k, &bytes));
             return bytes;
           })
      .def("convert", &Context::convert, "values"_a, "out"_a)
      .def("peak", &Context::peak, "iterations"_a, "dtype"_a = RNN_ENGINE_FLOAT32 + 0);
}
