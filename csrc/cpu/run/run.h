// Runs a planned problem: stacked layers, forward and backward. An interrupted call returns early.
#pragma once

#include "base/pool.h"
#include "cpu/kernels/kernels.h"
#include "cpu/plan.h"

namespace rnn_engine {

template <class T>
void run_forward(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_forward_args& args,
                 Interrupt& interrupt);

template <class T>
void run_backward(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_backward_args& args,
                  Interrupt& interrupt);

// Packs the weights of all pseudo-layers at the plan's packed_slots.
template <class T>
void run_pack(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_weights* weights, void* packed);

}  // namespace rnn_engine
