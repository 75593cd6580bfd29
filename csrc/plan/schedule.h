// How a problem is run: what each layer keeps for backward, and how time is cut into tiles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "plan/shape.h"

namespace rnn_engine {

struct Tile;

struct Machine {
  int width;             // values in a vector
  int threads;           // of the context
  int k_interleave = 1;  // neighbouring k that packed operands hold side by side
  int k_group = 1;       // neighbouring k that a product sums up at once
};

enum class Policy : int {
  kStore = RNN_ENGINE_STORE,            // all gates and states
  kRecompute = RNN_ENGINE_RECOMPUTE,    // h, and c every K steps; gates are recomputed by large products
  kCheckpoint = RNN_ENGINE_CHECKPOINT,  // h and c every K steps, for all layers at once; the recurrence is run again
};

struct Schedule {
  std::vector<Policy> policy;   // [L]; kCheckpoint in all layers or in none
  std::int64_t forward_steps;   // of a forward tile
  std::int64_t backward_steps;  // K, of a backward tile, and between the states that are kept
  std::int64_t gradient_steps;  // of a tile of weights' gradients: a multiple of K
  std::int64_t chunk;           // steps that all layers run before time moves on; T: layer by layer
  // Groups of threads that run tiles side by side. With one, all threads together run the tiles in their order, and no
  // more than one chunk and one pseudo-layer need be under way unless a chunk takes all pseudo-layers.
  std::int64_t thread_groups = 1;
  std::int64_t chunks_at_once = 1;         // whose outputs between layers have room
  std::int64_t pseudo_layers_at_once = 1;  // that have a slot of workspace to themselves
  // All layers take a step, forward or backward, before any takes the next; a piece of K steps is then what the
  // weights' gradients are products of, and what is recomputed at a time.
  bool stepwise = false;

  Policy of(std::int64_t layer) const { return policy[static_cast<std::size_t>(layer)]; }
  bool checkpoint() const { return policy.front() == Policy::kCheckpoint; }
  // Of a tile of the recurrence in reverse.
  std::int64_t tile_steps() const { return stepwise ? 1 : backward_steps; }
  // The first step of the piece of K steps that a backward tile is in.
  std::int64_t piece(std::int64_t s0) const { return stepwise ? s0 - s0 % backward_steps : s0; }
  bool stores_all() const {
    return std::all_of(policy.begin(), policy.end(), [](Policy p) { return p == Policy::kStore; });
  }
};

// Only one-directional stacks run in chunks of steps: a reverse direction needs the layer below to its end.
inline bool can_checkpoint(const Shape& shape) { return shape.D == 1; }

// All layers with one policy; K as large as `steps`. `checkpoint` becomes `recompute` where it cannot be.
Schedule uniform_schedule(const Shape& shape, Policy policy, std::int64_t steps);

// The steps that a policy chooses by itself: few enough to need little memory, enough rows for products at full speed.
std::int64_t default_steps(const Shape& shape, Policy policy);

// What a machine says of a schedule: bytes of reserve and workspace together, and predicted seconds.
struct Estimates {
  std::function<std::uint64_t(const Shape&, const Schedule&)> bytes;
  std::function<double(const Shape&, const Schedule&)> seconds;  // of one group
  // Of one tile, while all groups of the schedule are at work.
  std::function<double(const Shape&, const Schedule&, const Tile&)> tile_seconds;
};

// The fastest schedule that needs at most `budget` bytes of reserve and workspace together. Throws
// InvalidArgument with the least that would do, and a batch that would fit.
Schedule schedule_for_budget(const Shape& shape, std::uint64_t budget, const Estimates& estimates);

// The same work for groups of threads side by side, in shorter tiles.
Schedule in_wavefront(const Shape& shape, Schedule schedule, std::int64_t groups, std::int64_t steps);

Schedule make_schedule(const Shape& shape, int memory, std::uint64_t budget, const Estimates& estimates);

}  // namespace rnn_engine
