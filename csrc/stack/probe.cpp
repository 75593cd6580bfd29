#include "stack/probe.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace rnn_engine {
namespace {

constexpr std::int64_t kLeastLayers = 4;
constexpr int kPairs = 11;

}  // namespace

Probe::Probe(const Backend& backend, Pool& pool, std::int64_t steps, std::int64_t batch, std::int64_t units,
             const Costs& costs)
    : backend_(backend),
      pool_(pool),
      hidden_(static_cast<std::size_t>(std::max<std::int64_t>(kLeastLayers, pool.threads())), units) {
  const std::int64_t layers = static_cast<std::int64_t>(hidden_.size());
  values_.assign(static_cast<std::size_t>(std::max(4 * units * units, steps * batch * units)), 0.01f);
  y_.resize(static_cast<std::size_t>(steps * batch * units));
  states_.resize(static_cast<std::size_t>(2 * layers * batch * units));
  rnn_engine_weights same{};
  same.weight_ih = same.weight_hh = values_.data();
  weights_.assign(hidden_.size(), same);

  rnn_engine_problem problem{};
  problem.cell = RNN_ENGINE_LSTM;
  problem.dtype = RNN_ENGINE_FLOAT32;
  problem.steps = steps;
  problem.batch = batch;
  problem.input_size = units;
  problem.hidden_sizes = hidden_.data();
  problem.layers = layers;
  problem.directions = 1;
  problem.output = 1;
  const Machine machine{backend.f32.width, pool.threads()};
  Wavefronts wavefronts;
  problem.schedule = RNN_ENGINE_LAYERS;
  layers_ = make_plan(problem, machine, costs, &wavefronts);
  problem.schedule = RNN_ENGINE_WAVEFRONT;
  wavefront_ = make_plan(problem, machine, costs, &wavefronts);
  scratch_.resize(std::max(layers_.sizes.scratch_bytes, wavefront_.sizes.scratch_bytes) + kAlignment);
}

double Probe::seconds(const Plan& plan) const {
  using Clock = std::chrono::steady_clock;
  const auto address = reinterpret_cast<std::uintptr_t>(scratch_.data());
  rnn_engine_forward_args args{};
  args.weights = weights_.data();
  args.x = values_.data();
  args.y = y_.data();
  args.hn = states_.data();
  args.cn = states_.data() + states_.size() / 2;
  args.scratch = scratch_.data() + (kAlignment - address % kAlignment) % kAlignment;
  const auto start = Clock::now();
  run_forward<float>(plan, backend_, pool_, args);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Probe::measured() const {
  std::array<double, kPairs> ratios{};
  seconds(layers_);
  seconds(wavefront_);
  for (double& ratio : ratios) ratio = seconds(layers_) / seconds(wavefront_);
  std::nth_element(ratios.begin(), ratios.begin() + kPairs / 2, ratios.end());
  return ratios[kPairs / 2];
}

double Probe::predicted(const Costs& costs) const {
  const TileGraph graph =
      costed_graph(wavefront_.shape, wavefront_.machine, wavefront_.schedule, wavefront_.tiles, costs);
  const double side_by_side = makespan(graph, 0, wavefront_.tiles.count(), wavefront_.schedule.groups);
  return predicted_seconds(layers_, costs) / side_by_side;
}

}  // namespace rnn_engine
