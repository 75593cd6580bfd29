// The C API of librnn_engine_cuda, beside csrc/api/plan.cpp: csrc/cpu/capi.cpp's twin.
#include <memory>
#include <string>

#include "api/arguments.h"
#include "api/plan_handle.h"
#include "api/trace.h"
#include "cuda/gemm/cublas.h"
#include "cuda/graphs.h"
#include "cuda/loss/loss.h"
#include "cuda/run/run.h"
#include "rnn_engine.h"

using namespace rnn_engine;

struct rnn_engine_context {
  int device;
  cuda::DeviceFacts facts;
  std::string isa, products;
  std::unique_ptr<cuda::Cublas> cublas;
  Wavefronts wavefronts;
  cuda::GraphCache graphs;  // goes first

  // For a trace.
  std::string name() const { return isa + ", " + products; }

  cuda::Multipliers multipliers(int tf32) const {
    return {facts.processors, cuda::use_tf32(tf32, facts), cublas.get()};
  }
};

namespace {

const cuda::Plan& plan_of(const rnn_engine_plan& plan) { return static_cast<const cuda::Plan&>(*plan.plan); }

// A call of a plan: the tables of its kernels, which differ from call to call, then its tiles.
template <class Args, class Run>
void run(rnn_engine_context& context, const cuda::Plan& plan, bool backward, const Args& args, const Run& run_tiles) {
  const cuda::OnDevice on(context.device);
  const Trace trace(backward ? Call::kBackward : Call::kForward, plan, Waits::kNo, [&] { return context.name(); });
  const auto caller = static_cast<cuda::Stream>(args.stream);
  cuda::write_tables(plan, args.masks, args.workspace, caller);
  context.graphs.enqueue(cuda::key_of(plan, args), caller, [&](cuda::Stream stream, cuda::SideStreams& side) {
    cuda::TileStreams streams(plan, backward, stream, side);
    cuda::visit_dtype(plan.shape.dtype, [&]<class T>() { run_tiles.template operator()<T>(streams); });
  });
}

}  // namespace

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
    const cuda::DeviceFacts facts = cuda::device_facts(device);
    const std::string isa = "sm_" + std::to_string(facts.major) + std::to_string(facts.minor);
    require(10 * facts.major + facts.minor >= 75, "device: expected sm_75 or newer, got " + isa);
    const cuda::OnDevice on(device);
    std::unique_ptr<rnn_engine_context> made(new rnn_engine_context{device, facts, isa, {}, nullptr, {}, {}});
    made->cublas = cuda::Cublas::find(made->products);
    *context = made.release();
  });
}

int64_t rnn_engine_cuda_graphs(const rnn_engine_context* context) { return context->graphs.made(); }

void rnn_engine_context_destroy(rnn_engine_context* context) { delete context; }
const char* rnn_engine_context_isa(const rnn_engine_context* context) { return context->isa.c_str(); }
const char* rnn_engine_cuda_products(const rnn_engine_context* context) { return context->products.c_str(); }
int rnn_engine_has_isa(const char*) { return 0; }

int rnn_engine_plan_create(rnn_engine_context* context, const rnn_engine_problem* problem, rnn_engine_plan** plan) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(plan, "plan");
    auto planned = std::make_unique<cuda::Plan>(cuda::make_plan(*problem, context->facts, context->wavefronts));
    planned->cublas = context->cublas.get();
    auto made = std::make_unique<rnn_engine_plan>();
    made->context = context;
    made->plan = std::move(planned);
    *plan = made.release();
  });
}

rnn_engine_plan_facts rnn_engine_plan_describe(const rnn_engine_plan* plan) {
  const cuda::Plan& p = plan_of(*plan);
  return {p.schedule.backward_steps, cuda::predicted_seconds(p), p.tiles.count(), p.shape.L, p.schedule.thread_groups};
}

int rnn_engine_forward(rnn_engine_plan* plan, const rnn_engine_forward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    const cuda::Plan& p = plan_of(*plan);
    require_forward(p.shape, p.sizes, *args);
    run(*plan->context, p, false, *args,
        [&]<class T>(cuda::TileStreams& streams) { cuda::run_forward<T>(p, *args, streams); });
  });
}

int rnn_engine_backward(rnn_engine_plan* plan, const rnn_engine_backward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    const cuda::Plan& p = plan_of(*plan);
    require_backward(p.shape, p.sizes, *args);
    run(*plan->context, p, true, *args,
        [&]<class T>(cuda::TileStreams& streams) { cuda::run_backward<T>(p, *args, streams); });
  });
}

int rnn_engine_pack(rnn_engine_plan* plan, const rnn_engine_weights* weights, void* packed, void* stream) {
  return guarded([&] {
    require_pointer(plan, "plan");
    const cuda::Plan& p = plan_of(*plan);
    require_weights(p.shape, weights);
    require_aligned(packed, p.sizes.packed_bytes, "packed");
    const cuda::OnDevice on(plan->context->device);
    cuda::visit_dtype(p.shape.dtype,
                      [&]<class T>() { cuda::run_pack<T>(p, weights, packed, static_cast<cuda::Stream>(stream)); });
  });
}

int rnn_engine_loss_workspace(const rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                              uint64_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(bytes, "bytes");
    cuda::check_loss(*problem, context->facts);
    *bytes = cuda::loss_workspace_bytes(*problem);
  });
}

int rnn_engine_linear_cross_entropy(rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                                    const rnn_engine_loss_args* args, rnn_engine_loss_result* result) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    require_pointer(result, "result");
    cuda::check_loss(*problem, context->facts);
    require_loss(*problem, *args);
    require_aligned(args->workspace, cuda::loss_workspace_bytes(*problem), "workspace");
    const cuda::OnDevice on(context->device);
    const Trace trace(*problem, Waits::kNo, [&] { return context->name(); });
    cuda::run_linear_cross_entropy(*problem, context->multipliers(problem->tf32), *args, result);
  });
}

// On the default stream.
int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                    float* c, void*, size_t) {
  return guarded([&] {
    require_pointer(context, "context");
    require(m >= 1 && n >= 1 && k >= 1, "m, n, k: expected at least 1");
    const cuda::OnDevice on(context->device);
    cuda::Product<float> p{};
    p.m = m;
    p.n = n;
    p.k = k;
    p.a = cuda::by_rows(a, k);
    p.b = cuda::by_rows(b, k);
    p.c = c;
    p.c_row = n;
    cuda::multiply(cuda::Stream{}, p, context->multipliers(0));
  });
}
size_t rnn_engine_gemm_workspace(const rnn_engine_context*, int64_t, int64_t) { return 0; }
double rnn_engine_peak(rnn_engine_context*, int32_t, int64_t) { return 0; }

int rnn_engine_calibrate(rnn_engine_context* context, int32_t) {
  return guarded([&] { require_pointer(context, "context"); });  // nothing is measured
}

}  // extern "C"
