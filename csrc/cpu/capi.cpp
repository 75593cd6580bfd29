// The C API on the CPU, beside csrc/api/plan.cpp: checks what comes from outside, picks the type, turns
// exceptions into codes.
#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include "api/arguments.h"
#include "api/plan_handle.h"
#include "api/trace.h"
#include "base/pool.h"
#include "cpu/dtype.h"
#include "cpu/gemm/gemm.h"
#include "cpu/kernels/kernels.h"
#include "cpu/loss/linear_cross_entropy.h"
#include "cpu/plan.h"
#include "cpu/run/run.h"
#include "rnn_engine.h"

using namespace rnn_engine;

struct rnn_engine_context {
  const Backend& backend;
  Pool pool;
  Wavefronts wavefronts;

  rnn_engine_context(const char* isa, int threads) : backend(select_backend(isa)), pool(threads) {}

  Machine machine(int dtype) const {
    return visit_dtype(
        dtype, [&]<class T>() { return Machine{backend.template kernels<T>().width, pool.threads(), kInterleave<T>}; });
  }

  // For a trace.
  std::string name() const { return std::string(backend.isa) + ", " + std::to_string(pool.threads()) + " threads"; }

  // Of a dtype; measured once, by the first who asks.
  const Costs& measured_costs(int dtype) {
    std::lock_guard lock(costs_lock_);
    Costs& costs = costs_of(dtype);
    if (!costs.measured()) visit_dtype(dtype, [&]<class T>() { costs = calibrate<T>(backend, pool); });
    return costs;
  }
  Costs known_costs(int dtype) {
    std::lock_guard lock(costs_lock_);
    return costs_of(dtype);
  }

 private:
  Costs& costs_of(int dtype) { return costs_[static_cast<std::size_t>(dtype)]; }

  std::mutex costs_lock_;
  std::array<Costs, RNN_ENGINE_BFLOAT16 + 1> costs_;  // by dtype
};

namespace {

const Plan& plan_of(const rnn_engine_plan& plan) { return static_cast<const Plan&>(*plan.plan); }

// Between bfloat16 and float32, by as many threads as find enough to do.
template <class From, class To>
void convert(rnn_engine_context* context, void (*kernel)(const Block<From, To>&), std::int64_t count, const void* in,
             void* out) {
  constexpr std::int64_t kGrain = 16384;
  require(count >= 0, "count: expected at least 0, got " + std::to_string(count));
  if (count == 0) return;
  require_pointer(in, "in");
  require_pointer(out, "out");
  const auto run = [&](const Team& team) {
    const Team::Range mine = team.share(count, kGrain);
    kernel({1, 1, mine.end - mine.begin, 0, static_cast<const From*>(in) + mine.begin, 0,
            static_cast<To*>(out) + mine.begin, 0});
  };
  if (count <= kGrain)
    run(Team(0, 1, nullptr));
  else
    context->pool.run(run);
}

}  // namespace

extern "C" {

int rnn_engine_context_create(int32_t threads, const char* isa, rnn_engine_context** context) {
  return guarded([&] {
    require_pointer(context, "context");
    require(threads >= 1 && threads <= 1024, "threads: expected 1 to 1024, got " + std::to_string(threads));
    *context = new rnn_engine_context(isa ? isa : std::getenv("RNN_ENGINE_ISA"), threads);
  });
}

void rnn_engine_context_destroy(rnn_engine_context* context) { delete context; }

const char* rnn_engine_context_isa(const rnn_engine_context* context) { return context->backend.isa; }

int rnn_engine_has_isa(const char* isa) { return isa && has_backend(isa); }

int rnn_engine_plan_create(rnn_engine_context* context, const rnn_engine_problem* problem, rnn_engine_plan** plan) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(plan, "plan");
    require_dtype(problem->dtype);
    const Machine machine = context->machine(problem->dtype);
    const bool compares = (problem->training && problem->memory == RNN_ENGINE_BUDGET) || may_divide(*problem, machine);
    const Costs costs = compares ? context->measured_costs(problem->dtype) : context->known_costs(problem->dtype);
    auto made = std::make_unique<rnn_engine_plan>();
    made->context = context;
    made->plan = std::make_unique<Plan>(make_plan(*problem, machine, costs, &context->wavefronts));
    *plan = made.release();
  });
}

rnn_engine_plan_facts rnn_engine_plan_describe(const rnn_engine_plan* plan) {
  const Plan& p = plan_of(*plan);
  return {p.schedule.backward_steps, predicted_seconds(p, plan->context->known_costs(p.shape.dtype)), p.tiles.count(),
          p.shape.L, p.schedule.thread_groups};
}

int rnn_engine_forward(rnn_engine_plan* plan, const rnn_engine_forward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    const Plan& p = plan_of(*plan);
    require_forward(p.shape, p.sizes, *args);
    const Trace trace(Call::kForward, p, Waits::kYes, [&] { return plan->context->name(); });
    visit_dtype(p.shape.dtype,
                [&]<class T>() { run_forward<T>(p, plan->context->backend, plan->context->pool, *args); });
  });
}

int rnn_engine_backward(rnn_engine_plan* plan, const rnn_engine_backward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    const Plan& p = plan_of(*plan);
    require_backward(p.shape, p.sizes, *args);
    const Trace trace(Call::kBackward, p, Waits::kYes, [&] { return plan->context->name(); });
    visit_dtype(p.shape.dtype,
                [&]<class T>() { run_backward<T>(p, plan->context->backend, plan->context->pool, *args); });
  });
}

int rnn_engine_pack(rnn_engine_plan* plan, const rnn_engine_weights* weights, void* packed, void*) {
  return guarded([&] {
    require_pointer(plan, "plan");
    const Plan& p = plan_of(*plan);
    require_weights(p.shape, weights);
    require_aligned(packed, p.sizes.packed_bytes, "packed");
    visit_dtype(p.shape.dtype,
                [&]<class T>() { run_pack<T>(p, plan->context->backend, plan->context->pool, weights, packed); });
  });
}

int rnn_engine_calibrate(rnn_engine_context* context, int32_t dtype) {
  return guarded([&] {
    require_pointer(context, "context");
    require_dtype(dtype);
    context->measured_costs(dtype);
  });
}

int rnn_engine_round(rnn_engine_context* context, int64_t count, const float* in, void* out) {
  return guarded([&] {
    require_pointer(context, "context");
    convert(context, context->backend.bf16.narrow, count, in, out);
  });
}

int rnn_engine_widen(rnn_engine_context* context, int64_t count, const void* in, float* out) {
  return guarded([&] {
    require_pointer(context, "context");
    convert(context, context->backend.bf16.widen, count, in, out);
  });
}

int rnn_engine_loss_workspace(const rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                              uint64_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(bytes, "bytes");
    check_loss(*problem);
    *bytes = loss_workspace_bytes(*problem, context->machine(problem->dtype));
  });
}

int rnn_engine_linear_cross_entropy(rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                                    const rnn_engine_loss_args* args, rnn_engine_loss_result* result) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    require_pointer(result, "result");
    check_loss(*problem);
    require_loss(*problem, *args);
    const Machine machine = context->machine(problem->dtype);
    require_aligned(args->workspace, loss_workspace_bytes(*problem, machine), "workspace");
    const Trace trace(*problem, Waits::kYes, [&] { return context->name(); });
    visit_dtype(problem->dtype, [&]<class T>() {
      run_linear_cross_entropy<T>(*problem, machine, context->backend, context->pool, *args, *result);
    });
  });
}

size_t rnn_engine_gemm_workspace(const rnn_engine_context* context, int64_t n, int64_t k) {
  return static_cast<size_t>(packed_size(context->machine(RNN_ENGINE_FLOAT32), k, n)) * sizeof(float);
}

int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                    float* c, void* workspace, size_t workspace_bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require(m >= 1 && n >= 1 && k >= 1, "m, n, k: expected at least 1");
    const size_t needed = rnn_engine_gemm_workspace(context, n, k);
    require(workspace_bytes >= needed, "workspace_bytes: expected at least " + std::to_string(needed) + ", got " +
                                           std::to_string(workspace_bytes));
    require_aligned(workspace, needed, "workspace");
    float* packed = static_cast<float*>(workspace);
    const Kernels<float>& kernels = context->backend.f32;
    context->pool.run([&](Team& team) {
      pack_weight_transposed(team, kernels, b, n, k, packed);
      team.barrier();
      multiply(team, kernels, Product<float>{m, n, k, a, k, packed, nullptr, 0, c, n});
    });
  });
}

double rnn_engine_peak(rnn_engine_context* context, int32_t dtype, int64_t iterations) {
  std::atomic<double> operations{0};
  context->pool.run([&](Team&) {
    const double mine =
        visit_dtype(dtype, [&]<class T>() { return context->backend.template kernels<T>().peak(iterations); });
    double seen = operations.load();
    while (!operations.compare_exchange_weak(seen, seen + mine)) {
    }
  });
  return operations.load();
}

}  // extern "C"
