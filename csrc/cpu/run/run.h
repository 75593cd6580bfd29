// Runs a planned problem: stacked layers, forward and backward.
#pragma once

#include "base/pool.h"
#include "cpu/kernels/kernels.h"
#include "cpu/plan.h"

namespace rnn_engine {

template <class T>
void run_forward(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_forward_args& args);

template <class T>
void run_backward(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_backward_args& args);

// Packs the weights of all pseudo-layers at the plan's packed_slots.
template <class T>
void run_pack(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_weights* weights, void* packed);

// Measures what work costs (cpu/cost.h) on the kernels of T.
template <class T>
Costs calibrate(const Backend& backend, Pool& pool);

}  // namespace rnn_engine
