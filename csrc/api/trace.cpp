#include "api/trace.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <sstream>

namespace rnn_engine {
namespace {

bool wanted() {
  // Not the initialiser of a static variable, whose lock a fork could catch.
  constinit static std::atomic<int> known{-1};
  int answer = known.load(std::memory_order_relaxed);
  if (answer < 0) {
    const char* given = std::getenv("RNN_ENGINE_VERBOSE");
    answer = given && *given && std::strcmp(given, "0") != 0;
    known.store(answer, std::memory_order_relaxed);
  }
  return answer != 0;
}

const char* name_of_dtype(int dtype) {
  constexpr const char* kNames[] = {"float32", "float64", "bfloat16", "float16"};
  return dtype >= 0 && dtype < static_cast<int>(std::size(kNames)) ? kNames[dtype] : "?";
}

const char* name_of(Policy policy) {
  constexpr const char* kNames[] = {"store", "recompute", "checkpoint"};
  return kNames[static_cast<int>(policy)];
}

// Widths of the layers: one number where all are equal.
std::string hidden_of(const Shape& s) {
  std::string all;
  bool equal = true;
  for (const LayerShape& layer : s.layers) {
    all += (all.empty() ? "" : ",") + std::to_string(layer.H);
    equal = equal && layer.H == s.layers.front().H;
  }
  return equal ? std::to_string(s.layers.front().H) : all;
}

std::string policies_of(const PlanBase& plan) {
  std::string all;
  for (std::size_t l = 0; l < plan.schedule.policy.size(); ++l) {
    const char* name = name_of(plan.schedule.policy[l]);
    if (l == 0 || plan.schedule.policy[l] != plan.schedule.policy[l - 1]) all += (l ? "+" : "") + std::string(name);
  }
  return all;
}

// Of the products: forward's, for backward twice as many, and those that a policy computes again.
double operations_of(const PlanBase& plan, Call call) {
  const Shape& s = plan.shape;
  double sum = 0;
  for (std::int64_t l = 0; l < s.L; ++l) {
    const LayerShape& size = s.layer(l);
    double once = static_cast<double>(size.Z) * static_cast<double>(size.I + size.R);
    if (s.projected) once += static_cast<double>(size.R) * static_cast<double>(size.H);
    const double times = call == Call::kForward ? 1 : plan.schedule.of(l) == Policy::kStore ? 2 : 3;
    sum += 2 * static_cast<double>(s.N * s.D) * once * times;
  }
  return sum;
}

}  // namespace

Trace::Trace(Call call, const rnn_engine_plan& handle) {
  if (!wanted()) return;
  const PlanBase& plan = *handle.plan;
  const Shape& s = plan.shape;
  operations_ = operations_of(plan, call);
  std::ostringstream line;
  line << (call == Call::kForward ? "forward " : "backward ") << s.cell.name << ' ' << name_of_dtype(s.dtype)
       << " T=" << s.T << " B=" << s.B << (s.offsets.empty() ? "" : " ragged") << " I=" << s.layers.front().I
       << " H=" << hidden_of(s) << " L=" << s.L << " D=" << s.D << " | " << plan.tiles.count() << " tiles, "
       << (plan.schedule.stepwise ? "step by step"
           : plan.schedule.thread_groups == 1
               ? "layer by layer"
               : "wavefront of " + std::to_string(plan.schedule.thread_groups) + " groups");
  if (s.training)
    line << ", " << policies_of(plan) << " K=" << plan.schedule.backward_steps << ", reserve "
         << plan.sizes.reserve_bytes;
  line << ", workspace " << plan.sizes.workspace_bytes << " bytes";
  begin(line.str(), *handle.context);
}

Trace::Trace(const rnn_engine_loss_problem& p, const rnn_engine_context& context) {
  if (!wanted()) return;
  const int products =
      1 + (p.gradients & RNN_ENGINE_LOSS_HIDDEN ? 1 : 0) + (p.gradients & RNN_ENGINE_LOSS_WEIGHT ? 1 : 0);
  operations_ = 2.0 * products * static_cast<double>(p.tokens) * static_cast<double>(p.features) *
                static_cast<double>(p.vocabulary);
  std::ostringstream line;
  line << "linear_cross_entropy " << name_of_dtype(p.dtype) << " tokens=" << p.tokens << " E=" << p.features
       << " V=" << p.vocabulary;
  if (p.divergence > 0) line << " in two passes";
  begin(line.str(), context);
}

Trace::Trace(const rnn_engine_attention_problem& p, int gradients, const rnn_engine_context& context) {
  if (!wanted()) return;
  // Backward makes the scores again, and the gradients of the weights.
  const int keys =
      1 + (gradients & RNN_ENGINE_ATTENTION_QUERIES ? 1 : 0) + (gradients & RNN_ENGINE_ATTENTION_KEYS ? 1 : 0);
  const int values = 1 + (gradients & RNN_ENGINE_ATTENTION_VALUES ? 1 : 0);
  operations_ = 2.0 * static_cast<double>(p.steps) * static_cast<double>(p.batch) *
                static_cast<double>(p.source_steps) *
                (keys * static_cast<double>(p.key_size) + values * static_cast<double>(p.value_size));
  std::ostringstream line;
  line << (gradients ? "attention backward " : "attention forward ") << name_of_dtype(p.dtype) << " T=" << p.steps
       << " B=" << p.batch << " S=" << p.source_steps << " A=" << p.key_size << " C=" << p.value_size
       << " heads=" << p.heads;
  begin(line.str(), context);
}

Trace::Trace(const rnn_engine_linear_problem& p, Call call, const rnn_engine_context& context) {
  if (!wanted()) return;
  std::int64_t inputs = 0;
  for (std::int64_t i = 0; i < p.inputs; ++i) inputs += p.input_sizes[i];
  const double once = 2.0 * static_cast<double>(p.steps * p.batch) * static_cast<double>(inputs);
  operations_ = (call == Call::kForward ? 1 : 2) * once * static_cast<double>(p.outputs);
  std::ostringstream line;
  line << (call == Call::kForward ? "linear " : "linear backward ") << name_of_dtype(p.dtype) << " T=" << p.steps
       << " B=" << p.batch << " I=" << inputs << " O=" << p.outputs;
  begin(line.str(), context);
}

void Trace::begin(const std::string& what, const rnn_engine_context& context) {
  line_ = what + " | " + context.name();
  waits_ = context.waits();
  start_ = std::chrono::steady_clock::now();
}

Trace::~Trace() {
  if (line_.empty()) return;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (!waits_)
    std::fprintf(stderr, "rnn_engine: %s | handed over in %.3f ms\n", line_.c_str(), 1e3 * seconds);
  else
    std::fprintf(stderr, "rnn_engine: %s | %.3f ms, %.1f GFLOP/s\n", line_.c_str(), 1e3 * seconds,
                 1e-9 * operations_ / seconds);
}

}  // namespace rnn_engine
