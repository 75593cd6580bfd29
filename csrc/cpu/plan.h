// A problem with everything that running it needs to know, made before anything runs and never changed.
#pragma once

#include <memory>

#include "cpu/cost.h"
#include "cpu/run/queue.h"
#include "cpu/workspace.h"
#include "plan/plan.h"

namespace rnn_engine {

struct Plan final : PlanBase {
  std::unique_ptr<TileQueue> queue;    // of the graph, for the call that has all threads
  bool brief_forward, brief_backward;  // is_brief of the two calls

  BufferTable buffers() const override;
};

// `wavefronts`: those found before.
Plan make_plan(const rnn_engine_problem& problem, const Machine& machine, Wavefronts& wavefronts);
// Seconds that a plan takes by costs that are typical of machines with such vectors.
double typical_seconds(const Plan& plan);

}  // namespace rnn_engine
