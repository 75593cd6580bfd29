// How calls get onto streams: kernel by kernel, or, where a call comes again with the same plan and pointers,
// as a graph that was captured the second time and is launched as one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/streams.h"

namespace rnn_engine::cuda {

// What makes two calls the same: numbers, all of which are compared.
using CallKey = std::vector<std::int64_t>;
CallKey key_of(const Plan& plan, const rnn_engine_forward_args& args);
CallKey key_of(const Plan& plan, const rnn_engine_backward_args& args);

// Puts a call's kernels on a stream and those beside it.
using Enqueue = std::function<void(Stream, SideStreams&)>;

// The graphs of the latest calls.
class Graphs {
 public:
  // `capacity`: graphs that are kept.
  explicit Graphs(std::size_t capacity) : capacity_(capacity) {}

  // The graph of a call; where the call has come but once before, what `capture` makes; else nullptr.
  const Graph* find(CallKey&& key, const std::function<std::unique_ptr<Graph>()>& capture);
  std::int64_t made() const { return made_; }

 private:
  struct Entry {
    CallKey key;
    std::unique_ptr<Graph> graph;
  };

  std::size_t capacity_;
  std::int64_t made_ = 0;
  std::list<Entry> graphs_;         // the one launched last comes first
  std::deque<std::uint64_t> seen_;  // hashes of the calls that have no graph
};

// Those of one context. Threads may share it.
class GraphCache {
 public:
  // RNN_ENGINE_CUDA_GRAPHS in the environment: graphs to keep; 0: none are made.
  GraphCache();

  // A stream that the caller captures itself gets the kernels.
  void enqueue(CallKey&& key, Stream stream, const Enqueue& enqueue);
  // Graphs made so far.
  std::int64_t made() const;

 private:
  std::unique_ptr<Graph> capture(const Enqueue& enqueue);

  mutable std::mutex lock_;
  std::map<Stream, SideStreams> sides_;  // by the caller's stream, so that no two callers share them
  std::unique_ptr<OwnStream> origin_;    // of captures: the caller's may be one that cannot be captured
  Graphs graphs_;
  bool makes_graphs_;
};

}  // namespace rnn_engine::cuda
