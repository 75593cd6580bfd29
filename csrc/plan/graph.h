// Which tiles must have run before which. A tile waits for those whose results it reads, and, where groups of
// threads run tiles side by side, for those whose part of workspace it takes over.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan/tiles.h"

namespace rnn_engine {

// For each tile some others, counted through forward and backward.
struct Edges {
  std::vector<std::int32_t> first{0};  // [tiles + 1] where a tile's begin in `to`
  std::vector<std::int32_t> to;

  std::span<const std::int32_t> of(std::int64_t tile) const {
    const auto i = static_cast<std::size_t>(tile);
    return std::span(to).subspan(static_cast<std::size_t>(first[i]), static_cast<std::size_t>(first[i + 1] - first[i]));
  }
  void end_tile() { first.push_back(static_cast<std::int32_t>(to.size())); }
};

// The tiles that each waits for; all of them come before it in the list. In linear time.
Edges inputs_of(const Shape& shape, const Schedule& schedule, const Tiles& tiles);

struct TileGraph {
  Edges inputs, successors;
  std::vector<float> seconds;         // [tiles] what each is taken to cost
  std::vector<std::int32_t> rank;     // [tiles] place in the order of the longest path that begins there
  std::vector<std::int32_t> by_rank;  // [tiles] its inverse
};

// Ranks are counted in each of the two calls by itself.
TileGraph make_graph(const Shape& shape, const Schedule& schedule, const Tiles& tiles, std::vector<float> seconds);

}  // namespace rnn_engine
