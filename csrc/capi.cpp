// The C API: checks what comes from outside, picks the type, turns exceptions into codes.
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

#include "backend/kernels.h"
#include "base/error.h"
#include "base/pool.h"
#include "plan/plan.h"
#include "rnn_engine.h"
#include "stack/gemm.h"
#include "stack/linear_cross_entropy.h"
#include "stack/stack.h"

using namespace rnn_engine;

struct rnn_engine_context {
  const Backend& backend;
  Pool pool;

  rnn_engine_context(const char* isa, int threads) : backend(select_backend(isa)), pool(threads) {}

  Machine machine(int dtype) const {
    return {dtype == RNN_ENGINE_FLOAT32 ? backend.f32.width : backend.f64.width, pool.threads()};
  }
};

namespace {

thread_local std::string last_error;

template <class Work>
int guarded(const Work& work) {
  try {
    work();
    return RNN_ENGINE_OK;
  } catch (const InvalidArgument& error) {
    last_error = error.what();
    return RNN_ENGINE_INVALID;
  } catch (const std::exception& error) {
    last_error = error.what();
    return RNN_ENGINE_FAILED;
  }
}

void require_pointer(const void* pointer, const std::string& name) {
  require(pointer != nullptr, name + ": expected a pointer, got NULL");
}

void require_aligned(const void* pointer, std::size_t bytes, const char* name) {
  if (bytes == 0) return;
  require_pointer(pointer, name);
  require(reinterpret_cast<std::uintptr_t>(pointer) % kAlignment == 0,
          std::string(name) + ": expected an address that is a multiple of " + std::to_string(kAlignment));
}

void require_weights(const Shape& shape, const rnn_engine_weights* weights) {
  require_pointer(weights, "weights");
  for (std::int64_t i = 0; i < shape.L * shape.D; ++i) {
    const std::string where = "weights[" + std::to_string(i) + "].";
    require_pointer(weights[i].weight_ih, where + "weight_ih");
    require_pointer(weights[i].weight_hh, where + "weight_hh");
    if (shape.problem->bias) {
      require_pointer(weights[i].bias_ih, where + "bias_ih");
      require_pointer(weights[i].bias_hh, where + "bias_hh");
    }
    const int needed = shape.cell.extra - (shape.cell.extra_bias && !shape.problem->bias ? 1 : 0);
    for (int e = 0; e < needed; ++e)
      require_pointer(weights[i].extra[e], where + "extra[" + std::to_string(e) + "]");
  }
}

}  // namespace

extern "C" {

const char* rnn_engine_last_error(void) { return last_error.c_str(); }

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

int rnn_engine_plan(const rnn_engine_context* context, const rnn_engine_problem* problem,
                    rnn_engine_sizes* sizes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(sizes, "sizes");
    *sizes = plan_sizes(make_shape(*problem), context->machine(problem->dtype));
  });
}

int rnn_engine_plan_buffers(const rnn_engine_context* context, const rnn_engine_problem* problem,
                            rnn_engine_buffer* buffers, size_t capacity, size_t* count) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(count, "count");
    const Shape shape = make_shape(*problem);
    const Plan plan = make_plan(shape, context->machine(problem->dtype));
    *count = 0;
    const auto list = [&](const char* arena, const std::vector<BufferRecord>& records) {
      for (const BufferRecord& r : records) {
        if (buffers && *count < capacity)
          buffers[*count] = {
              r.name, arena, r.layer, r.direction, r.offset, r.bytes, r.layer < 0 ? 0 : r.layer, shape.L - 1};
        ++*count;
      }
    };
    list("kept", plan.kept);
    list("forward scratch", plan.forward);
    list("backward scratch", plan.backward);
  });
}

int rnn_engine_forward(rnn_engine_context* context, const rnn_engine_problem* problem,
                       const rnn_engine_forward_args* args) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    const Shape shape = make_shape(*problem);
    const Machine machine = context->machine(problem->dtype);
    const rnn_engine_sizes sizes = plan_sizes(shape, machine);
    require_weights(shape, args->weights);
    require_pointer(args->x, "x");
    require_pointer(args->y, "y");
    require_pointer(args->hn, "hn");
    require_pointer(args->cn, "cn");
    require_aligned(args->kept, sizes.kept_bytes, "kept");
    require_aligned(args->scratch, sizes.forward_scratch_bytes, "scratch");
    if (problem->dtype == RNN_ENGINE_FLOAT32)
      run_forward(shape, machine, context->backend.f32, context->pool, *args);
    else
      run_forward(shape, machine, context->backend.f64, context->pool, *args);
  });
}

int rnn_engine_backward(rnn_engine_context* context, const rnn_engine_problem* problem,
                        const rnn_engine_backward_args* args) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(args, "args");
    const Shape shape = make_shape(*problem);
    require(shape.training, "problem.training: expected 1 for backward, got 0");
    const Machine machine = context->machine(problem->dtype);
    const rnn_engine_sizes sizes = plan_sizes(shape, machine);
    require_weights(shape, args->weights);
    require_pointer(args->gradients, "gradients");
    require_pointer(args->x, "x");
    require_pointer(args->y, "y");
    require_aligned(args->kept, sizes.kept_bytes, "kept");
    require_aligned(args->scratch, sizes.backward_scratch_bytes, "scratch");
    if (problem->dtype == RNN_ENGINE_FLOAT32)
      run_backward(shape, machine, context->backend.f32, context->pool, *args);
    else
      run_backward(shape, machine, context->backend.f64, context->pool, *args);
  });
}

int rnn_engine_loss_scratch(const rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                            uint64_t* bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require_pointer(problem, "problem");
    require_pointer(bytes, "bytes");
    check_loss(*problem);
    *bytes = loss_scratch_bytes(*problem, context->machine(problem->dtype));
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
    require_pointer(args->weight, "weight");
    if (problem->tokens > 0) {
      require_pointer(args->hidden, "hidden");
      require_pointer(args->targets, "targets");
    }
    const auto require_wanted = [&](int gradient, const void* pointer, const char* name) {
      const bool wanted = (problem->gradients & gradient) != 0;
      if (wanted && (problem->tokens > 0 || gradient != RNN_ENGINE_LOSS_HIDDEN))
        require_pointer(pointer, name);
      require(wanted || !pointer, std::string(name) + ": expected NULL, as problem.gradients leaves it out");
    };
    require_wanted(RNN_ENGINE_LOSS_HIDDEN, args->d_hidden, "d_hidden");
    require_wanted(RNN_ENGINE_LOSS_WEIGHT, args->d_weight, "d_weight");
    require_wanted(RNN_ENGINE_LOSS_BIAS, args->d_bias, "d_bias");
    const Machine machine = context->machine(problem->dtype);
    require_aligned(args->scratch, loss_scratch_bytes(*problem, machine), "scratch");
    if (problem->dtype == RNN_ENGINE_FLOAT32)
      run_linear_cross_entropy(*problem, machine, context->backend.f32, context->pool, *args, *result);
    else
      run_linear_cross_entropy(*problem, machine, context->backend.f64, context->pool, *args, *result);
  });
}

size_t rnn_engine_gemm_scratch(const rnn_engine_context* context, int64_t n, int64_t k) {
  return static_cast<size_t>(packed_size(context->machine(RNN_ENGINE_FLOAT32), k, n)) * sizeof(float);
}

int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k, const float* a,
                    const float* b, float* c, void* scratch, size_t scratch_bytes) {
  return guarded([&] {
    require_pointer(context, "context");
    require(m >= 1 && n >= 1 && k >= 1, "m, n, k: expected at least 1");
    const size_t needed = rnn_engine_gemm_scratch(context, n, k);
    require(scratch_bytes >= needed, "scratch_bytes: expected at least " + std::to_string(needed) + ", got " +
                                         std::to_string(scratch_bytes));
    require_aligned(scratch, needed, "scratch");
    float* packed = static_cast<float*>(scratch);
    const Kernels<float>& kernels = context->backend.f32;
    context->pool.run([&](Team& team) {
      pack_weight_transposed(team, kernels.width, b, n, k, packed);
      team.barrier();
      multiply(team, kernels, Product<float>{m, n, k, a, k, packed, nullptr, 0, c, n});
    });
  });
}

double rnn_engine_peak(rnn_engine_context* context, int64_t iterations) {
  std::atomic<double> operations{0};
  context->pool.run([&](Team&) {
    const double mine = context->backend.f32.peak(iterations);
    double seen = operations.load();
    while (!operations.compare_exchange_weak(seen, seen + mine)) {
    }
  });
  return operations.load();
}

}  // extern "C"
