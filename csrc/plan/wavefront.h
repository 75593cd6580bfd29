// Whether groups of threads should run tiles side by side: how many groups, and how long their tiles, from
// simulated runs.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "plan/cost.h"
#include "plan/graph.h"
#include "plan/schedule.h"

namespace rnn_engine {

// Seconds from the beginning of a call, whose tiles are [begin, end), to the end of its last tile.
double makespan(const TileGraph& graph, std::int64_t begin, std::int64_t end, std::int64_t groups);

// The graph of a schedule with what its tiles cost.
TileGraph costed_graph(const Shape& shape, const Machine& machine, const Schedule& schedule,
                       const Tiles& tiles, const Costs& costs);

struct Wavefront {
  std::int64_t groups = 1, steps = 1;  // of threads; of a tile
  double gain = 0;  // seconds of one group over seconds of these; 0 if there is nothing to run side by side
};

// The fastest wavefront for a problem. Problems that are about as long and as wide get the same, found once.
class Wavefronts {
 public:
  Wavefront find(const Shape& shape, const Machine& machine, const Schedule& layers, const Costs& costs);

 private:
  std::mutex lock_;
  std::map<std::vector<std::int64_t>, Wavefront> found_;
};

}  // namespace rnn_engine
