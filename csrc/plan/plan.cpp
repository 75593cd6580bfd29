#include "plan/plan.h"

namespace rnn_engine {
namespace {

// Fills the slots of `plan`, and its table of buffers if `table`.
template <class T>
rnn_engine_sizes lay_out(const LayoutInput& in, Plan& plan, bool table) {
  plan.kept_slots.clear();
  plan.forward_slots.clear();
  plan.backward_slots.clear();
  Arena kept(nullptr, table ? &plan.kept : nullptr);
  for (std::int64_t layer = 0; layer < in.shape.L && in.shape.training; ++layer) {
    plan.kept_slots.push_back(kept.mark());
    KeptLayer<T>(in, layer, kept);
  }
  Arena packed;
  plan.packed_slots.clear();
  for_each_lane(in.shape, [&](std::int64_t layer, std::int64_t d) {
    plan.packed_slots.push_back(packed.mark());
    PackedForward<T>(in, layer, d, packed);
  });
  plan.packed_bytes = packed.size();
  Arena forward(nullptr, table ? &plan.scratch : nullptr), backward(nullptr, table ? &plan.scratch : nullptr);
  ForwardScratch<T>(in, forward, &plan.forward_slots);
  if (in.shape.training) BackwardScratch<T>(in, backward, &plan.backward_slots);
  return {kept.size(), std::max(forward.size(), backward.size()), forward.size(), backward.size()};
}

rnn_engine_sizes lay_out_any(const LayoutInput& in, Plan& plan, bool table) {
  return in.shape.dtype == RNN_ENGINE_FLOAT32 ? lay_out<float>(in, plan, table)
                                              : lay_out<double>(in, plan, table);
}

}  // namespace

rnn_engine_sizes arena_sizes(const Shape& shape, const Machine& machine, const Schedule& schedule) {
  Plan unused;
  return lay_out_any({shape, machine, schedule, nullptr}, unused, false);
}

Plan make_plan(const rnn_engine_problem& problem, const Machine& machine, const Costs& costs) {
  Plan plan;
  plan.shape = make_shape(problem);
  plan.machine = machine;
  plan.schedule = make_schedule(plan.shape, machine, problem.memory, problem.budget, costs);
  plan.tiles = make_tiles(plan.shape, plan.schedule);
  plan.sizes = lay_out_any(plan.layout(), plan, false);
  const std::size_t value = plan.shape.dtype == RNN_ENGINE_FLOAT32 ? sizeof(float) : sizeof(double);
  plan.seconds = costs.measured() ? predicted_seconds(plan.shape, plan.schedule, value, costs) : 0;
  return plan;
}

void list_buffers(Plan& plan) {
  if (!plan.kept.empty() || !plan.scratch.empty()) return;
  lay_out_any({plan.shape, plan.machine, plan.schedule, &plan.tiles}, plan, true);
}

}  // namespace rnn_engine
