// The part of the C API that is the same in every library: what a plan holds.
#include "api/arguments.h"
#include "api/plan_handle.h"

using namespace rnn_engine;

extern "C" {

const char* rnn_engine_last_error(void) { return last_error().c_str(); }

int rnn_engine_gates(int32_t cell) { return cell < 0 || cell >= kCells ? 0 : kCellTable[cell].gates; }

int rnn_engine_vector_width(int32_t cell, int32_t vector) {
  if (cell < 0 || cell >= kCells || vector < 0 || vector >= kCellTable[cell].vectors()) return 0;
  return kCellTable[cell].vector_width(vector);
}

void rnn_engine_plan_destroy(rnn_engine_plan* plan) { delete plan; }

rnn_engine_sizes rnn_engine_plan_sizes(const rnn_engine_plan* plan) { return plan->plan->sizes; }

int32_t rnn_engine_plan_policy(const rnn_engine_plan* plan, int64_t layer) {
  return static_cast<int32_t>(plan->plan->schedule.of(layer));
}

int rnn_engine_plan_buffers(rnn_engine_plan* plan, rnn_engine_buffer* buffers, size_t capacity,
                            size_t* count) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(count, "count");
    std::call_once(plan->listed, [&] { plan->plan->list_buffers(); });
    *count = 0;
    append_buffers("reserve", plan->plan->reserve, buffers, capacity, *count);
    append_buffers("workspace", plan->plan->workspace, buffers, capacity, *count);
  });
}

int rnn_engine_plan_tile(rnn_engine_plan* plan, int64_t index, rnn_engine_tile* tile, int64_t* inputs,
                         size_t capacity, size_t* count) {
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
