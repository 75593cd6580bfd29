#include "cpu/plan.h"

#include "base/error.h"
#include "cpu/dtype.h"

namespace rnn_engine {
namespace {

rnn_engine_sizes lay_out_any(const LayoutInput& in, Plan& plan, BufferTable* table) {
  return visit_dtype(in.shape.dtype, [&]<class T>() {
    return lay_out<T, PackedForward, ForwardWorkspace, BackwardWorkspace>(in, plan, table);
  });
}

// Groups of threads are equally large.
std::vector<std::int64_t> groups_of(const Machine& machine) {
  std::vector<std::int64_t> groups;
  for (std::int64_t count = 2; count <= machine.threads; ++count)
    if (machine.threads % count == 0) groups.push_back(count);
  return groups;
}

// Both arguments must live as long.
Estimates estimates_of(const Machine& machine, const Costs& costs) {
  return {
      [&](const Shape& shape, const Schedule& schedule) {
        const rnn_engine_sizes sizes = arena_sizes(shape, machine, schedule);
        return sizes.reserve_bytes + sizes.workspace_bytes;
      },
      [&](const Shape& shape, const Schedule& schedule) { return predicted_seconds(shape, machine, schedule, costs); },
      [&](const Shape& shape, const Schedule& schedule, const Tile& tile) {
        return tile_seconds(shape, machine, schedule, tile, costs);
      }};
}

}  // namespace

rnn_engine_sizes arena_sizes(const Shape& shape, const Machine& machine, const Schedule& schedule) {
  Plan unused;
  return lay_out_any({shape, machine, schedule, nullptr}, unused, nullptr);
}

Plan make_plan(const rnn_engine_problem& problem, const Machine& machine, Wavefronts& wavefronts) {
  Plan plan;
  require_dtype(problem.dtype);
  const Costs costs = typical_costs(machine, problem.dtype);
  plan.shape = make_shape(problem);
  plan.machine = machine;
  const Estimates estimates = estimates_of(machine, costs);
  plan.schedule = make_schedule(plan.shape, problem.memory, problem.budget, estimates);
  if (machine.threads > 1 && may_divide(problem))
    plan.schedule = divided(problem, plan.shape, plan.schedule, groups_of(machine), estimates, wavefronts);
  plan.tiles = make_tiles(plan.shape, plan.schedule);
  plan.brief_forward = is_brief(plan.shape, false);
  plan.brief_backward = is_brief(plan.shape, true);
  plan.sizes = lay_out_any(plan.layout(), plan, nullptr);
  if (plan.schedule.thread_groups > 1) {
    plan.graph = std::make_unique<TileGraph>(costed_graph(plan.shape, plan.schedule, plan.tiles, estimates));
    plan.queue = std::make_unique<TileQueue>(*plan.graph, plan.schedule.thread_groups);
  }
  return plan;
}

double typical_seconds(const Plan& plan) {
  if (plan.graph) return makespan(plan);
  return predicted_seconds(plan.shape, plan.machine, plan.schedule, typical_costs(plan.machine, plan.shape.dtype));
}

BufferTable Plan::buffers() const {
  Plan unused;
  BufferTable table;
  lay_out_any({shape, machine, schedule, &tiles}, unused, &table);
  return table;
}

}  // namespace rnn_engine
