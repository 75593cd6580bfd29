// Whether groups of threads, or streams, should run tiles side by side: how many, and how long their tiles,
// from simulated runs.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "base/fork.h"
#include "plan/graph.h"
#include "plan/schedule.h"

namespace rnn_engine {

// Seconds from the beginning of a call, whose tiles are [begin, end), to the end of its last tile.
double makespan(const TileGraph& graph, std::int64_t begin, std::int64_t end, std::int64_t groups);

// The graph of a schedule with what its tiles cost.
TileGraph costed_graph(const Shape& shape, const Schedule& schedule, const Tiles& tiles, const Estimates& estimates);

struct Wavefront {
  std::int64_t groups = 1, steps = 1;  // of threads; of a tile
  double gain = 0;  // seconds of one group over seconds of these; 0 if there is nothing to run side by side
};

// The fastest wavefronts of problems. Those that are about as long and as wide have the same, found once.
class Wavefronts {
 public:
  // `groups`: the numbers of groups that the machine can have, of which no more are taken than there are pseudo-layers.
  Wavefront find(const Shape& shape, const Schedule& layers, const std::vector<std::int64_t>& groups,
                 const Estimates& estimates);

 private:
  struct Known {
    std::mutex lock;
    std::map<std::vector<std::int64_t>, Wavefront> found;
  };
  OfProcess<Known> known_;
};

// Whether there is anything to run side by side.
bool may_divide(const rnn_engine_problem& problem);

// A wavefront in place of `layers`, if that is what is asked for, or promises to be faster; and if there is
// memory for it.
Schedule divided(const rnn_engine_problem& problem, const Shape& shape, const Schedule& layers,
                 const std::vector<std::int64_t>& groups, const Estimates& estimates, Wavefronts& wavefronts);

}  // namespace rnn_engine
