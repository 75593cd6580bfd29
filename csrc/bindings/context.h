// A context of the linked library, or of one loaded at run time.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <string>
#include <tuple>

#include "bindings/library.h"
#include "bindings/values.h"

using MaybeValues = std::optional<Values>;
using LossInputs = std::tuple<Input, Input, std::optional<Input>, Input>;  // hidden, weight, bias, targets
using LossGradients = std::tuple<MaybeValues, MaybeValues, MaybeValues>;   // of the first three

struct Context {
  const Functions& api;
  rnn_engine_context* raw = nullptr;
  int threads;
  int device = kCpu;  // where the memory of its calls is

  Context(int count, const std::optional<std::string>& isa);
  // Of CUDA device `number`, by the library at `path`; `device`: where arrays are (on the CPU for an emulator).
  Context(const std::string& path, int number, int device);
  Context(const Context&) = delete;
  ~Context() { api.context_destroy(raw); }

  void calibrate(int dtype) const;
  // Between float32 and bfloat16, in either direction.
  void convert(const Input& in, const Values& out) const;
  void gemm(int64_t m, int64_t n, int64_t k, const Values& a, const Values& b, const Values& c,
            const Values& workspace) const;
  uint64_t loss_workspace(const rnn_engine_loss_problem& problem) const;
  void linear_cross_entropy(const rnn_engine_loss_problem& problem, const LossInputs& inputs, double scale,
                            const LossGradients& gradients, const std::optional<Values>& workspace,
                            const Values& result, uintptr_t stream) const;
  double peak(int64_t iterations, int dtype) const;
};

// Throws EngineError in a signal handler that runs in the middle of a call of its own thread.
void check_not_in_handler();

// Runs `call` without Python's lock and throws what it reports. A long one lets Python's signal handlers run; if one of
// them raises, the call ends early and this throws what was raised.
template <class Call>
void released(const Functions& api, const Call& call) {
  int code = RNN_ENGINE_OK;
  check_not_in_handler();
  {
    nanobind::gil_scoped_release release;
    code = call();
  }
  check(api, code);  // the message is the thread's: nothing can have come in between
}

inline void* stream_of(uintptr_t stream) { return reinterpret_cast<void*>(stream); }

void bind_context(nanobind::module_& module);
void bind_linear(nanobind::module_& module, nanobind::class_<Context>& context);
void bind_model_file(nanobind::module_& module);
void bind_plan(nanobind::module_& module);
void bind_translation(nanobind::module_& module);
