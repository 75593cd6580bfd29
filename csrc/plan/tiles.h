// The work of a call as tiles, each one layer and direction over a piece of time, in an order in which every
// tile comes after what it needs.
#pragma once

#include <cstdint>
#include <vector>

#include "base/arena.h"
#include "plan/schedule.h"

namespace rnn_engine {

enum class TileKind : int {
  kForward = 0,          // part of the forward call
  kReplay = 1,           // the same inside the backward call: a checkpointed piece of time runs again
  kBackward = 2,         // the recurrence in reverse; with all that follows unless the gates were kept
  kWeightGradients = 3,  // of kept gates: products that nothing waits for
  kInputGradient = 4,    // of kept gates: what the layer below waits for
};
inline constexpr int kTileKinds = 5;

struct Tile {
  TileKind kind;
  std::int64_t layer, direction, s0, s1;  // steps [s0, s1) in the order of computation
};

// Forward tiles come before backward tiles in the one list that `Life` counts through.
struct Tiles {
  std::vector<Tile> forward, backward;

  std::int64_t count() const { return static_cast<std::int64_t>(forward.size() + backward.size()); }
  const Tile& at(std::int64_t i) const {
    const auto index = static_cast<std::size_t>(i);
    return index < forward.size() ? forward[index] : backward[index - forward.size()];
  }
  // From the first to the last tile of a layer in one of the two calls.
  Life life(std::int64_t layer, std::int64_t direction, bool in_backward) const;
};

Tiles make_tiles(const Shape& shape, const Schedule& schedule);

// Whether a tile is the first of a step, where all layers take one before any takes the next.
bool begins_step(const Shape& shape, const Tile& tile);

}  // namespace rnn_engine
