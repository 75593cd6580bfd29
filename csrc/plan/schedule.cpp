#include "plan/schedule.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/error.h"

namespace rnn_engine {
namespace {

// Rows of input products computed ahead of the recurrence, so that it finds them in a near cache.
constexpr std::int64_t kForwardRows = 256;
// Rows of a backward tile: its products run at full speed, and read and write the weights' gradients seldom.
constexpr std::int64_t kBackwardRows = 512;
// Where gates are recomputed, weights are packed for every tile.
constexpr std::int64_t kRecomputeRows = 1024;
// Without gradients, a chunk's outputs go from layer to layer; its size must not depend on T.
constexpr std::int64_t kChunkRows = 2048, kChunkSteps = 64;

// In a wavefront a chunk is a tile; this many more of them may be under way than there are layers.
constexpr std::int64_t kChunksAhead = 2;

// Without gradients memory does not grow with T, if one direction allows it.
bool rolling(const Shape& shape) { return !shape.training && shape.D == 1; }

std::int64_t steps_for(const Shape& shape, std::int64_t rows) {
  return std::clamp<std::int64_t>((rows + shape.B - 1) / shape.B, 1, shape.T);
}

// Calls visit(schedule) for every schedule that a budget may choose.
template <class Visit>
void for_each_candidate(const Shape& shape, const Visit& visit) {
  visit(uniform_schedule(shape, Policy::kStore, default_steps(shape, Policy::kStore)));
  // Layers are stored in the order of what that saves for each byte; with equal layers the last come first.
  std::vector<std::int64_t> order(static_cast<std::size_t>(shape.L));
  std::iota(order.rbegin(), order.rend(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    // Recomputing costs H (I + R), storing keeps H, a unit: what is saved for each byte grows with I + R.
    return shape.layer(a).I + shape.layer(a).R > shape.layer(b).I + shape.layer(b).R;
  });
  const std::int64_t each = (shape.L + 63) / 64;  // of stacks with more than 64 layers, not every number of stored ones
  const auto with_steps = [&](std::int64_t steps) {
    Schedule schedule = uniform_schedule(shape, Policy::kRecompute, steps);
    visit(schedule);
    if (shape.stepwise) return;
    for (std::int64_t stored = 1; stored < shape.L; ++stored) {
      schedule.policy[static_cast<std::size_t>(order[static_cast<std::size_t>(stored - 1)])] = Policy::kStore;
      if (stored % each == 0) visit(schedule);
    }
    if (can_checkpoint(shape)) visit(uniform_schedule(shape, Policy::kCheckpoint, steps));
  };
  // The K that a policy by itself takes: a larger one needs more memory, and its pieces leave the caches.
  // Below it every K that cuts T into a different number of pieces, up to 64 pieces, and powers of two.
  const std::int64_t most = default_steps(shape, Policy::kRecompute);
  with_steps(most);
  std::int64_t last = most;
  for (std::int64_t pieces = 1; pieces <= 64 && pieces <= shape.T; ++pieces) {
    const std::int64_t steps = (shape.T + pieces - 1) / pieces;
    if (steps < last) with_steps(last = steps);
  }
  for (std::int64_t steps = last / 2; steps >= 1; steps /= 2) with_steps(steps);
}

// The largest batch of which the leanest schedule fits; 0 if not even one sequence does.
std::int64_t batch_that_fits(const Shape& shape, std::uint64_t budget, const Estimates& estimates) {
  const auto fits = [&](std::int64_t batch) {
    Shape part = shape;
    part.B = batch;
    for (std::size_t t = 1; t < part.offsets.size(); ++t)
      part.offsets[t] = part.offsets[t - 1] + std::min(batch, shape.offsets[t] - shape.offsets[t - 1]);
    part.N = part.offset(part.T);
    bool found = false;
    for_each_candidate(part,
                       [&](const Schedule& schedule) { found = found || estimates.bytes(part, schedule) <= budget; });
    return found;
  };
  std::int64_t good = 0, bad = shape.B;
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

}  // namespace

std::int64_t default_steps(const Shape& shape, Policy policy) {
  const std::int64_t fast = steps_for(shape, kBackwardRows);
  if (policy == Policy::kStore) return fast;
  // Workspace of K steps against c every K steps: K = sqrt(L D T / arrays), where
  // `arrays` is 5 for an LSTM, and 9 where wx and uh are apart (docs/engine.md).
  const double arrays = shape.cell.gates * (shape.cell.split ? 2 : 1) + 1;
  const auto lean =
      static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(shape.L * shape.D * shape.T) / arrays)));
  return std::clamp<std::int64_t>(std::max(steps_for(shape, kRecomputeRows), lean), 1, shape.T);
}

Schedule uniform_schedule(const Shape& shape, Policy policy, std::int64_t steps) {
  Schedule schedule;
  if (policy == Policy::kCheckpoint && !can_checkpoint(shape)) policy = Policy::kRecompute;
  if (policy == Policy::kRecompute && shape.stepwise) policy = Policy::kCheckpoint;  // all layers' at a time
  schedule.policy.assign(static_cast<std::size_t>(shape.L), policy);
  schedule.backward_steps = std::min(steps, shape.T);
  schedule.gradient_steps = schedule.backward_steps;
  schedule.chunk = schedule.checkpoint() ? schedule.backward_steps : shape.T;
  if (rolling(shape))
    schedule.chunk = std::min(shape.T, std::clamp<std::int64_t>(kChunkRows / shape.B, 1, kChunkSteps));
  if (rolling(shape) || schedule.checkpoint()) schedule.pseudo_layers_at_once = shape.L;
  if (shape.stepwise) {
    schedule.stepwise = true;
    schedule.chunk = 1;
    schedule.pseudo_layers_at_once = shape.L;
  }
  schedule.forward_steps = std::min(steps_for(shape, kForwardRows), schedule.chunk);
  return schedule;
}

Schedule in_wavefront(const Shape& shape, Schedule schedule, std::int64_t groups, std::int64_t steps) {
  schedule.thread_groups = groups;
  schedule.forward_steps = std::min(steps, schedule.chunk);
  if (rolling(shape)) {
    schedule.chunk = schedule.forward_steps;
    schedule.chunks_at_once = shape.L + kChunksAhead;
  }
  if (schedule.stores_all()) {
    const std::int64_t piece = std::min(steps, shape.T);
    schedule.backward_steps = piece;
    schedule.gradient_steps = (schedule.gradient_steps + piece - 1) / piece * piece;
  }
  schedule.pseudo_layers_at_once = std::max(schedule.pseudo_layers_at_once, std::min(shape.L * shape.D, 2 * groups));
  return schedule;
}

Schedule schedule_for_budget(const Shape& shape, std::uint64_t budget, const Estimates& estimates) {
  Schedule best;
  double least_seconds = 0;
  std::uint64_t least_bytes = 0;
  for_each_candidate(shape, [&](const Schedule& schedule) {
    const std::uint64_t bytes = estimates.bytes(shape, schedule);
    if (least_bytes == 0 || bytes < least_bytes) least_bytes = bytes;
    if (bytes > budget) return;
    const double seconds = estimates.seconds(shape, schedule);
    if (best.policy.empty() || seconds < least_seconds) {
      best = schedule;
      least_seconds = seconds;
    }
  });
  if (best.policy.empty()) {
    const std::int64_t batch = batch_that_fits(shape, budget, estimates);
    throw InvalidArgument(
        "memory: expected at least " + std::to_string(least_bytes) + " bytes for T = " + std::to_string(shape.T) +
        ", B = " + std::to_string(shape.B) + ", got " + std::to_string(budget) +
        (batch > 0 ? "; a batch of " + std::to_string(batch) + " would fit" : "; not even a batch of 1 would fit"));
  }
  return best;
}

Schedule make_schedule(const Shape& shape, int memory, std::uint64_t budget, const Estimates& estimates) {
  if (!shape.training) return uniform_schedule(shape, Policy::kStore, shape.T);
  if (memory == RNN_ENGINE_BUDGET) return schedule_for_budget(shape, budget, estimates);
  const auto policy = static_cast<Policy>(memory);
  return uniform_schedule(shape, policy, default_steps(shape, policy));
}

}  // namespace rnn_engine
