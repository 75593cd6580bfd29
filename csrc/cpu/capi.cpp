// The CPU's context, and what of the C API is the CPU's alone.
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>

#include "api/arguments.h"
#include "api/handles.h"
#include "base/pool.h"
#include "cpu/attention/attention.h"
#include "cpu/dtype.h"
#include "cpu/gemm/gemm.h"
#include "cpu/kernels/kernels.h"
#include "cpu/linear/linear.h"
#include "cpu/loss/linear_cross_entropy.h"
#include "cpu/plan.h"
#include "cpu/run/run.h"
#include "cpu/speed.h"
#include "rnn_engine.h"

namespace rnn_engine {
namespace {

const Plan& own(const PlanBase& plan) { return static_cast<const Plan&>(plan); }

[[noreturn]] void refuse(const char* what) {
  throw InvalidArgument(std::string(what) + ": not in this library, which was built for translating alone");
}

class CpuContext final : public rnn_engine_context {
 public:
  CpuContext(const char* isa, int threads) : backend_(select_backend(isa)), pool_(threads) {}

  const char* isa() const override { return backend_.isa; }
  std::string name() const override { return std::string(isa()) + ", " + std::to_string(pool_.threads()) + " threads"; }
  bool waits() const override { return true; }

  std::unique_ptr<PlanBase> plan(const rnn_engine_problem& problem) override {
    require_dtype(problem.dtype);
    if (kTranslatingAlone && problem.training) refuse("training");
    return std::make_unique<Plan>(make_plan(problem, machine(problem.dtype), wavefronts_));
  }
  double seconds(const PlanBase& plan) override {
    const double speed = speed_[static_cast<std::size_t>(plan.shape.dtype)].load(std::memory_order_relaxed);
    return speed > 0 ? typical_seconds(own(plan)) / speed : 0;
  }
  void calibrate(int dtype) override {
    require_dtype(dtype);
    std::atomic<double>& speed = speed_[static_cast<std::size_t>(dtype)];
    if (speed.load(std::memory_order_relaxed) > 0) return;
    speed.store(visit_dtype(dtype, [&]<class T>() { return speed_of<T>(backend_, pool_.threads()); }),
                std::memory_order_relaxed);
  }

  void forward(const PlanBase& plan, const rnn_engine_forward_args& args) override {
    interruptible([&](Interrupt& call) {
      visit_dtype(plan.shape.dtype, [&]<class T>() { run_forward<T>(own(plan), backend_, pool_, args, call); });
    });
  }
  void backward(const PlanBase& plan, const rnn_engine_backward_args& args) override {
    if constexpr (kTranslatingAlone)
      refuse("backward");
    else
      interruptible([&](Interrupt& call) {
        visit_dtype(plan.shape.dtype, [&]<class T>() { run_backward<T>(own(plan), backend_, pool_, args, call); });
      });
  }
  void pack(const PlanBase& plan, const rnn_engine_weights* weights, void* packed, void*) override {
    visit_dtype(plan.shape.dtype, [&]<class T>() { run_pack<T>(own(plan), backend_, pool_, weights, packed); });
  }

  std::uint64_t loss_workspace(const rnn_engine_loss_problem& problem) const override {
    if constexpr (kTranslatingAlone) refuse("the loss");
    check_loss(problem);
    return loss_workspace_bytes(problem, machine(problem.dtype));
  }
  void linear_cross_entropy(const rnn_engine_loss_problem& problem, const rnn_engine_loss_args& args,
                            rnn_engine_loss_result* result) override {
    if constexpr (kTranslatingAlone)
      refuse("the loss");
    else
      interruptible([&](Interrupt& call) {
        visit_dtype(problem.dtype, [&]<class T>() {
          run_linear_cross_entropy<T>(problem, machine(problem.dtype), backend_, pool_, args, *result, call);
        });
      });
  }

  std::uint64_t attention_workspace(const rnn_engine_attention_problem& problem, int gradients) const override {
    if constexpr (kTranslatingAlone)
      refuse("attention");
    else {
      require_dtype(problem.dtype);
      return attention_workspace_bytes(problem, gradients, machine(problem.dtype));
    }
  }
  void attention_forward(const rnn_engine_attention_problem& problem,
                         const rnn_engine_attention_forward_args& args) override {
    if constexpr (!kTranslatingAlone)
      interruptible([&](Interrupt& call) {
        visit_dtype(problem.dtype, [&]<class T>() {
          run_attention_forward<T>(problem, machine(problem.dtype), backend_, pool_, args, call);
        });
      });
  }
  void attention_backward(const rnn_engine_attention_problem& problem,
                          const rnn_engine_attention_backward_args& args) override {
    if constexpr (!kTranslatingAlone)
      interruptible([&](Interrupt& call) {
        visit_dtype(problem.dtype, [&]<class T>() {
          run_attention_backward<T>(problem, machine(problem.dtype), backend_, pool_, args, call);
        });
      });
  }

  void linear_workspace(const rnn_engine_linear_problem& problem, std::uint64_t& forward,
                        std::uint64_t& backward) const override {
    if constexpr (kTranslatingAlone) refuse("linear");
    require_dtype(problem.dtype);
    linear_workspace_bytes(problem, machine(problem.dtype), forward, backward);
  }
  void linear(const rnn_engine_linear_problem& problem, const rnn_engine_linear_args& args) override {
    if constexpr (kTranslatingAlone)
      refuse("linear");
    else
      interruptible([&](Interrupt& call) {
        visit_dtype(problem.dtype,
                    [&]<class T>() { run_linear<T>(problem, machine(problem.dtype), backend_, pool_, args, call); });
      });
  }
  void linear_backward(const rnn_engine_linear_problem& problem, const rnn_engine_linear_backward_args& args) override {
    if constexpr (kTranslatingAlone)
      refuse("linear");
    else
      interruptible([&](Interrupt& call) {
        visit_dtype(problem.dtype, [&]<class T>() {
          run_linear_backward<T>(problem, machine(problem.dtype), backend_, pool_, args, call);
        });
      });
  }
  void dropout(const rnn_engine_dropout_problem& problem, const rnn_engine_dropout_args& args) override {
    if constexpr (kTranslatingAlone)
      refuse("dropout");
    else {
      require_dtype(problem.dtype);
      interruptible([&](Interrupt& call) {
        visit_dtype(problem.dtype, [&]<class T>() { run_dropout<T>(problem, backend_, pool_, args, call); });
      });
    }
  }

  std::size_t gemm_workspace(std::int64_t n, std::int64_t k) const override {
    return static_cast<std::size_t>(packed_size(machine(RNN_ENGINE_FLOAT32), k, n)) * sizeof(float);
  }
  void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b, float* c,
            void* workspace) override {
    float* packed = static_cast<float*>(workspace);
    pool_.run([&](Team& team) {
      pack_weight_transposed(team, backend_.f32, b, n, k, packed);
      team.barrier();
      multiply(team, backend_.f32, Product<float>{m, n, k, a, k, packed, nullptr, 0, c, n});
    });
  }

  double peak(int dtype, std::int64_t iterations) override {
    require_dtype(dtype);
    std::atomic<double> operations{0};
    pool_.run([&](Team&) {
      const double mine =
          visit_dtype(dtype, [&]<class T>() { return backend_.template kernels<T>().peak(iterations); });
      double seen = operations.load();
      while (!operations.compare_exchange_weak(seen, seen + mine)) {
      }
    });
    return operations.load();
  }

  void narrow(std::int64_t count, const void* in, void* out) {
    if (kTranslatingAlone) refuse("bfloat16");
    convert(backend_.bf16.narrow, count, in, out);
  }
  void widen(std::int64_t count, const void* in, void* out) {
    if (kTranslatingAlone) refuse("bfloat16");
    convert(backend_.bf16.widen, count, in, out);
  }

 private:
  template <class Work>
  void interruptible(const Work& work) {
    Interrupt call(interrupt, interrupt_user);
    work(call);
    if (call.wanted()) throw Interrupted("the call was interrupted");
  }

  Machine machine(int dtype) const {
    return visit_dtype(dtype, [&]<class T>() {
      const Kernels<T>& kernels = backend_.template kernels<T>();
      return Machine{kernels.width, pool_.threads(), kInterleave<T>, kernels.k_group};
    });
  }

  // Between bfloat16 and float32, by as many threads as find enough to do.
  template <class From, class To>
  void convert(void (*kernel)(const Block<From, To>&), std::int64_t count, const void* in, void* out) {
    constexpr std::int64_t kGrain = 16384;
    constexpr std::int64_t kMost = std::int64_t{1} << 50;  // no machine has the memory
    require(count >= 0 && count <= kMost, "count: expected 0 to 2^50, got " + std::to_string(count));
    if (count == 0) return;
    require_aligned_to(in, alignof(From), "in");
    require_aligned_to(out, alignof(To), "out");
    const auto run = [&](const Team& team) {
      const Team::Range mine = team.share(count, kGrain);
      kernel({1, 1, mine.end - mine.begin, 0, static_cast<const From*>(in) + mine.begin, 0,
              static_cast<To*>(out) + mine.begin, 0});
    };
    if (count <= kGrain)
      run(Team(0, 1, nullptr));
    else
      pool_.run(run);
  }

  const Backend backend_;
  Pool pool_;
  Wavefronts wavefronts_;
  std::array<std::atomic<double>, RNN_ENGINE_BFLOAT16 + 1> speed_{};  // by dtype; 0: not known yet
};

CpuContext& own(rnn_engine_context* context) { return static_cast<CpuContext&>(*context); }

}  // namespace
}  // namespace rnn_engine

using namespace rnn_engine;

extern "C" {

int rnn_engine_context_create(int32_t threads, const char* isa, rnn_engine_context** context) {
  return guarded([&] {
    require_pointer(context, "context");
    require(threads >= 1 && threads <= 1024, "threads: expected 1 to 1024, got " + std::to_string(threads));
    *context = new CpuContext(isa ? isa : std::getenv("RNN_ENGINE_ISA"), threads);
  });
}

int rnn_engine_has_isa(const char* isa) { return isa && has_backend(isa); }

int rnn_engine_round(rnn_engine_context* context, int64_t count, const float* in, void* out) {
  return guarded([&] {
    require_pointer(context, "context");
    own(context).narrow(count, in, out);
  });
}

int rnn_engine_widen(rnn_engine_context* context, int64_t count, const void* in, float* out) {
  return guarded([&] {
    require_pointer(context, "context");
    own(context).widen(count, in, out);
  });
}

}  // extern "C"
