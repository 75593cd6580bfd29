// The tiles of a call that are ready to run, and their distribution among groups of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/pool.h"
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

// Hands the tiles of one call at a time to groups of threads.
class TileQueue {
 public:
  TileQueue(const TileGraph& graph, std::int64_t groups)
      : ready_(graph), next_(static_cast<std::size_t>(groups)) {}

  // By one thread, before any of them works.
  void start(std::int64_t begin, std::int64_t end) { ready_.start(begin, end); }

  // By every thread of group `index`. `run(tile)` must end with a barrier of the group.
  template <class Run>
  void work(Team& group, std::size_t index, const Run& run) {
    std::int64_t tile = -1;
    for (;;) {
      if (group.id() == 0) next_[index].tile = next(tile, Spin(group.pauses()));
      group.barrier();
      tile = next_[index].tile;
      if (tile < 0) return;
      run(tile);
    }
  }

 private:
  struct alignas(64) Next {
    std::int64_t tile;
  };
  // Completes `last` (-1: none) and waits for another; -1 once all have run.
  std::int64_t next(std::int64_t last, Spin spin);

  ReadyTiles ready_;
  std::vector<Next> next_;
  alignas(64) std::atomic_flag lock_;
};

}  // namespace rnn_engine
