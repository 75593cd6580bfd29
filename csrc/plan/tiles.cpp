#include "plan/tiles.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace rnn_engine {
namespace {

// A list of tiles takes 40 bytes a tile; whoever asks for more has mistaken something.
constexpr std::int64_t kMostTiles = 1 << 24;

void add_forward(const Schedule& schedule, TileKind kind, std::int64_t layer, std::int64_t direction,
                 std::int64_t s0, std::int64_t s1, std::vector<Tile>& tiles) {
  for (std::int64_t s = s0; s < s1; s += schedule.forward_steps)
    tiles.push_back({kind, layer, direction, s, std::min(s1, s + schedule.forward_steps)});
}

// Whether a tile of layer l computes what one of layer l' must have, over any of the same time.
bool shares_time(const Shape& shape, const Tile& a, const Tile& b) {
  const Span x = span_of(shape, a.direction, a.s0, a.s1), y = span_of(shape, b.direction, b.s0, b.s1);
  return x.t0 < y.t1 && y.t0 < x.t1;
}

}  // namespace

Tiles make_tiles(const Shape& shape, const Schedule& schedule) {
  Tiles tiles;
  const std::int64_t shortest = std::min(schedule.forward_steps, schedule.backward_steps);
  const std::int64_t most =
      shape.L * shape.D * ((shape.T + shortest - 1) / shortest) * (shape.training ? 2 : 1);
  require(most <= kMostTiles, "steps: expected a plan of at most " + std::to_string(kMostTiles) +
                                  " tiles, got about " + std::to_string(most) +
                                  " for T = " + std::to_string(shape.T));
  for (std::int64_t g0 = 0; g0 < shape.T; g0 += schedule.group)
    for (std::int64_t layer = 0; layer < shape.L; ++layer)
      for (std::int64_t d = 0; d < shape.D; ++d)
        add_forward(schedule, TileKind::kForward, layer, d, g0, std::min(shape.T, g0 + schedule.group),
                    tiles.forward);
  if (!shape.training) return tiles;
  const std::int64_t K = schedule.backward_steps, pieces = (shape.T + K - 1) / K;
  const auto backward = [&](std::int64_t layer, std::int64_t d, std::int64_t piece) {
    tiles.backward.push_back({TileKind::kBackward, layer, d, piece * K, std::min(shape.T, (piece + 1) * K)});
  };
  if (schedule.checkpoint()) {
    for (std::int64_t piece = pieces - 1; piece >= 0; --piece) {
      for (std::int64_t layer = 0; layer < shape.L; ++layer)
        tiles.backward.push_back(
            {TileKind::kReplay, layer, 0, piece * K, std::min(shape.T, (piece + 1) * K)});
      for (std::int64_t layer = shape.L - 1; layer >= 0; --layer) backward(layer, 0, piece);
    }
    return tiles;
  }
  for (std::int64_t layer = shape.L - 1; layer >= 0; --layer)
    for (std::int64_t d = 0; d < shape.D; ++d)
      for (std::int64_t piece = pieces - 1; piece >= 0; --piece) backward(layer, d, piece);
  return tiles;
}

Life Tiles::life(std::int64_t layer, std::int64_t direction, bool in_backward) const {
  const std::vector<Tile>& list = in_backward ? backward : forward;
  const auto offset = static_cast<std::int64_t>(in_backward ? forward.size() : 0);
  Life life{-1, -1};
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].layer != layer || list[i].direction != direction) continue;
    const std::int64_t index = offset + static_cast<std::int64_t>(i);
    if (life.first < 0) life.first = index;
    life.last = index;
  }
  return life;
}

std::vector<std::int64_t> inputs_of(const Shape& shape, const Tiles& tiles, std::int64_t index) {
  const Tile& tile = tiles.at(index);
  const bool forward = tile.kind != TileKind::kBackward;
  std::vector<std::int64_t> needed;
  const auto first = static_cast<std::int64_t>(tile.kind == TileKind::kForward ? 0 : tiles.forward.size());
  for (std::int64_t i = first; i < tiles.count(); ++i) {
    const Tile& other = tiles.at(i);
    if (i == index || (other.kind == TileKind::kForward) != (tile.kind == TileKind::kForward)) continue;
    const bool same_lane = other.layer == tile.layer && other.direction == tile.direction;
    if (other.kind == tile.kind) {
      // The neighbour in time: the state comes from it, or its gradient.
      const bool neighbour = same_lane && (forward ? other.s1 == tile.s0 : other.s0 == tile.s1) &&
                             tile.kind != TileKind::kReplay;  // a replay begins at a kept state
      const bool beside = other.layer == tile.layer + (forward ? -1 : 1) && shares_time(shape, other, tile);
      // The second direction's input gradient adds to the first's.
      const bool sum = !forward && other.layer == tile.layer && other.direction < tile.direction &&
                       shares_time(shape, other, tile);
      if (neighbour || beside || sum) needed.push_back(i);
    } else if (tile.kind == TileKind::kBackward && same_lane && other.s0 == tile.s0) {
      needed.push_back(i);  // its replay
    }
  }
  return needed;
}

}  // namespace rnn_engine
