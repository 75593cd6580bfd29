// The tiles of a call that are ready to run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "plan/graph.h"

namespace rnn_engine {

// Which tiles may run; those from which the longest path begins come first. Not safe for threads.
class ReadyTiles {
 public:
  explicit ReadyTiles(const TileGraph& graph)
      : graph_(graph), waits_(graph.rank.size()), ready_((graph.rank.size() + 63) / 64) {}

  // Before a call whose tiles are [begin, end).
  void start(std::int64_t begin, std::int64_t end);
  // A tile that is ready, -1 if none is.
  std::int64_t take();
  // Its successors may become ready.
  void complete(std::int64_t tile);
  bool done() const { return left_ == 0; }

 private:
  void add(std::int64_t tile) {
    const auto rank = static_cast<std::size_t>(graph_.rank[static_cast<std::size_t>(tile)]);
    ready_[rank / 64] |= std::uint64_t{1} << rank % 64;
    first_ = std::min(first_, rank / 64);
  }

  const TileGraph& graph_;
  std::vector<std::int32_t> waits_;   // [tiles] inputs that have not run
  std::vector<std::uint64_t> ready_;  // a bit for each rank
  std::size_t first_ = 0;             // words before it are zero
  std::int64_t left_ = 0;
};

}  // namespace rnn_engine
