// A problem with everything that running it needs to know, made before anything runs and never changed.
#pragma once

#include <memory>
#include <vector>

#include "plan/cost.h"
#include "plan/layout.h"
#include "plan/queue.h"
#include "plan/wavefront.h"

namespace rnn_engine {

struct Plan {
  Shape shape;
  Machine machine;
  Schedule schedule;
  Tiles tiles;
  rnn_engine_sizes sizes;
  Slots kept_slots;                     // [L] each layer's piece of kept
  Slots forward_slots, backward_slots;  // [L*D] each lane's part of scratch in the two calls
  Slots packed_slots;                   // [L*D] each lane's weights in a packed block
  std::size_t packed_bytes;
  std::vector<BufferRecord> kept, scratch;  // see list_buffers

  // Where groups of threads run tiles side by side, else null. The queue is for the call that has all
  // threads.
  std::unique_ptr<TileGraph> graph;
  std::unique_ptr<TileQueue> queue;

  LayoutInput layout() const { return {shape, machine, schedule, nullptr}; }
};

// `wavefronts`: those found before; with nullptr none is looked for.
Plan make_plan(const rnn_engine_problem& problem, const Machine& machine, const Costs& costs,
               Wavefronts* wavefronts = nullptr);
// Bytes, and seconds from measured costs; both arguments must live as long.
Estimates estimates_of(const Machine& machine, const Costs& costs);
// Whether the choice of a schedule needs costs.
bool may_divide(const rnn_engine_problem& problem, const Machine& machine);
// Seconds that a plan is predicted to take.
double predicted_seconds(const Plan& plan, const Costs& costs);
// The table of buffers; made only when it is asked for.
void list_buffers(Plan& plan);

}  // namespace rnn_engine
