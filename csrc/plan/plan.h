// What the plans of all devices have: a problem, how it is run, and what lies where in the caller's memory.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "plan/graph.h"
#include "plan/reserve.h"
#include "plan/wavefront.h"

namespace rnn_engine {

// Where a plan's buffers lie.
struct BufferTable {
  std::vector<BufferRecord> reserve, workspace;
};

struct PlanBase {
  Shape shape;
  Machine machine;
  Schedule schedule;
  Tiles tiles;
  std::unique_ptr<TileGraph> graph;  // where tiles run side by side, else null
  rnn_engine_sizes sizes;
  Slots reserve_slots;                  // [L] each layer's piece of the reserve
  Slots forward_slots, backward_slots;  // [L*D] each pseudo-layer's part of workspace in the two calls
  Slots packed_slots;                   // [L*D] each pseudo-layer's weights in a packed block

  PlanBase() = default;
  PlanBase(PlanBase&&) = default;
  PlanBase& operator=(PlanBase&&) = default;
  virtual ~PlanBase() = default;
  virtual BufferTable buffers() const = 0;

  LayoutInput layout() const { return {shape, machine, schedule, nullptr}; }
};

// Fills the slots of `plan`, and a table of buffers if one is given. The last three are a device's own layouts.
template <class T, template <class> class Packed, template <class> class ForwardWorkspace,
          template <class> class BackwardWorkspace>
rnn_engine_sizes lay_out(const LayoutInput& in, PlanBase& plan, BufferTable* table) {
  plan.reserve_slots.clear();
  plan.packed_slots.clear();
  Arena reserve(nullptr, table ? &table->reserve : nullptr);
  for (std::int64_t layer = 0; layer < in.shape.L && in.shape.training; ++layer) {
    plan.reserve_slots.push_back(reserve.mark());
    ReserveLayer<T>(in, layer, reserve);
  }
  Arena packed;
  for_each_pseudo_layer(in.shape, [&](std::int64_t layer, std::int64_t d) {
    plan.packed_slots.push_back(packed.mark());
    Packed<T>(in, layer, d, packed);
  });
  Arena forward(nullptr, table ? &table->workspace : nullptr), backward(nullptr, table ? &table->workspace : nullptr);
  ForwardWorkspace<T>(in, forward, 0, &plan.forward_slots);
  if (in.shape.training) BackwardWorkspace<T>(in, backward, 0, &plan.backward_slots);
  return {reserve.size(), std::max(forward.size(), backward.size()), forward.size(), backward.size(), packed.size()};
}

// Seconds of both calls of a plan whose tiles run side by side.
inline double makespan(const PlanBase& plan) {
  const auto forward = static_cast<std::int64_t>(plan.tiles.forward.size());
  return makespan(*plan.graph, 0, forward, plan.schedule.thread_groups) +
         makespan(*plan.graph, forward, plan.tiles.count(), plan.schedule.thread_groups);
}

}  // namespace rnn_engine
