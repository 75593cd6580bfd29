// Sizes and buffers of a problem, without running or allocating any of it.
#pragma once

#include <vector>

#include "plan/layout.h"

namespace rnn_engine {

struct Plan {
  std::vector<BufferRecord> kept, forward, backward;
  rnn_engine_sizes sizes;
};

// The sizes alone: no allocation.
rnn_engine_sizes plan_sizes(const Shape& shape, const Machine& machine);
// The sizes and the table behind them.
Plan make_plan(const Shape& shape, const Machine& machine);

}  // namespace rnn_engine
