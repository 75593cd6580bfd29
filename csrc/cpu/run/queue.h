// The distribution of a call's tiles among groups of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/pool.h"
#include "plan/ready_tiles.h"

namespace rnn_engine {

// Hands the tiles of one call at a time to groups of threads.
class TileQueue {
 public:
  TileQueue(const TileGraph& graph, std::int64_t groups) : ready_(graph), next_(static_cast<std::size_t>(groups)) {}

  // By one thread, before any of them works. What an earlier call left does not matter, not even a lock: a fork may
  // have ended that call.
  void start(std::int64_t begin, std::int64_t end) {
    lock_.clear(std::memory_order_relaxed);
    ready_.start(begin, end);
  }

  // By every thread of group `index`. `run(tile)` must end with a barrier of the group.
  template <class Run>
  void work(Team& group, std::size_t index, const Run& run) {
    std::int64_t tile = -1;
    for (;;) {
      if (group.id() == 0) next_[index].tile = next(tile, group);
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
  // Completes `last` (-1: none) and waits for another; -1 once all have run, or nobody wants the rest.
  std::int64_t next(std::int64_t last, const Team& group);

  ReadyTiles ready_;
  std::vector<Next> next_;
  alignas(64) std::atomic_flag lock_;
};

}  // namespace rnn_engine
