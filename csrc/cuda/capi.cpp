// The C API of librnn_engine_cuda: csrc/capi.cpp's twin.
#include <memory>
#include <mutex>
#include <string>

#include "cuda/calls.h"
#include "cuda/cublas.h"
#include "cuda/loss.h"
#include "cuda/run.h"
#include "plan/arguments.h"
#include "rnn_engine.h"

using namespace rnn_engine;

struct rnn_engine_context {
  int device;
  cuda::DeviceFacts facts;
  std::string isa, products;
  std::unique_ptr<cuda::Cublas> cublas;
  Wavefronts wavefronts;
  cuda::Calls calls;  // goes first

  cuda::Multipliers multipliers(int tf32) const {
    return {facts.processors, cuda::use_tf32(tf32, facts), cublas.get()};
  }
};

struct rnn_engine_plan {
  rnn_engine_context* context;
  cuda::Plan plan;
  std::once_flag listed, searched;  // the table of buffers and the inputs are made when they are asked for
  Edges inputs;
};

namespace {

// A call of a plan: the tables of its kernels, which differ from call to call, then its tiles.
template <class Args, class Run>
void run(const rnn_engine_plan& plan, bool backward, const Args& args, const Run& run_tiles) {
  const cuda::OnDevice on(plan.context->device);
  const auto caller = static_cast<cuda::Stream>(args.stream);
  cuda::write_tables(plan.plan, args.scratch, caller);
  plan.context->calls.put(cuda::key_of(plan.plan, args), caller,
                          [&](cuda::Stream stream, cuda::SideStreams& side) {
                            cuda::TileStreams streams(plan.plan, backward, stream, side);
                            cuda::visit_dtype(plan.plan.shape.dtype,
                                              [&]<class T>() { run_tiles.template operator()<T>(streams); });
                          });
}

}  // namespace

extern "C" {

const char* rnn_engine_last_error(void) { return last_error().c_str(); }

int rnn_engine_context_create(int32_t, const char*, rnn_engine_context**) {
  return guarded([] {
    throw InvalidArgument("context: expected rnn_engine_cuda_context_create, as this library runs on GPUs");
  });
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

int64_t rnn_engine_cuda_graphs(const rnn_engine_context* context) { return context->calls.graphs(); }

void rnn_engine_context_destroy(rnn_engine_context* context) { delete context; }
const char* rnn_engine_context_isa(const rnn_engine_context* context) { return context->isa.c_str(); }
const char* rnn_engine_cuda_products(const rnn_engine_context* context) { return context->products.c_str(); }
int rnn_engine_has_isa(const char*) { return 0; }
int rnn_engine_gates(int32_t cell) { return cell < 0 || cell >= kCells ? 0 : kCellTable[cell].gates; }

int rnn_engine_vector_width(int32_t cell, int32_t vector) {
  if (cell < 0 || cell >= kCells || vector < 0 || vector >= kCellTable[cell].vectors()) return 0;
  return kCellTable[cell].vector_width(vector);
}

int rnn_engine_plan_create(rnn_engine_context* context, const rnn_engine_problem* problem,
                           rnn_engine_plan** plan) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(plan, "plan");
    auto made = std::make_unique<rnn_engine_plan>();
    made->context = context;
    made->plan = cuda::make_plan(*problem, context->facts, context->wavefronts);
    made->plan.cublas = context->cublas.get();
    *plan = made.release();
  });
}

void rnn_engine_plan_destroy(rnn_engine_plan* plan) { delete plan; }
rnn_engine_sizes rnn_engine_plan_sizes(const rnn_engine_plan* plan) { return plan->plan.sizes; }

rnn_engine_plan_facts rnn_engine_plan_describe(const rnn_engine_plan* plan) {
  const cuda::Plan& p = plan->plan;
  return {p.schedule.backward_steps, cuda::predicted_seconds(p), p.tiles.count(), p.schedule.groups};
}

int32_t rnn_engine_plan_policy(const rnn_engine_plan* plan, int64_t layer) {
  return static_cast<int32_t>(plan->plan.schedule.of(layer));
}

int rnn_engine_plan_buffers(rnn_engine_plan* plan, rnn_engine_buffer* buffers, size_t capacity,
                            size_t* count) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(count, "count");
    std::call_once(plan->listed, [&] { cuda::list_buffers(plan->plan); });
    *count = 0;
    append_buffers("kept", plan->plan.kept, buffers, capacity, *count);
    append_buffers("scratch", plan->plan.scratch, buffers, capacity, *count);
  });
}

int rnn_engine_plan_tile(rnn_engine_plan* plan, int64_t index, rnn_engine_tile* tile, int64_t* inputs,
                         size_t capacity, size_t* count) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(tile, "tile");
    const cuda::Plan& p = plan->plan;
    *tile = tile_at(p.tiles, index);
    if (!count) return;
    std::call_once(plan->searched, [&] { plan->inputs = inputs_of(p.shape, p.schedule, p.tiles); });
    copy_inputs(plan->inputs, index, inputs, capacity, *count);
  });
}

int rnn_engine_forward(rnn_engine_plan* plan, const rnn_engine_forward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    require_forward(plan->plan.shape, plan->plan.sizes, plan->plan.packed_bytes, *args);
    run(*plan, false, *args,
        [&]<class T>(cuda::TileStreams& streams) { cuda::run_forward<T>(plan->plan, *args, streams); });
  });
}

int rnn_engine_backward(rnn_engine_plan* plan, const rnn_engine_backward_args* args) {
  return guarded([&] {
    require_pointer(plan, "plan");
    require_pointer(args, "args");
    require_backward(plan->plan.shape, plan->plan.sizes, *args);
    run(*plan, true, *args,
        [&]<class T>(cuda::TileStreams& streams) { cuda::run_backward<T>(plan->plan, *args, streams); });
  });
}

int rnn_engine_packed_bytes(rnn_engine_context* context, const rnn_engine_problem* problem, uint64_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(bytes, "bytes");
    *bytes = cuda::make_plan(*problem, context->facts, context->wavefronts).packed_bytes;
  });
}

int rnn_engine_pack(rnn_engine_context* context, const rnn_engine_problem* problem,
                    const rnn_engine_weights* weights, void* packed, void* stream) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    const cuda::Plan plan = cuda::make_plan(*problem, context->facts, context->wavefronts);
    require_weights(plan.shape, weights);
    require_aligned(packed, plan.packed_bytes, "packed");
    const cuda::OnDevice on(context->device);
    cuda::visit_dtype(plan.shape.dtype, [&]<class T>() {
      cuda::run_pack<T>(plan, weights, packed, static_cast<cuda::Stream>(stream));
    });
  });
}

int rnn_engine_loss_scratch(const rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                            uint64_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(bytes, "bytes");
    cuda::check_loss(*problem, context->facts);
    *bytes = cuda::loss_scratch_bytes(*problem);
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
    require_aligned(args->scratch, cuda::loss_scratch_bytes(*problem), "scratch");
    const cuda::OnDevice on(context->device);
    cuda::run_linear_cross_entropy(*problem, context->multipliers(problem->tf32), *args, result);
  });
}

// On the default stream.
int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k, const float* a,
                    const float* b, float* c, void*, size_t) {
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
size_t rnn_engine_gemm_scratch(const rnn_engine_context*, int64_t, int64_t) { return 0; }
double rnn_engine_peak(rnn_engine_context*, int32_t, int64_t) { return 0; }

int rnn_engine_calibrate(rnn_engine_context* context, int32_t) {
  return guarded([&] { require_pointer(context, "context"); });  // nothing is measured
}

}  // extern "C"
