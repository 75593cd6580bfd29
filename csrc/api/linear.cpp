// The part of the C API that is about linear layers and dropout: what comes from outside is checked here, for every
// device.
#include <string>

#include "api/arguments.h"
#include "api/handles.h"
#include "api/trace.h"

namespace rnn_engine {
namespace {

void require_at_least(const char* name, std::int64_t least, std::int64_t value) {
  require(value >= least,
          std::string(name) + ": expected at least " + std::to_string(least) + ", got " + std::to_string(value));
}

void require_probability(const char* name, double value) {
  require(value >= 0 && value <= 1,
          std::string(name) + ": expected a probability in [0, 1], got " + std::to_string(value));
}

// Beyond this, offsets in bytes could overflow; no machine has the memory.
void require_representable(const char* names, double values) {
  require(values < 1e15,
          std::string(names) + ": expected a problem of less than 1e15 values, got " + std::to_string(values));
}

struct ValueBytes {
  std::size_t stored, sum;
  explicit ValueBytes(int dtype)
      : stored(static_cast<std::size_t>(bytes_of_value(dtype))), sum(dtype == RNN_ENGINE_FLOAT64 ? 8 : 4) {}
};

void require_optional(const void* pointer, std::size_t alignment, const char* name) {
  if (pointer) require_aligned_to(pointer, alignment, name);
}

void require_linear_problem(const rnn_engine_linear_problem& p) {
  require_at_least("steps", 0, p.steps);
  require_at_least("batch", 0, p.batch);
  require_at_least("outputs", 1, p.outputs);
  require(p.activation == RNN_ENGINE_IDENTITY || p.activation == RNN_ENGINE_TANH,
          "activation: expected identity (0) or tanh (1), got " + std::to_string(p.activation));
  require(p.inputs >= 1 && p.inputs <= RNN_ENGINE_MAX_INPUTS,
          "inputs: expected 1 to " + std::to_string(RNN_ENGINE_MAX_INPUTS) + ", got " + std::to_string(p.inputs));
  double sum = 1024;
  for (std::int64_t i = 0; i < p.inputs; ++i) {
    require_at_least(("input_sizes[" + std::to_string(i) + "]").c_str(), 1, p.input_sizes[i]);
    sum += static_cast<double>(p.input_sizes[i]);
  }
  require_probability("dropout", p.dropout);
  require_at_least("first_step", 0, p.first_step);
  require_representable(
      "steps, batch, input_sizes, outputs",
      (static_cast<double>(p.steps) * static_cast<double>(p.batch) + 1024) * (sum + static_cast<double>(p.outputs)) +
          sum * static_cast<double>(p.outputs));
}

// What both directions are given.
template <class Args>
void require_inputs(const rnn_engine_linear_problem& p, const Args& args) {
  const ValueBytes bytes(p.dtype);
  require_aligned_to(args.weight, bytes.stored, "weight");
  for (std::int64_t i = 0; i < p.inputs; ++i) {
    const std::string name = "inputs[" + std::to_string(i) + "]";
    if (p.steps * p.batch > 0) require_aligned_to(args.inputs[i], bytes.stored, name.c_str());
    require(args.input_rows[i] == 0 || args.input_rows[i] >= p.input_sizes[i],
            "input_rows[" + std::to_string(i) + "]: expected 0 or at least " + std::to_string(p.input_sizes[i]) +
                ", got " + std::to_string(args.input_rows[i]));
    require_representable("input_rows", static_cast<double>(p.steps) * static_cast<double>(p.batch) *
                                            static_cast<double>(args.input_rows[i]));
  }
}

void require_linear(const rnn_engine_linear_problem& p, const rnn_engine_linear_args& args) {
  const ValueBytes bytes(p.dtype);
  require_inputs(p, args);
  require_optional(args.bias, bytes.sum, "bias");
  if (p.steps * p.batch > 0) require_aligned_to(args.y, bytes.stored, "y");
}

void require_linear_backward(const rnn_engine_linear_problem& p, const rnn_engine_linear_backward_args& args) {
  const ValueBytes bytes(p.dtype);
  require_inputs(p, args);
  if (p.steps * p.batch > 0) {
    require_aligned_to(args.dy, bytes.stored, "dy");
    if (p.activation != RNN_ENGINE_IDENTITY) require_aligned_to(args.y, bytes.stored, "y");
  }
  for (std::int64_t i = 0; i < p.inputs; ++i)
    require_optional(args.d_inputs[i], bytes.stored, ("d_inputs[" + std::to_string(i) + "]").c_str());
  require_optional(args.d_weight, bytes.sum, "d_weight");
  require_optional(args.d_bias, bytes.sum, "d_bias");
}

void require_dropout(const rnn_engine_dropout_problem& p, const rnn_engine_dropout_args& args) {
  require_at_least("steps", 0, p.steps);
  require_at_least("batch", 0, p.batch);
  require_at_least("features", 0, p.features);
  require_probability("dropout", p.dropout);
  require_probability("row_dropout", p.row_dropout);
  const double rows = static_cast<double>(p.steps) * static_cast<double>(p.batch);
  require_representable("steps, batch, features",
                        (rows + 1) * std::max(static_cast<double>(p.features), static_cast<double>(args.in_row)));
  require(args.in_row == 0 || args.in_row >= p.features,
          "in_row: expected 0 or at least " + std::to_string(p.features) + ", got " + std::to_string(args.in_row));
  if (p.steps * p.batch == 0 || p.features == 0) return;
  const std::size_t stored = ValueBytes(p.dtype).stored;
  require_aligned_to(args.in, stored, "in");
  require_aligned_to(args.out, stored, "out");
}

}  // namespace
}  // namespace rnn_engine

using namespace rnn_engine;

extern "C" {

int rnn_engine_linear_workspace(const rnn_engine_context* context, const rnn_engine_linear_problem* problem,
                                uint64_t* forward, uint64_t* backward) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(forward, "forward");
    require_pointer(backward, "backward");
    require_linear_problem(*problem);
    context->linear_workspace(*problem, *forward, *backward);
  });
}

int rnn_engine_linear(rnn_engine_context* context, const rnn_engine_linear_problem* problem,
                      const rnn_engine_linear_args* args) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    std::uint64_t forward = 0, backward = 0;
    require_linear_problem(*problem);
    context->linear_workspace(*problem, forward, backward);
    require_linear(*problem, *args);
    require_block(args->workspace, forward, "workspace");
    const Trace trace(*problem, Call::kForward, *context);
    context->linear(*problem, *args);
  });
}

int rnn_engine_linear_backward(rnn_engine_context* context, const rnn_engine_linear_problem* problem,
                               const rnn_engine_linear_backward_args* args) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    std::uint64_t forward = 0, backward = 0;
    require_linear_problem(*problem);
    context->linear_workspace(*problem, forward, backward);
    require_linear_backward(*problem, *args);
    require_block(args->workspace, backward, "workspace");
    const Trace trace(*problem, Call::kBackward, *context);
    context->linear_backward(*problem, *args);
  });
}

int rnn_engine_dropout(rnn_engine_context* context, const rnn_engine_dropout_problem* problem,
                       const rnn_engine_dropout_args* args) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    require_dropout(*problem, *args);
    context->dropout(*problem, *args);
  });
}

}  // extern "C"
