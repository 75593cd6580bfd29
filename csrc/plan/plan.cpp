#include "plan/plan.h"

namespace rnn_engine {
namespace {

template <class T>
rnn_engine_sizes lay_out(const Shape& shape, const Machine& machine, Plan* plan) {
  Arena kept(nullptr, plan ? &plan->kept : nullptr);
  if (shape.training)
    for (std::int64_t layer = 0; layer < shape.L; ++layer) KeptLayer<T>(shape, layer, kept);
  Arena forward(nullptr, plan ? &plan->forward : nullptr);
  ForwardScratch<T>(shape, machine, forward);
  Arena backward(nullptr, plan ? &plan->backward : nullptr);
  if (shape.training) BackwardScratch<T>(shape, machine, backward);
  return {kept.used(), forward.used(), backward.used()};
}

rnn_engine_sizes lay_out_any(const Shape& shape, const Machine& machine, Plan* plan) {
  return shape.problem->dtype == RNN_ENGINE_FLOAT32 ? lay_out<float>(shape, machine, plan)
                                                    : lay_out<double>(shape, machine, plan);
}

}  // namespace

rnn_engine_sizes plan_sizes(const Shape& shape, const Machine& machine) {
  return lay_out_any(shape, machine, nullptr);
}

Plan make_plan(const Shape& shape, const Machine& machine) {
  Plan plan;
  plan.sizes = lay_out_any(shape, machine, &plan);
  return plan;
}

}  // namespace rnn_engine
