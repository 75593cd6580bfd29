// The C API: checks what comes from outside, turns exceptions into codes, and tells what a plan holds. What only one
// device has stands in its capi.cpp.
#include <string>

#include "api/arguments.h"
#include "api/handles.h"
#include "api/trace.h"

using namespace rnn_engine;

namespace {

// Beyond this, offsets in bytes could overflow; no machine has the memory.
void require_product(std::int64_t m, std::int64_t n, std::int64_t k) {
  require(m >= 1 && n >= 1 && k >= 1, "m, n, k: expected at least 1");
  const double rows = static_cast<double>(m) + static_cast<double>(n), depth = static_cast<double>(k) + 1024;
  const double values = rows * depth + static_cast<double>(m) * static_cast<double>(n);
  require(values < 1e15, "m, n, k: expected a product of less than 1e15 values, got " + std::to_string(values));
}

}  // namespace

extern "C" {

const char* rnn_engine_last_error(void) { return last_error(); }

int rnn_engine_vector_width(int32_t cell, int32_t vector) {
  if (cell < 0 || cell >= kCells || vector < 0 || vector >= kCellTable[cell].vectors()) return 0;
  return kCellTable[cell].vector_width(vector);
}

void rnn_engine_context_destroy(rnn_engine_context* context) { delete context; }

int rnn_engine_context_isa(const rnn_engine_context* context, const char** isa) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(isa, "isa");
    *isa = context->isa();
  });
}

int rnn_engine_context_set_interrupt(rnn_engine_context* context, rnn_engine_interrupt interrupt, void* user) {
  return guarded([&] {
    require_pointer(context, "context");
    context->interrupt = interrupt;
    context->interrupt_user = user;
  });
}

int rnn_engine_plan_create(rnn_engine_context* context, const rnn_engine_problem* problem, rnn_engine_plan** plan) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(plan, "plan");
    auto made = std::make_unique<rnn_engine_plan>();
    made->context = context;
    made->plan = context->plan(*problem);
    *plan = made.release();
  });
}

void rnn_engine_plan_destroy(rnn_engine_plan* plan) { delete plan; }

int rnn_engine_plan_describe(const rnn_engine_plan* plan, rnn_engine_plan_facts* facts) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(facts, "facts");
    const PlanBase& p = *plan->plan;
    *facts = {p.schedule.backward_steps, plan->context->seconds(p), p.tiles.count(), p.shape.L,
              p.schedule.thread_groups};
  });
}

int rnn_engine_plan_sizes(const rnn_engine_plan* plan, rnn_engine_sizes* sizes) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(sizes, "sizes");
    *sizes = plan->plan->sizes;
  });
}

int rnn_engine_plan_arrays(const rnn_engine_plan* plan, rnn_engine_array_sizes* sizes) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(sizes, "sizes");
    const Shape& s = plan->plan->shape;
    const LayerShape &first = s.layers.front(), &last = s.layers.back();
    *sizes = {s.N, s.N * first.I, s.N * s.D * last.R, s.N * s.D * last.H, 0, 0};
    for (const LayerShape& layer : s.layers) {
      sizes->h += s.D * s.B * layer.R;
      sizes->c += s.D * s.B * layer.H;
    }
  });
}

int rnn_engine_plan_weight(const rnn_engine_plan* plan, int64_t index, int32_t which, int64_t* values) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(values, "values");
    const Shape& s = plan->plan->shape;
    *values = 0;
    if (index < 0 || index >= s.L * s.D || which < 0) return;
    const LayerShape& layer = s.layer(index / s.D);
    const std::int64_t projection = s.projected ? layer.R * layer.H : 0, bias = s.bias ? layer.Z : 0;
    const std::int64_t matrices[] = {layer.Z * layer.I, layer.Z * layer.R, bias, bias, projection};
    const int vector = which - 5;
    if (which < 5)
      *values = matrices[which];
    else if (vector < s.cell.vectors() && (s.bias || !s.cell.is_bias(vector)))
      *values = s.cell.vector_width(vector) * layer.H;
  });
}

int rnn_engine_plan_policy(const rnn_engine_plan* plan, int64_t layer, int32_t* policy) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(policy, "policy");
    const std::int64_t layers = plan->plan->shape.L;
    require(layer >= 0 && layer < layers,
            "layer: expected 0 to " + std::to_string(layers - 1) + ", got " + std::to_string(layer));
    *policy = static_cast<int32_t>(plan->plan->schedule.of(layer));
  });
}

int rnn_engine_plan_buffers(rnn_engine_plan* plan, rnn_engine_buffer* buffers, size_t capacity, size_t* count) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(count, "count");
    if (buffers) require_pointer(buffers, "buffers");
    const BufferTable& table = plan->buffers.get([&] { return plan->plan->buffers(); });
    *count = 0;
    append_buffers("reserve", table.reserve, buffers, capacity, *count);
    append_buffers("workspace", table.workspace, buffers, capacity, *count);
  });
}

int rnn_engine_plan_tile(rnn_engine_plan* plan, int64_t index, rnn_engine_tile* tile, int64_t* inputs, size_t capacity,
                         size_t* count) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(tile, "tile");
    if (inputs) require_pointer(inputs, "inputs");
    const PlanBase& p = *plan->plan;
    *tile = tile_at(p.tiles, index);
    if (!count) return;
    require_pointer(count, "count");
    const Edges& all = plan->inputs.get([&] { return inputs_of(p.shape, p.schedule, p.tiles); });
    copy_inputs(all, index, inputs, capacity, *count);
  });
}

int rnn_engine_forward(rnn_engine_plan* plan, const rnn_engine_forward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    require_forward(plan->plan->shape, plan->plan->sizes, *args);
    const Trace trace(Call::kForward, *plan);
    plan->context->forward(*plan->plan, *args);
  });
}

int rnn_engine_backward(rnn_engine_plan* plan, const rnn_engine_backward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    require_backward(plan->plan->shape, plan->plan->sizes, *args);
    const Trace trace(Call::kBackward, *plan);
    plan->context->backward(*plan->plan, *args);
  });
}

int rnn_engine_pack(rnn_engine_plan* plan, const rnn_engine_weights* weights, void* packed, void* stream) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_weights(plan->plan->shape, weights);
    require_block(packed, plan->plan->sizes.packed_bytes, "packed");
    plan->context->pack(*plan->plan, weights, packed, stream);
  });
}

int rnn_engine_calibrate(rnn_engine_context* context, int32_t dtype) {
  return guarded([&] {
    require_pointer(context, "context");
    context->calibrate(dtype);
  });
}

int rnn_engine_loss_workspace(const rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                              uint64_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(bytes, "bytes");
    *bytes = context->loss_workspace(*problem);
  });
}

int rnn_engine_linear_cross_entropy(rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                                    const rnn_engine_loss_args* args, rnn_engine_loss_result* result) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    require_pointer(result, "result");
    const std::uint64_t bytes = context->loss_workspace(*problem);
    require_loss(*problem, *args);
    require_block(args->workspace, bytes, "workspace");
    const Trace trace(*problem, *context);
    context->linear_cross_entropy(*problem, *args, result);
  });
}

int rnn_engine_gemm_workspace(const rnn_engine_context* context, int64_t n, int64_t k, size_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(bytes, "bytes");
    require_product(1, n, k);
    *bytes = context->gemm_workspace(n, k);
  });
}

int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                    float* c, void* workspace, size_t workspace_bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_product(m, n, k);
    require_pointer(a, "a");
    require_pointer(b, "b");
    require_pointer(c, "c");
    const size_t needed = context->gemm_workspace(n, k);
    require(workspace_bytes >= needed, "workspace_bytes: expected at least " + std::to_string(needed) + ", got " +
                                           std::to_string(workspace_bytes));
    require_block(workspace, needed, "workspace");
    context->gemm(m, n, k, a, b, c, workspace);
  });
}

int rnn_engine_peak(rnn_engine_context* context, int32_t dtype, int64_t iterations, double* operations) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(operations, "operations");
    require(iterations >= 0, "iterations: expected at least 0, got " + std::to_string(iterations));
    *operations = context->peak(dtype, iterations);
  });
}

}  // extern "C"
