// What the C API calls a context and a plan: csrc/api/capi.cpp checks what comes from outside and asks a device's own
// context for the rest.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/fork.h"
#include "plan/plan.h"
#include "rnn_engine.h"

// A device with what its calls share. Plans that it is given are its own, and arguments have been checked.
struct rnn_engine_context {
  rnn_engine_interrupt interrupt = nullptr;  // whom long calls ask
  void* interrupt_user = nullptr;

  virtual ~rnn_engine_context() = default;

  virtual const char* isa() const = 0;
  virtual std::string name() const = 0;  // for a trace
  // Whether a call has done its work when it returns.
  virtual bool waits() const = 0;

  virtual std::unique_ptr<rnn_engine::PlanBase> plan(const rnn_engine_problem& problem) = 0;
  // Predicted; 0 where nothing is known.
  virtual double seconds(const rnn_engine::PlanBase& plan) = 0;
  virtual void calibrate(int dtype) = 0;
  virtual void forward(const rnn_engine::PlanBase& plan, const rnn_engine_forward_args& args) = 0;
  virtual void backward(const rnn_engine::PlanBase& plan, const rnn_engine_backward_args& args) = 0;
  virtual void pack(const rnn_engine::PlanBase& plan, const rnn_engine_weights* weights, void* packed,
                    void* stream) = 0;

  // Throws InvalidArgument for a problem that it cannot do.
  virtual std::uint64_t loss_workspace(const rnn_engine_loss_problem& problem) const = 0;
  virtual void linear_cross_entropy(const rnn_engine_loss_problem& problem, const rnn_engine_loss_args& args,
                                    rnn_engine_loss_result* result) = 0;

  // The same of attention, and of linear layers and dropout.
  virtual std::uint64_t attention_workspace(const rnn_engine_attention_problem& problem, int gradients) const = 0;
  virtual void attention_forward(const rnn_engine_attention_problem& problem,
                                 const rnn_engine_attention_forward_args& args) = 0;
  virtual void attention_backward(const rnn_engine_attention_problem& problem,
                                  const rnn_engine_attention_backward_args& args) = 0;
  virtual void linear_workspace(const rnn_engine_linear_problem& problem, std::uint64_t& forward,
                                std::uint64_t& backward) const = 0;
  virtual void linear(const rnn_engine_linear_problem& problem, const rnn_engine_linear_args& args) = 0;
  virtual void linear_backward(const rnn_engine_linear_problem& problem,
                               const rnn_engine_linear_backward_args& args) = 0;
  virtual void dropout(const rnn_engine_dropout_problem& problem, const rnn_engine_dropout_args& args) = 0;

  virtual std::size_t gemm_workspace(std::int64_t n, std::int64_t k) const = 0;
  // Operations done.
  virtual double peak(int dtype, std::int64_t iterations) = 0;
  virtual void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b, float* c,
                    void* workspace) = 0;
};

struct rnn_engine_plan {
  rnn_engine_context* context;
  std::unique_ptr<rnn_engine::PlanBase> plan;
  rnn_engine::Lazy<rnn_engine::BufferTable> buffers;
  rnn_engine::Lazy<rnn_engine::Edges> inputs;
};
