#include "plan/tiles.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace rnn_engine {
namespace {

// A list of tiles takes 40 bytes a tile; whoever asks for more has mistaken something.
constexpr std::int64_t kMostTiles = 1 << 24;

// One pseudo-layer's tiles over steps [begin, end), each of `steps`, in the order of computation.
void add(std::vector<Tile>& tiles, Tile pseudo, std::int64_t begin, std::int64_t end, std::int64_t steps) {
  for (pseudo.s0 = begin; pseudo.s0 < end; pseudo.s0 = pseudo.s1) {
    pseudo.s1 = std::min(end, pseudo.s0 + steps);
    tiles.push_back(pseudo);
  }
}

// Backward tiles of a pseudo-layer, the last steps first; each is followed by the products that have become possible.
void add_backward(const Shape& shape, const Schedule& schedule, std::int64_t layer, std::int64_t direction,
                  std::vector<Tile>& tiles) {
  const std::int64_t K = schedule.backward_steps, gradients = schedule.gradient_steps;
  const bool stored = schedule.of(layer) == Policy::kStore, wanted = layer > 0 || shape.input_gradient;
  for (std::int64_t s0 = (shape.T - 1) / K * K; s0 >= 0; s0 -= K) {
    Tile tile{TileKind::kBackward, layer, direction, s0, std::min(shape.T, s0 + K)};
    tiles.push_back(tile);
    if (!stored) continue;
    if (s0 % gradients == 0)
      tiles.push_back({TileKind::kWeightGradients, layer, direction, s0, std::min(shape.T, s0 + gradients)});
    tile.kind = TileKind::kInputGradient;
    if (wanted) tiles.push_back(tile);
  }
}

// The same of all layers, step by step.
void add_stepwise(const Shape& shape, const Schedule& schedule, std::vector<Tile>& tiles) {
  const std::int64_t K = schedule.backward_steps;
  const auto each_layer = [&](TileKind kind, std::int64_t s0, std::int64_t s1) {
    for (std::int64_t layer = 0; layer < shape.L; ++layer) tiles.push_back({kind, layer, 0, s0, s1});
  };
  for (std::int64_t s0 = (shape.T - 1) / K * K; s0 >= 0; s0 -= K) {
    const std::int64_t s1 = std::min(shape.T, s0 + K);
    if (schedule.checkpoint()) each_layer(TileKind::kReplay, s0, s1);
    for (std::int64_t s = s1 - 1; s >= s0; --s)
      for (std::int64_t layer = shape.L - 1; layer >= 0; --layer) {
        tiles.push_back({TileKind::kBackward, layer, 0, s, s + 1});
        if (layer > 0 || shape.input_gradient) tiles.push_back({TileKind::kInputGradient, layer, 0, s, s + 1});
      }
    each_layer(TileKind::kWeightGradients, s0, s1);
  }
}

}  // namespace

bool begins_step(const Shape& shape, const Tile& tile) {
  return (tile.kind == TileKind::kForward && tile.layer == 0) ||
         (tile.kind == TileKind::kBackward && tile.layer == shape.L - 1);
}

Tiles make_tiles(const Shape& shape, const Schedule& schedule) {
  Tiles tiles;
  const std::int64_t shortest = std::min(schedule.forward_steps, schedule.tile_steps());
  const std::int64_t most = shape.L * shape.D * ((shape.T + shortest - 1) / shortest) * (shape.training ? 4 : 1);
  require(most <= kMostTiles, "steps: expected a plan of at most " + std::to_string(kMostTiles) + " tiles, got about " +
                                  std::to_string(most) + " for T = " + std::to_string(shape.T));
  for (std::int64_t chunk = 0; chunk < shape.T; chunk += schedule.chunk)
    for (std::int64_t layer = 0; layer < shape.L; ++layer)
      for (std::int64_t d = 0; d < shape.D; ++d)
        add(tiles.forward, {TileKind::kForward, layer, d, 0, 0}, chunk, std::min(shape.T, chunk + schedule.chunk),
            schedule.forward_steps);
  if (!shape.training) return tiles;
  if (schedule.stepwise) {
    add_stepwise(shape, schedule, tiles.backward);
    return tiles;
  }
  if (!schedule.checkpoint()) {
    for (std::int64_t layer = shape.L - 1; layer >= 0; --layer)
      for (std::int64_t d = 0; d < shape.D; ++d) add_backward(shape, schedule, layer, d, tiles.backward);
    return tiles;
  }
  const std::int64_t K = schedule.backward_steps;
  for (std::int64_t s0 = (shape.T - 1) / K * K; s0 >= 0; s0 -= K) {
    const std::int64_t s1 = std::min(shape.T, s0 + K);
    for (std::int64_t layer = 0; layer < shape.L; ++layer)
      tiles.backward.push_back({TileKind::kReplay, layer, 0, s0, s1});
    for (std::int64_t layer = shape.L - 1; layer >= 0; --layer)
      tiles.backward.push_back({TileKind::kBackward, layer, 0, s0, s1});
  }
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

}  // namespace rnn_engine
