// The context of a GPU, and what of the C API is librnn_engine_cuda's alone: csrc/cpu/capi.cpp's twin.
#include <memory>
#include <string>

#include "api/arguments.h"
#include "api/handles.h"
#include "cuda/attention/attention.h"
#include "cuda/gemm/cublas.h"
#include "cuda/graphs.h"
#include "cuda/linear/linear.h"
#include "cuda/loss/loss.h"
#include "cuda/run/run.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {
namespace {

const Plan& own(const PlanBase& plan) { return static_cast<const Plan&>(plan); }

class GpuContext final : public rnn_engine_context {
 public:
  explicit GpuContext(int device) : device_(device), facts_(device_facts(device)), isa_("sm_" + name_of_capability()) {
    require(10 * facts_.major + facts_.minor >= 75, "device: expected sm_75 or newer, got " + isa_);
    const OnDevice on(device_);
    cublas_ = Cublas::find(products_);
  }

  const char* isa() const override { return isa_.c_str(); }
  std::string name() const override { return isa_ + ", " + products_; }
  bool waits() const override { return false; }
  const char* products() const { return products_.c_str(); }
  std::int64_t graphs() const { return graphs_.made(); }

  std::unique_ptr<PlanBase> plan(const rnn_engine_problem& problem) override {
    auto made = std::make_unique<Plan>(make_plan(problem, facts_, wavefronts_));
    made->cublas = cublas_.get();
    return made;
  }
  double seconds(const PlanBase& plan) override { return predicted_seconds(own(plan)); }
  void calibrate(int dtype) override { require_dtype(dtype, facts_); }  // nothing is measured

  void forward(const PlanBase& plan, const rnn_engine_forward_args& args) override {
    run(own(plan), false, args, [&]<class T>(TileStreams& streams) { run_forward<T>(own(plan), args, streams); });
  }
  void backward(const PlanBase& plan, const rnn_engine_backward_args& args) override {
    run(own(plan), true, args, [&]<class T>(TileStreams& streams) { run_backward<T>(own(plan), args, streams); });
  }
  void pack(const PlanBase& plan, const rnn_engine_weights* weights, void* packed, void* stream) override {
    const OnDevice on(device_);
    visit_dtype(plan.shape.dtype,
                [&]<class T>() { run_pack<T>(own(plan), weights, packed, static_cast<Stream>(stream)); });
  }

  std::uint64_t loss_workspace(const rnn_engine_loss_problem& problem) const override {
    check_loss(problem, facts_);
    return loss_workspace_bytes(problem);
  }
  void linear_cross_entropy(const rnn_engine_loss_problem& problem, const rnn_engine_loss_args& args,
                            rnn_engine_loss_result* result) override {
    const OnDevice on(device_);
    run_linear_cross_entropy(problem, multipliers(problem.tf32), args, result);
  }

  std::uint64_t attention_workspace(const rnn_engine_attention_problem& problem, int gradients) const override {
    require_dtype(problem.dtype, facts_);
    require(problem.heads < 1 << 16, "heads: expected less than 65536, got " + std::to_string(problem.heads));
    return attention_workspace_bytes(problem, gradients);
  }
  void attention_forward(const rnn_engine_attention_problem& problem,
                         const rnn_engine_attention_forward_args& args) override {
    const OnDevice on(device_);
    run_attention_forward(problem, multipliers(problem.tf32), args);
  }
  void attention_backward(const rnn_engine_attention_problem& problem,
                          const rnn_engine_attention_backward_args& args) override {
    const OnDevice on(device_);
    run_attention_backward(problem, multipliers(problem.tf32), args);
  }

  void linear_workspace(const rnn_engine_linear_problem& problem, std::uint64_t& forward,
                        std::uint64_t& backward) const override {
    require_dtype(problem.dtype, facts_);
    linear_workspace_bytes(problem, forward, backward);
  }
  void linear(const rnn_engine_linear_problem& problem, const rnn_engine_linear_args& args) override {
    const OnDevice on(device_);
    run_linear(problem, multipliers(problem.tf32), args);
  }
  void linear_backward(const rnn_engine_linear_problem& problem, const rnn_engine_linear_backward_args& args) override {
    const OnDevice on(device_);
    run_linear_backward(problem, multipliers(problem.tf32), args);
  }
  void dropout(const rnn_engine_dropout_problem& problem, const rnn_engine_dropout_args& args) override {
    require_dtype(problem.dtype, facts_);
    const OnDevice on(device_);
    run_dropout(problem, args);
  }

  double peak(int dtype, std::int64_t) override {
    require_dtype(dtype, facts_);
    return 0;
  }

  std::size_t gemm_workspace(std::int64_t, std::int64_t) const override { return 0; }
  // On the default stream.
  void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b, float* c, void*) override {
    const OnDevice on(device_);
    Product<float> p{};
    p.m = m;
    p.n = n;
    p.k = k;
    p.a = by_rows(a, k);
    p.b = by_rows(b, k);
    p.c = c;
    p.c_row = n;
    multiply(Stream{}, p, multipliers(0));
  }

 private:
  std::string name_of_capability() const { return std::to_string(facts_.major) + std::to_string(facts_.minor); }

  Multipliers multipliers(int tf32) const { return {facts_.processors, use_tf32(tf32, facts_), cublas_.get()}; }

  // A call of a plan: the tables of its kernels, which differ from call to call, then its tiles.
  template <class Args, class Run>
  void run(const Plan& plan, bool backward, const Args& args, const Run& run_tiles) {
    const OnDevice on(device_);
    const auto caller = static_cast<Stream>(args.stream);
    write_tables(plan, args.masks, args.workspace, caller);
    graphs_.enqueue(key_of(plan, args), caller, [&](Stream stream, SideStreams& side) {
      TileStreams streams(plan, backward, stream, side);
      visit_dtype(plan.shape.dtype, [&]<class T>() { run_tiles.template operator()<T>(streams); });
    });
  }

  const int device_;
  const DeviceFacts facts_;
  const std::string isa_;
  std::string products_;
  std::unique_ptr<Cublas> cublas_;
  Wavefronts wavefronts_;
  GraphCache graphs_;  // goes first
};

const GpuContext& own(const rnn_engine_context* context) { return static_cast<const GpuContext&>(*context); }

}  // namespace
}  // namespace rnn_engine::cuda

using namespace rnn_engine;

extern "C" {

int rnn_engine_context_create(int32_t, const char*, rnn_engine_context**) {
  return guarded(
      [] { throw InvalidArgument("context: expected rnn_engine_cuda_context_create, as this library runs on GPUs"); });
}

int rnn_engine_cuda_context_create(int32_t device, rnn_engine_context** context) {
  return guarded([&] {
    require_pointer(context, "context");
    const int count = cuda::device_count();
    require(device >= 0 && device < count,
            "device: expected 0 to " + std::to_string(count - 1) + ", got " + std::to_string(device));
    *context = new cuda::GpuContext(device);
  });
}

int rnn_engine_cuda_graphs(const rnn_engine_context* context, int64_t* graphs) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(graphs, "graphs");
    *graphs = cuda::own(context).graphs();
  });
}

int rnn_engine_cuda_products(const rnn_engine_context* context, const char** products) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(products, "products");
    *products = cuda::own(context).products();
  });
}

int rnn_engine_has_isa(const char*) { return 0; }

}  // extern "C"
