// The part of the C API that is the same in every library: what a plan holds.
#include "api/arguments.h"
#include "api/plan_handle.h"

using namespace rnn_engine;

extern "C" {

const char* rnn_engine_last_error(void) { return last_error().c_str(); }

int rnn_engine_vector_width(int32_t cell, int32_t vector) {
  if (cell < 0 || cell >= kCells || vector < 0 || vector >= kCellTable[cell].vectors()) return 0;
  return kCellTable[cell].vector_width(vector);
}

void rnn_engine_plan_destroy(rnn_engine_plan* plan) { delete plan; }

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

}  // extern "C"
