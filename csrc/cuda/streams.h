// Tiles on streams. A plan with one group runs tile after tile on the caller's stream. With several, every
// pseudo-layer's tiles are on a stream, in order, and events let a tile wait for those of other streams: the
// caller's stream waits for all of them in the end.
#pragma once

#include <memory>
#include <vector>

#include "cuda/plan.h"

namespace rnn_engine::cuda {

// What calls on one caller's stream use beside it; made when it is first needed, and used again by every
// call. Not safe for threads.
class SideStreams {
 public:
  Stream stream(std::int64_t index) { return *at(streams_, index); }
  Event& event(std::int64_t index) { return *at(events_, index); }

 private:
  template <class Made>
  static const std::unique_ptr<Made>& at(std::vector<std::unique_ptr<Made>>& all, std::int64_t index) {
    while (static_cast<std::int64_t>(all.size()) <= index) all.push_back(std::make_unique<Made>());
    return all[static_cast<std::size_t>(index)];
  }

  std::vector<std::unique_ptr<OwnStream>> streams_;
  std::vector<std::unique_ptr<Event>> events_;
};

// The tiles of one call, forward or backward.
class TileStreams {
 public:
  TileStreams(const Plan& plan, bool backward, Stream caller, SideStreams& side)
      : plan_(plan), backward_(backward), caller_(caller), side_(side) {}

  // Calls run(tile, index of its stream, stream) for every tile, in an order in which none comes before what
  // it waits for.
  template <class Run>
  void run(const Run& run) {
    if (!plan_.graph) {
      for (const Tile& tile : backward_ ? plan_.tiles.backward : plan_.tiles.forward) run(tile, 0, caller_);
      return;
    }
    fork();
    for (std::int64_t rank = first(); rank < end(); ++rank) {
      // Those from which the longest path goes out come first: they are what others wait for.
      const std::int64_t tile = plan_.graph->by_rank[static_cast<std::size_t>(rank)];
      const std::int64_t index = stream_of(tile);
      begin(tile);
      run(plan_.tiles.at(tile), index, side_.stream(index));
      finish(tile);
    }
    join();
  }

 private:
  std::int64_t first() const { return backward_ ? static_cast<std::int64_t>(plan_.tiles.forward.size()) : 0; }
  std::int64_t end() const {
    return backward_ ? plan_.tiles.count() : static_cast<std::int64_t>(plan_.tiles.forward.size());
  }
  std::int64_t count() const { return backward_ ? streams_of(plan_.schedule) : plan_.schedule.thread_groups; }
  std::int64_t stream_of(std::int64_t tile) const;
  bool is_elsewhere(std::int64_t tile, std::int64_t other) const { return stream_of(tile) != stream_of(other); }
  Event& event_of(std::int64_t tile) { return side_.event(tile - first()); }
  Event& event_of_stream(std::int64_t index) { return side_.event(end() - first() + index); }

  void fork();
  void begin(std::int64_t tile);   // its stream waits for what the tile needs from others
  void finish(std::int64_t tile);  // others can wait for it
  void join();

  const Plan& plan_;
  const bool backward_;
  const Stream caller_;
  SideStreams& side_;
};

}  // namespace rnn_engine::cuda
