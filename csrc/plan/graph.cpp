#include "plan/graph.h"

#include <algorithm>
#include <numeric>

namespace rnn_engine {
namespace {

// Finds tiles by what they are, and the inputs of one tile after the other.
class InputFinder {
 public:
  InputFinder(const Shape& shape, const Schedule& schedule, const Tiles& tiles)
      : shape_(shape),
        schedule_(schedule),
        pseudo_layers_(shape.L * shape.D),
        in_chunk_((std::min(schedule.chunk, shape.T) + schedule.forward_steps - 1) / schedule.forward_steps) {
    for (int kind = 0; kind < kTileKinds; ++kind) {
      pieces_[kind] = place(static_cast<TileKind>(kind), shape.T - 1) + 1;
      begin_[kind + 1] = begin_[kind] + pseudo_layers_ * pieces_[kind];
    }
    where_.assign(static_cast<std::size_t>(begin_[kTileKinds]), -1);
    for (std::int64_t i = 0; i < tiles.count(); ++i) {
      const Tile& t = tiles.at(i);
      slot(t.kind, t.layer, t.direction, t.s0) = static_cast<std::int32_t>(i);
    }
  }

  void add_inputs(const Tile& tile, Edges& edges) const {
    switch (tile.kind) {
      case TileKind::kForward:
        return add_forward(tile, edges);
      case TileKind::kReplay:
        if (tile.layer > 0) add_at(TileKind::kReplay, tile.layer - 1, 0, tile.s0, edges);
        if (apart()) add_at(TileKind::kBackward, tile.layer, 0, tile.s1, edges);  // it used the same arrays
        return;
      case TileKind::kBackward:
        return add_backward(tile, edges);
      case TileKind::kWeightGradients:
        add_at(TileKind::kBackward, tile.layer, tile.direction, tile.s0, edges);
        add_at(TileKind::kWeightGradients, tile.layer, tile.direction, tile.s1, edges);
        return;
      case TileKind::kInputGradient:
        add_at(TileKind::kBackward, tile.layer, tile.direction, tile.s0, edges);
        add_first_direction(tile, edges);
        return;
    }
  }

 private:
  bool apart() const { return schedule_.thread_groups > 1; }

  // Which of a pseudo-layer's tiles of a kind holds a step.
  std::int64_t place(TileKind kind, std::int64_t step) const {
    if (kind == TileKind::kForward)
      return step / schedule_.chunk * in_chunk_ + step % schedule_.chunk / schedule_.forward_steps;
    if (kind == TileKind::kWeightGradients) return step / schedule_.gradient_steps;
    return step / (kind == TileKind::kReplay ? schedule_.backward_steps : schedule_.tile_steps());
  }
  std::size_t index(TileKind kind, std::int64_t layer, std::int64_t d, std::int64_t step) const {
    const int k = static_cast<int>(kind);
    return static_cast<std::size_t>(begin_[k] + (layer * shape_.D + d) * pieces_[k] + place(kind, step));
  }
  std::int32_t& slot(TileKind kind, std::int64_t layer, std::int64_t d, std::int64_t step) {
    return where_[index(kind, layer, d, step)];
  }

  // The tile that holds a step, if there is one.
  void add_at(TileKind kind, std::int64_t layer, std::int64_t d, std::int64_t step, Edges& edges) const {
    if (step < 0 || step >= shape_.T) return;
    const std::int32_t found = where_[index(kind, layer, d, step)];
    if (found >= 0) edges.to.push_back(found);
  }

  // The tiles of a pseudo-layer that hold any of the time of `tile`.
  void add_beside(TileKind kind, std::int64_t layer, std::int64_t d, const Tile& tile, Edges& edges) const {
    const StepRange range = step_range(shape_, tile.direction, tile.s0, tile.s1);
    const std::int64_t s0 = d == 0 ? range.t0 : shape_.T - range.t1, s1 = d == 0 ? range.t1 : shape_.T - range.t0;
    const std::size_t last = index(kind, layer, d, s1 - 1);
    for (std::size_t i = index(kind, layer, d, s0); i <= last; ++i)
      if (where_[i] >= 0) edges.to.push_back(where_[i]);
  }
  void add_layer(TileKind kind, std::int64_t layer, const Tile& tile, Edges& edges) const {
    for (std::int64_t d = 0; d < shape_.D; ++d) add_beside(kind, layer, d, tile, edges);
  }

  void add_forward(const Tile& tile, Edges& edges) const {
    add_at(TileKind::kForward, tile.layer, tile.direction, tile.s0 - 1, edges);
    if (tile.layer > 0) add_layer(TileKind::kForward, tile.layer - 1, tile, edges);
    if (!apart()) return;
    // The outputs between layers of a chunk lie where those of an earlier one lay.
    const std::int64_t before = tile.s0 - (schedule_.chunks_at_once - 1) * schedule_.chunk - 1;
    if (tile.layer == 0 && tile.s0 % schedule_.chunk == 0)
      add_at(TileKind::kForward, shape_.L - 1, tile.direction, before, edges);
    if (tile.s0 == 0)
      add_slot_before(TileKind::kForward, tile.layer * shape_.D + tile.direction, false, shape_.T - 1, edges);
  }

  void add_backward(const Tile& tile, Edges& edges) const {
    add_at(TileKind::kBackward, tile.layer, tile.direction, tile.s1, edges);
    add_at(TileKind::kReplay, tile.layer, tile.direction, tile.s0, edges);
    if (tile.layer + 1 < shape_.L) add_layer(gradient_of(tile.layer + 1), tile.layer + 1, tile, edges);
    if (gradient_of(tile.layer) == TileKind::kBackward) add_first_direction(tile, edges);
    if (apart() && tile.s1 == shape_.T)
      add_slot_before(TileKind::kBackward, (shape_.L - 1 - tile.layer) * shape_.D + tile.direction, true, 0, edges);
  }

  // The tiles that make a layer's input gradient.
  TileKind gradient_of(std::int64_t layer) const {
    return schedule_.stepwise || schedule_.of(layer) == Policy::kStore ? TileKind::kInputGradient : TileKind::kBackward;
  }
  // The second direction's input gradient is added to the first's.
  void add_first_direction(const Tile& tile, Edges& edges) const {
    if (tile.direction == 1) add_beside(tile.kind, tile.layer, 0, tile, edges);
  }

  // `number` counts the pseudo-layers in the order in which they begin; the one that had the same slot of
  // workspace must have ended.
  void add_slot_before(TileKind kind, std::int64_t number, bool from_top, std::int64_t last_step, Edges& edges) const {
    const std::int64_t before = number - schedule_.pseudo_layers_at_once;
    if (before < 0) return;
    const std::int64_t layer = from_top ? shape_.L - 1 - before / shape_.D : before / shape_.D;
    add_at(kind, layer, before % shape_.D, last_step, edges);
    // The weights' gradients need the pseudo-layer's masks.
    if (from_top && shape_.recurrent_dropout > 0)
      add_at(TileKind::kWeightGradients, layer, before % shape_.D, last_step, edges);
  }

  const Shape& shape_;
  const Schedule& schedule_;
  const std::int64_t pseudo_layers_, in_chunk_;
  std::int64_t pieces_[kTileKinds]{}, begin_[kTileKinds + 1]{};
  std::vector<std::int32_t> where_;  // tiles by kind, pseudo-layer and place; -1: there is none
};

Edges reversed(const Edges& edges, std::int64_t tiles) {
  Edges out;
  out.first.assign(static_cast<std::size_t>(tiles) + 1, 0);
  for (const std::int32_t tile : edges.to) ++out.first[static_cast<std::size_t>(tile) + 1];
  std::partial_sum(out.first.begin(), out.first.end(), out.first.begin());
  out.to.resize(edges.to.size());
  std::vector<std::int32_t> next(out.first.begin(), out.first.end() - 1);
  for (std::int64_t tile = 0; tile < tiles; ++tile)
    for (const std::int32_t input : edges.of(tile))
      out.to[static_cast<std::size_t>(next[static_cast<std::size_t>(input)]++)] = static_cast<std::int32_t>(tile);
  return out;
}

}  // namespace

Edges inputs_of(const Shape& shape, const Schedule& schedule, const Tiles& tiles) {
  const InputFinder finder(shape, schedule, tiles);
  Edges edges;
  edges.first.reserve(static_cast<std::size_t>(tiles.count()) + 1);
  edges.to.reserve(static_cast<std::size_t>(tiles.count()) * 3);
  for (std::int64_t i = 0; i < tiles.count(); ++i) {
    finder.add_inputs(tiles.at(i), edges);
    edges.end_tile();
  }
  return edges;
}

TileGraph make_graph(const Shape& shape, const Schedule& schedule, const Tiles& tiles, std::vector<float> seconds) {
  TileGraph graph;
  graph.inputs = inputs_of(shape, schedule, tiles);
  graph.successors = reversed(graph.inputs, tiles.count());
  graph.seconds = std::move(seconds);
  const auto count = static_cast<std::size_t>(tiles.count());
  std::vector<float> path(count);
  for (std::size_t i = count; i-- > 0;) {
    float longest = 0;
    for (const std::int32_t next : graph.successors.of(static_cast<std::int64_t>(i)))
      longest = std::max(longest, path[static_cast<std::size_t>(next)]);
    path[i] = graph.seconds[i] + longest;
  }
  graph.by_rank.resize(count);
  std::iota(graph.by_rank.begin(), graph.by_rank.end(), 0);
  const auto longer = [&](std::int32_t a, std::int32_t b) {
    const float x = path[static_cast<std::size_t>(a)], y = path[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto forward = static_cast<std::ptrdiff_t>(tiles.forward.size());
  std::sort(graph.by_rank.begin(), graph.by_rank.begin() + forward, longer);
  std::sort(graph.by_rank.begin() + forward, graph.by_rank.end(), longer);
  graph.rank.resize(count);
  for (std::size_t i = 0; i < count; ++i)
    graph.rank[static_cast<std::size_t>(graph.by_rank[i])] = static_cast<std::int32_t>(i);
  return graph;
}

}  // namespace rnn_engine
