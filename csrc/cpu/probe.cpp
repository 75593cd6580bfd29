#include "cpu/probe.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "cpu/dtype.h"

namespace rnn_engine {
namespace {

constexpr std::int64_t kLeastLayers = 4;
constexpr std::size_t kPairs = 11;
// What is slower than this, an emulated processor or a plain instruction set, is measured less often.
constexpr auto kPatience = std::chrono::milliseconds(500);

}  // namespace

template <class T>
Probe<T>::Probe(const Backend& backend, Pool& pool, std::int64_t steps, std::int64_t batch, std::int64_t units,
                const Costs& costs)
    : backend_(backend),
      pool_(pool),
      hidden_(static_cast<std::size_t>(std::max<std::int64_t>(kLeastLayers, pool.threads())), units) {
  const std::int64_t layers = static_cast<std::int64_t>(hidden_.size());
  values_.assign(static_cast<std::size_t>(std::max(4 * units * units, steps * batch * units)), narrow<T>(0.01f));
  y_.resize(static_cast<std::size_t>(steps * batch * units));
  h_.resize(static_cast<std::size_t>(layers * batch * units));
  c_.resize(h_.size());
  rnn_engine_weights same{};
  same.weight_ih = same.weight_hh = values_.data();
  weights_.assign(hidden_.size(), same);

  rnn_engine_problem problem{};
  problem.cell = RNN_ENGINE_LSTM;
  problem.dtype = dtype_of<T>();
  problem.steps = steps;
  problem.batch = batch;
  problem.input_size = units;
  problem.hidden_sizes = hidden_.data();
  problem.layers = layers;
  problem.directions = 1;
  problem.output = 1;
  const Machine machine{backend.template kernels<T>().width, pool.threads(), kInterleave<T>};
  Wavefronts wavefronts;
  problem.schedule = RNN_ENGINE_LAYERS;
  layers_ = make_plan(problem, machine, costs, &wavefronts);
  problem.schedule = RNN_ENGINE_WAVEFRONT;
  wavefront_ = make_plan(problem, machine, costs, &wavefronts);
  workspace_.resize(std::max(layers_.sizes.workspace_bytes, wavefront_.sizes.workspace_bytes) + kAlignment);
}

template <class T>
double Probe<T>::seconds(const Plan& plan) const {
  using Clock = std::chrono::steady_clock;
  const auto address = reinterpret_cast<std::uintptr_t>(workspace_.data());
  rnn_engine_forward_args args{};
  args.weights = weights_.data();
  args.x = values_.data();
  args.y = y_.data();
  args.hn = h_.data();
  args.cn = c_.data();
  args.workspace = workspace_.data() + (kAlignment - address % kAlignment) % kAlignment;
  const auto start = Clock::now();
  run_forward<T>(plan, backend_, pool_, args);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <class T>
double Probe<T>::measured() const {
  std::vector<double> ratios;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do ratios.push_back(seconds(layers_) / seconds(wavefront_));
  while (ratios.size() <= kPairs && std::chrono::steady_clock::now() < end);
  // The first pair warms up, and counts only where it is the only one.
  const auto first = ratios.begin() + (ratios.size() > 1), middle = first + (ratios.end() - first) / 2;
  std::nth_element(first, middle, ratios.end());
  return *middle;
}

template <class T>
double Probe<T>::predicted(const Costs& costs) const {
  const TileGraph graph =
      costed_graph(wavefront_.shape, wavefront_.schedule, wavefront_.tiles, estimates_of(wavefront_.machine, costs));
  const double side_by_side = makespan(graph, 0, wavefront_.tiles.count(), wavefront_.schedule.thread_groups);
  return predicted_seconds(layers_, costs) / side_by_side;
}

template class Probe<float>;
template class Probe<double>;
template class Probe<BFloat16>;

}  // namespace rnn_engine
