// A problem with everything that running it needs to know, made before anything runs and never changed.
#pragma once

#include <vector>

#include "plan/layout.h"

namespace rnn_engine {

struct Plan {
  Shape shape;
  Machine machine;
  Schedule schedule;
  Tiles tiles;
  rnn_engine_sizes sizes;
  double seconds;                       // predicted, 0 where nothing was measured
  Slots kept_slots;                     // [L] each layer's piece of kept
  Slots forward_slots, backward_slots;  // [L*D] each lane's part of scratch in the two calls
  Slots packed_slots;                   // [L*D] each lane's weights in a packed block
  std::size_t packed_bytes;
  std::vector<BufferRecord> kept, scratch;  // see list_buffers

  LayoutInput layout() const { return {shape, machine, schedule, nullptr}; }
};

Plan make_plan(const rnn_engine_problem& problem, const Machine& machine, const Costs& costs);
// The table of buffers; made only when it is asked for.
void list_buffers(Plan& plan);

}  // namespace rnn_engine
