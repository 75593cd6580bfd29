// The C API: checks what comes from outside, turns exceptions into codes, and tells what a plan holds. What only one
// device has stands in its capi.cpp.
#include "api/arguments.h"
#include "api/handles.h"
#include "api/trace.h"

using namespace rnn_engine;

extern "C" {

const char* rnn_engine_last_error(void) { return last_error().c_str(); }

int rnn_engine_vector_width(int32_t cell, int32_t vector) {
  if (cell < 0 || cell >= kCells || vector < 0 || vector >= kCellTable[cell].vectors()) return 0;
  return kCellTable[cell].vector_width(vector);
}

void rnn_engine_context_destroy(rnn_engine_context* context) { delete context; }

const char* rnn_engine_context_isa(const rnn_engine_context* context) { return context->isa(); }

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

rnn_engine_plan_facts rnn_engine_plan_describe(const rnn_engine_plan* plan) {
  const PlanBase& p = *plan->plan;
  return {p.schedule.backward_steps, plan->context->seconds(p), p.tiles.count(), p.shape.L, p.schedule.thread_groups};
}

rnn_engine_sizes rnn_engine_plan_sizes(const rnn_engine_plan* plan) { return plan->plan->sizes; }

rnn_engine_array_sizes rnn_engine_plan_arrays(const rnn_engine_plan* plan) {
  const Shape& s = plan->plan->shape;
  const LayerShape &first = s.layers.front(), &last = s.layers.back();
  rnn_engine_array_sizes sizes{s.N, s.N * first.I, s.N * s.D * last.R, s.N * s.D * last.H, 0, 0};
  for (const LayerShape& layer : s.layers) {
    sizes.h += s.D * s.B * layer.R;
    sizes.c += s.D * s.B * layer.H;
  }
  return sizes;
}

int64_t rnn_engine_plan_weight(const rnn_engine_plan* plan, int64_t index, int32_t which) {
  const Shape& s = plan->plan->shape;
  if (index < 0 || index >= s.L * s.D || which < 0) return 0;
  const LayerShape& layer = s.layer(index / s.D);
  const std::int64_t projection = s.projected ? layer.R * layer.H : 0, bias = s.bias ? layer.Z : 0;
  const std::int64_t matrices[] = {layer.Z * layer.I, layer.Z * layer.R, bias, bias, projection};
  if (which < 5) return matrices[which];
  const int vector = which - 5;
  if (vector >= s.cell.vectors() || (!s.bias && s.cell.is_bias(vector))) return 0;
  return s.cell.vector_width(vector) * layer.H;
}

int32_t rnn_engine_plan_policy(const rnn_engine_plan* plan, int64_t layer) {
  return static_cast<int32_t>(plan->plan->schedule.of(layer));
}

int rnn_engine_plan_buffers(rnn_engine_plan* plan, rnn_engine_buffer* buffers, size_t capacity, size_t* count) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(count, "count");
    std::call_once(plan->listed, [&] { plan->plan->list_buffers(); });
    *count = 0;
    append_buffers("reserve", plan->plan->reserve, buffers, capacity, *count);
    append_buffers("workspace", plan->plan->workspace, buffers, capacity, *count);
  });
}

int rnn_engine_plan_tile(rnn_engine_plan* plan, int64_t index, rnn_engine_tile* tile, int64_t* inputs, size_t capacity,
                         size_t* count) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(tile, "tile");
    const PlanBase& p = *plan->plan;
    *tile = tile_at(p.tiles, index);
    if (!count) return;
    std::call_once(plan->searched, [&] { plan->inputs = inputs_of(p.shape, p.schedule, p.tiles); });
    copy_inputs(plan->inputs, index, inputs, capacity, *count);
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
    require_aligned(packed, plan->plan->sizes.packed_bytes, "packed");
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
    require_aligned(args->workspace, bytes, "workspace");
    const Trace trace(*problem, *context);
    context->linear_cross_entropy(*problem, *args, result);
  });
}

size_t rnn_engine_gemm_workspace(const rnn_engine_context* context, int64_t n, int64_t k) {
  return context->gemm_workspace(n, k);
}

int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                    float* c, void* workspace, size_t workspace_bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require(m >= 1 && n >= 1 && k >= 1, "m, n, k: expected at least 1");
    const size_t needed = context->gemm_workspace(n, k);
    require(workspace_bytes >= needed, "workspace_bytes: expected at least " + std::to_string(needed) + ", got " +
                                           std::to_string(workspace_bytes));
    require_aligned(workspace, needed, "workspace");
    context->gemm(m, n, k, a, b, c, workspace);
  });
}

}  // extern "C"
