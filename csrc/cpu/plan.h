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

  void list_buffers() override;
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

}  // namespace rnn_engine
