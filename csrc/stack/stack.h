// Runs a planned problem: stacked layers, forward and backward.
#pragma once

#include "backend/kernels.h"
#include "base/pool.h"
#include "plan/layout.h"

namespace rnn_engine {

template <class T>
void run_forward(const Shape& shape, const Machine& machine, const Kernels<T>& kernels, Pool& pool,
                 const rnn_engine_forward_args& args);

template <class T>
void run_backward(const Shape& shape, const Machine& machine, const Kernels<T>& kernels, Pool& pool,
                  const rnn_engine_backward_args& args);

}  // namespace rnn_engine
