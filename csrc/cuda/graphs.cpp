#include "cuda/graphs.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace rnn_engine::cuda {
namespace {

// Calls that are remembered before they have a graph.
constexpr std::size_t kSeen = 256;
// A graph of a thousand kernels takes about a megabyte.
constexpr long kGraphs = 32, kMostGraphs = 4096;

std::size_t capacity() {
  const char* given = std::getenv("RNN_ENGINE_CUDA_GRAPHS");
  if (!given) return kGraphs;
  char* end = nullptr;
  const long count = std::strtol(given, &end, 10);
  require(end != given && *end == 0 && count >= 0 && count <= kMostGraphs,
          "RNN_ENGINE_CUDA_GRAPHS: expected 0 to " + std::to_string(kMostGraphs) + ", got '" + given + "'");
  return static_cast<std::size_t>(count);
}

// FNV-1a (Fowler, Noll, Vo), a number at a time.
std::uint64_t hash(const CallKey& key) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const std::int64_t number : key) h = (h ^ static_cast<std::uint64_t>(number)) * 0x100000001b3u;
  return h;
}

class KeyMaker {
 public:
  KeyMaker(const Plan& plan, bool backward) : key_(plan.identity), pseudo_layers_(plan.shape.L * plan.shape.D) {
    key_.push_back(backward);
  }

  void add(std::initializer_list<const void*> pointers) {
    for (const void* p : pointers) key_.push_back(static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(p)));
  }
  void add(const rnn_engine_weights* weights) {
    for (std::int64_t pseudo = 0; pseudo < pseudo_layers_; ++pseudo) {
      const rnn_engine_weights& w = weights[pseudo];
      add({w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, w.weight_hr});
      for (const void* vector : w.vector_params) add({vector});
    }
  }
  CallKey&& take() { return std::move(key_); }

 private:
  CallKey key_;
  const std::int64_t pseudo_layers_;
};

}  // namespace

CallKey key_of(const Plan& plan, const rnn_engine_forward_args& a) {
  KeyMaker key(plan, false);
  key.add(a.weights);
  key.add({a.packed, a.x, a.h0, a.c0, a.y, a.cy, a.hn, a.cn, a.reserve, a.workspace});
  return key.take();
}

CallKey key_of(const Plan& plan, const rnn_engine_backward_args& a) {
  KeyMaker key(plan, true);
  key.add(a.weights);
  key.add(a.gradients);
  key.add({a.x, a.h0, a.c0, a.y, a.dy, a.dcy, a.dhn, a.dcn, a.dx, a.dh0, a.dc0, a.reserve, a.workspace});
  CallKey out = key.take();
  out.push_back(a.overwrite);
  return out;
}

const Graph* Graphs::find(CallKey&& key, const std::function<std::unique_ptr<Graph>()>& capture) {
  const auto found = std::find_if(graphs_.begin(), graphs_.end(), [&](const Entry& entry) { return entry.key == key; });
  if (found != graphs_.end()) {
    graphs_.splice(graphs_.begin(), graphs_, found);
    return found->graph.get();
  }
  const std::uint64_t hashed = hash(key);
  const auto before = std::find(seen_.begin(), seen_.end(), hashed);
  if (before == seen_.end()) {
    seen_.push_back(hashed);
    if (seen_.size() > kSeen) seen_.pop_front();
    return nullptr;
  }
  seen_.erase(before);
  std::unique_ptr<Graph> graph = capture();
  if (!graph) return nullptr;
  ++made_;
  graphs_.push_front({std::move(key), std::move(graph)});
  if (graphs_.size() > capacity_) graphs_.pop_back();
  return graphs_.front().graph.get();
}

GraphCache::GraphCache() : graphs_(capacity()), makes_graphs_(capacity() > 0) {}

void GraphCache::enqueue(CallKey&& key, Stream stream, const Enqueue& enqueue) {
  std::lock_guard lock(lock_);
  if (makes_graphs_ && !is_captured(stream)) {
    const Graph* graph = graphs_.find(std::move(key), [&] { return capture(enqueue); });
    if (graph) return graph->launch(stream);
  }
  enqueue(stream, sides_[stream]);
}

// Where a call cannot be captured, none is any more: its kernels alone do as well, if more slowly.
std::unique_ptr<Graph> GraphCache::capture(const Enqueue& enqueue) {
  try {
    if (!origin_) origin_ = std::make_unique<OwnStream>();
    return std::make_unique<Graph>(*origin_, [&] { enqueue(*origin_, sides_[*origin_]); });
  } catch (const std::runtime_error&) {
    makes_graphs_ = false;
    return nullptr;
  }
}

std::int64_t GraphCache::made() const {
  std::lock_guard lock(lock_);
  return graphs_.made();
}

}  // namespace rnn_engine::cuda
