#include "plan/wavefront.h"

#include <algorithm>
#include <bit>

#include "plan/ready_tiles.h"

namespace rnn_engine {
namespace {

// Steps after which a longer problem gains what this one does.
constexpr std::int64_t kMostSteps = 256;
// Without gradients, plans must not differ from 64 steps on: all these gain what so many steps do.
constexpr std::int64_t kManySteps = 64, kStandForMany = 128;
constexpr std::int64_t kTileSteps[] = {4, 8, 16, 32, 64};

// The next of four numbers for each power of two.
std::int64_t rounded(std::int64_t value) {
  const int bits = std::bit_width(static_cast<std::uint64_t>(value));
  const std::int64_t grain = bits <= 3 ? 1 : std::int64_t{1} << (bits - 3);
  return (value + grain - 1) / grain * grain;
}

// A problem with sequences of equal lengths that stands for all that are like it.
Shape typical(const Shape& shape) {
  Shape like = shape;
  like.T = std::min(rounded(shape.T), kMostSteps);
  if (!shape.training && shape.T >= kManySteps) like.T = kStandForMany;
  like.B = rounded((shape.N + shape.T - 1) / shape.T);
  like.N = like.T * like.B;
  like.offsets.clear();
  return like;
}

std::vector<std::int64_t> key_of(const Shape& shape, Policy policy, const std::vector<std::int64_t>& groups) {
  std::vector<std::int64_t> key{shape.dtype,
                                shape.cell_index,
                                shape.T,
                                shape.B,
                                shape.D,
                                shape.training,
                                shape.prepacked,
                                shape.input_gradient,
                                static_cast<std::int64_t>(policy)};
  for (const LayerShape& layer : shape.layers) key.insert(key.end(), {layer.I, layer.H, layer.R});
  key.insert(key.end(), groups.begin(), groups.end());
  return key;
}

Wavefront search(const Shape& shape, const Schedule& layers, const std::vector<std::int64_t>& all_groups,
                 const Estimates& estimates) {
  Wavefront best;
  double least = 0;
  for (const std::int64_t groups : all_groups) {
    if (groups < 2 || groups > shape.L * shape.D) continue;
    for (const std::int64_t steps : kTileSteps) {
      if (best.gain > 0 && steps > (shape.T + 1) / 2) break;
      const Schedule schedule = in_wavefront(shape, layers, groups, steps);
      const Tiles tiles = make_tiles(shape, schedule);
      const TileGraph graph = costed_graph(shape, schedule, tiles, estimates);
      const auto forward = static_cast<std::int64_t>(tiles.forward.size());
      const double seconds = makespan(graph, 0, forward, groups) + makespan(graph, forward, tiles.count(), groups);
      if (best.gain > 0 && seconds >= least) continue;
      least = seconds;
      best = {groups, steps, estimates.seconds(shape, layers) / seconds};
    }
  }
  return best;
}

}  // namespace

double makespan(const TileGraph& graph, std::int64_t begin, std::int64_t end, std::int64_t groups) {
  struct Running {
    double until;
    std::int64_t tile;
  };
  ReadyTiles ready(graph);
  ready.start(begin, end);
  std::vector<Running> running;
  double now = 0;
  while (!ready.done()) {
    while (static_cast<std::int64_t>(running.size()) < groups) {
      const std::int64_t tile = ready.take();
      if (tile < 0) break;
      running.push_back({now + static_cast<double>(graph.seconds[static_cast<std::size_t>(tile)]), tile});
    }
    const auto first = std::min_element(running.begin(), running.end(),
                                        [](const Running& a, const Running& b) { return a.until < b.until; });
    now = first->until;
    ready.complete(first->tile);
    running.erase(first);
  }
  return now;
}

TileGraph costed_graph(const Shape& shape, const Schedule& schedule, const Tiles& tiles, const Estimates& estimates) {
  std::vector<float> seconds;
  seconds.reserve(static_cast<std::size_t>(tiles.count()));
  for (std::int64_t i = 0; i < tiles.count(); ++i)
    seconds.push_back(static_cast<float>(estimates.tile_seconds(shape, schedule, tiles.at(i))));
  return make_graph(shape, schedule, tiles, std::move(seconds));
}

Wavefront Wavefronts::find(const Shape& shape, const Schedule& layers, const std::vector<std::int64_t>& groups,
                           const Estimates& estimates) {
  const Shape like = typical(shape);
  const Policy policy = layers.policy.front();
  std::vector<std::int64_t> key = key_of(like, policy, groups);
  Known& known = known_.get();
  {
    std::lock_guard lock(known.lock);
    const auto found = known.found.find(key);
    if (found != known.found.end()) return found->second;
  }
  const Schedule base = uniform_schedule(like, policy, shape.training ? default_steps(like, policy) : like.T);
  const Wavefront best = search(like, base, groups, estimates);
  std::lock_guard lock(known.lock);
  known.found.emplace(std::move(key), best);
  return best;
}

bool may_divide(const rnn_engine_problem& problem) {
  const bool parallel = problem.directions > 1 || (problem.layers > 1 && problem.steps > 1);
  return parallel && problem.schedule != RNN_ENGINE_LAYERS && problem.schedule != RNN_ENGINE_STEPS;
}

Schedule divided(const rnn_engine_problem& problem, const Shape& shape, const Schedule& layers,
                 const std::vector<std::int64_t>& groups, const Estimates& estimates, Wavefronts& wavefronts) {
  constexpr double kClear = 1.01;  // predictions are not exact
  const bool choose = problem.schedule == RNN_ENGINE_AUTO;
  // Where gates are recomputed, few tiles can run at a time.
  if (choose && shape.training && !layers.stores_all()) return layers;
  const Wavefront best = wavefronts.find(shape, layers, groups, estimates);
  if (best.groups == 1 || (choose && best.gain < kClear)) return layers;
  const Schedule schedule = in_wavefront(shape, layers, best.groups, best.steps);
  if (shape.training && problem.memory == RNN_ENGINE_BUDGET && estimates.bytes(shape, schedule) > problem.budget)
    return layers;
  return schedule;
}

}  // namespace rnn_engine
