// The C API as a table, so that the linked library and one loaded at run time are called in the same way.
#pragma once

#include <cstdint>

#include "rnn_engine.h"

namespace rnn_engine {

// What rnn_engine_functions points to: the functions of rnn_engine.h under their names without the prefix.
struct Functions {
  std::int32_t version;  // RNN_ENGINE_API_VERSION of the library
  decltype(&rnn_engine_last_error) last_error;
  decltype(&rnn_engine_context_create) context_create;
  decltype(&rnn_engine_cuda_context_create) cuda_context_create;  // null in the CPU's library, as the next two
  decltype(&rnn_engine_cuda_graphs) cuda_graphs;
  decltype(&rnn_engine_cuda_products) cuda_products;
  decltype(&rnn_engine_context_destroy) context_destroy;
  decltype(&rnn_engine_context_isa) context_isa;
  decltype(&rnn_engine_context_set_interrupt) context_set_interrupt;
  decltype(&rnn_engine_plan_create) plan_create;
  decltype(&rnn_engine_plan_destroy) plan_destroy;
  decltype(&rnn_engine_plan_sizes) plan_sizes;
  decltype(&rnn_engine_plan_arrays) plan_arrays;
  decltype(&rnn_engine_plan_weight) plan_weight;
  decltype(&rnn_engine_plan_describe) plan_describe;
  decltype(&rnn_engine_plan_policy) plan_policy;
  decltype(&rnn_engine_plan_buffers) plan_buffers;
  decltype(&rnn_engine_plan_tile) plan_tile;
  decltype(&rnn_engine_forward) forward;
  decltype(&rnn_engine_backward) backward;
  decltype(&rnn_engine_pack) pack;
  decltype(&rnn_engine_calibrate) calibrate;
  decltype(&rnn_engine_loss_workspace) loss_workspace;
  decltype(&rnn_engine_linear_cross_entropy) linear_cross_entropy;
  decltype(&rnn_engine_attention_workspace) attention_workspace;
  decltype(&rnn_engine_attention_forward) attention_forward;
  decltype(&rnn_engine_attention_backward) attention_backward;
  decltype(&rnn_engine_linear_workspace) linear_workspace;
  decltype(&rnn_engine_linear) linear;
  decltype(&rnn_engine_linear_backward) linear_backward;
  decltype(&rnn_engine_dropout) dropout;
  decltype(&rnn_engine_gemm) gemm;
  decltype(&rnn_engine_gemm_workspace) gemm_workspace;
  decltype(&rnn_engine_peak) peak;
};

}  // namespace rnn_engine
