// Runs the tiles of a call: in the order of the list by all threads together, by groups of threads side by side, or
// step by step.
#pragma once

#include "base/error.h"
#include "base/pool.h"
#include "cpu/plan.h"

namespace rnn_engine {

// What the caller does between steps.
struct BeforeStep {
  rnn_engine_before_step call;
  void* user;
};

// On every thread: setup(team, group, each_tile) makes what runs tiles for that team, and calls
// each_tile(run). run(tile) must end with a barrier of the team.
template <class Setup>
void run_tiles(const Plan& plan, Pool& pool, bool in_backward, Interrupt& interrupt, const BeforeStep& before_step,
               const Setup& setup) {
  const std::vector<Tile>& tiles = in_backward ? plan.tiles.backward : plan.tiles.forward;
  const auto begin = static_cast<std::int64_t>(in_backward ? plan.tiles.forward.size() : 0);
  const auto end = begin + static_cast<std::int64_t>(tiles.size());
  const auto run_range = [&](std::size_t first, std::size_t last) {
    const auto work = [&](Team& all) {
      // A caller who found the threads busy, or whose call is brief, is alone: its team cannot be divided, and the
      // queue is not its own.
      const bool divided = plan.queue && all.size() == plan.machine.threads;
      Team team = all.group(divided ? static_cast<int>(plan.schedule.thread_groups) : 1);
      const auto group = static_cast<std::size_t>(all.id() / team.size());
      setup(team, static_cast<std::int64_t>(group), [&](const auto& run) {
        if (!divided) {
          for (std::size_t i = first; i < last && !interrupt.stops_before(i, team.made_call()); ++i) run(tiles[i]);
          return;
        }
        if (all.id() == 0) plan.queue->start(begin, end);
        all.barrier();
        plan.queue->work(team, group, [&](std::int64_t tile) { run(plan.tiles.at(tile)); });
      });
    };
    if (in_backward ? plan.brief_backward : plan.brief_forward) {
      Team alone(0, 1, nullptr);
      work(alone);
    } else {
      pool.run(work, &interrupt);
    }
  };
  if (!plan.schedule.stepwise || !before_step.call) return run_range(0, tiles.size());
  // The threads go apart at every step: the caller may want them for itself.
  for (std::size_t first = 0, last; first < tiles.size() && !interrupt.wanted(); first = last) {
    const bool asked = begins_step(plan.shape, tiles[first]);
    if (asked && before_step.call(before_step.user, tiles[first].s0) != 0)
      throw Interrupted("before_step ended the call");
    for (last = first + 1; last < tiles.size() && !begins_step(plan.shape, tiles[last]);) ++last;
    run_range(first, last);
  }
}

}  // namespace rnn_engine
