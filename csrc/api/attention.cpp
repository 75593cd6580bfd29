// Attention's part of the C API: what comes from outside is checked here, for every device.
#include <cmath>
#include <string>

#include "api/arguments.h"
#include "api/handles.h"
#include "api/trace.h"

namespace rnn_engine {
namespace {

void require_problem(const rnn_engine_attention_problem& p, int gradients) {
  const auto within = [](const char* name, std::int64_t least, std::int64_t most, std::int64_t value) {
    require(value >= least && value <= most, std::string(name) + ": expected " + std::to_string(least) + " to " +
                                                 std::to_string(most) + ", got " + std::to_string(value));
  };
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  require(p.form == RNN_ENGINE_DOT || p.form == RNN_ENGINE_ADDITIVE,
          "form: expected dot (0) or additive (1), got " + std::to_string(p.form));
  within("steps", 0, kMost, p.steps);
  within("batch", 0, kMost, p.batch);
  within("source_steps", 1, kMost, p.source_steps);
  within("key_size", 1, kMost, p.key_size);
  within("value_size", 1, kMost, p.value_size);
  within("heads", 1, 1 << 16, p.heads);
  const auto divided = [&](const char* name, std::int64_t size) {
    require(size % p.heads == 0, std::string(name) + ": expected a multiple of heads = " + std::to_string(p.heads) +
                                     ", got " + std::to_string(size));
  };
  divided("key_size", p.key_size);
  divided("value_size", p.value_size);
  require(std::isfinite(p.scale), "scale: expected a finite number, got " + std::to_string(p.scale));
  require(p.dropout >= 0 && p.dropout <= 1,
          "dropout: expected a probability in [0, 1], got " + std::to_string(p.dropout));
  require(p.first_step >= 0, "first_step: expected at least 0, got " + std::to_string(p.first_step));
  const int all = RNN_ENGINE_ATTENTION_QUERIES | RNN_ENGINE_ATTENTION_KEYS | RNN_ENGINE_ATTENTION_VALUES |
                  (p.form == RNN_ENGINE_ADDITIVE ? RNN_ENGINE_ATTENTION_VECTOR : 0);
  require(gradients >= 0 && gradients <= all,
          "gradients: expected a sum of RNN_ENGINE_ATTENTION_..., got " + std::to_string(gradients));
  // Beyond this, offsets in bytes could overflow; no machine has the memory.
  const double width = static_cast<double>(p.key_size) + static_cast<double>(p.value_size) + 256;
  const double sizes =
      (static_cast<double>(p.steps) + static_cast<double>(p.source_steps)) * (static_cast<double>(p.batch) + 1) * width;
  require(sizes < 1e15,
          "steps, batch, source_steps, key_size, value_size: expected a problem of less than 1e15 values, got " +
              std::to_string(sizes));
}

// `looks`: whether they are in this machine's memory.
void require_lengths(const char* name, const std::int64_t* lengths, std::int64_t batch, std::int64_t least,
                     std::int64_t most, bool looks) {
  if (!lengths) return;
  require_pointer(lengths, name);
  if (!looks) return;
  for (std::int64_t b = 0; b < batch; ++b)
    if (lengths[b] < least || lengths[b] > most)
      throw InvalidArgument(std::string(name) + "[" + std::to_string(b) + "]: expected " + std::to_string(least) +
                            " to " + std::to_string(most) + ", got " + std::to_string(lengths[b]));
}

struct Sizes {
  std::size_t stored, sum;
  explicit Sizes(const rnn_engine_attention_problem& p)
      : stored(static_cast<std::size_t>(bytes_of_value(p.dtype))), sum(p.dtype == RNN_ENGINE_FLOAT64 ? 8 : 4) {}
};

void require_inputs(const rnn_engine_context& context, const rnn_engine_attention_problem& p,
                    const rnn_engine_attention_inputs& inputs) {
  const Sizes sizes(p);
  if (p.steps > 0 && p.batch > 0) require_aligned_to(inputs.queries, sizes.stored, "queries");
  if (p.batch > 0) {
    require_aligned_to(inputs.keys, sizes.stored, "keys");
    require_aligned_to(inputs.values, sizes.stored, "values");
  }
  if (p.form == RNN_ENGINE_ADDITIVE)
    require_aligned_to(inputs.vector, sizes.sum, "vector");
  else
    require(!inputs.vector, "vector: expected NULL, as the form is dot");
  require_lengths("source_lengths", inputs.source_lengths, p.batch, 1, p.source_steps, context.waits());
  require_lengths("target_lengths", inputs.target_lengths, p.batch, 0, p.steps, context.waits());
  if (inputs.masks.row_ids) require_pointer(inputs.masks.row_ids, "row_ids");
}

void require_optional(const void* pointer, std::size_t alignment, const char* name) {
  if (pointer) require_aligned_to(pointer, alignment, name);
}

int gradients_of(const rnn_engine_attention_backward_args& args) {
  return (args.d_queries ? RNN_ENGINE_ATTENTION_QUERIES : 0) | (args.d_keys ? RNN_ENGINE_ATTENTION_KEYS : 0) |
         (args.d_values ? RNN_ENGINE_ATTENTION_VALUES : 0) | (args.d_vector ? RNN_ENGINE_ATTENTION_VECTOR : 0);
}

std::uint64_t workspace_of(const rnn_engine_context& context, const rnn_engine_attention_problem& problem,
                           int gradients) {
  require_problem(problem, gradients);
  return context.attention_workspace(problem, gradients);
}

}  // namespace
}  // namespace rnn_engine

using namespace rnn_engine;

extern "C" {

int rnn_engine_attention_workspace(const rnn_engine_context* context, const rnn_engine_attention_problem* problem,
                                   int32_t gradients, uint64_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(bytes, "bytes");
    *bytes = workspace_of(*context, *problem, gradients);
  });
}

int rnn_engine_attention_forward(rnn_engine_context* context, const rnn_engine_attention_problem* problem,
                                 const rnn_engine_attention_forward_args* args) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    const std::uint64_t bytes = workspace_of(*context, *problem, 0);
    const Sizes sizes(*problem);
    require_inputs(*context, *problem, args->inputs);
    if (problem->steps > 0 && problem->batch > 0) require_aligned_to(args->context, sizes.stored, "context");
    require_optional(args->logarithms, sizes.sum, "logarithms");
    require_optional(args->weights, sizes.sum, "weights");
    require_block(args->workspace, bytes, "workspace");
    const Trace trace(*problem, 0, *context);
    context->attention_forward(*problem, *args);
  });
}

int rnn_engine_attention_backward(rnn_engine_context* context, const rnn_engine_attention_problem* problem,
                                  const rnn_engine_attention_backward_args* args) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    const int gradients = gradients_of(*args);
    if (gradients == 0) return;
    const std::uint64_t bytes = workspace_of(*context, *problem, gradients);
    const Sizes sizes(*problem);
    require_inputs(*context, *problem, args->inputs);
    if (problem->steps > 0 && problem->batch > 0) {
      require_aligned_to(args->logarithms, sizes.sum, "logarithms");
      require_aligned_to(args->d_context, sizes.stored, "d_context");
    }
    require_optional(args->d_queries, sizes.stored, "d_queries");
    require_optional(args->d_keys, sizes.stored, "d_keys");
    require_optional(args->d_values, sizes.stored, "d_values");
    require_optional(args->d_vector, sizes.sum, "d_vector");
    require_block(args->workspace, bytes, "workspace");
    const Trace trace(*problem, gradients, *context);
    context->attention_backward(*problem, *args);
  });
}

}  // extern "C"
