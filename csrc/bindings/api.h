// The C API as a table, so that the linked library and one loaded at run time are called in the same way.
#pragma once

#include <stdexcept>
#include <string>

#include "rnn_engine.h"

// The device's failure, not the caller's mistake.
struct EngineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The functions of rnn_engine.h under their names without the prefix.
struct Api {
  decltype(&rnn_engine_last_error) last_error;
  decltype(&rnn_engine_context_create) context_create;
  decltype(&rnn_engine_cuda_context_create) cuda_context_create;  // null in the linked library
  decltype(&rnn_engine_cuda_graphs) cuda_graphs;                  // the same
  decltype(&rnn_engine_cuda_products) cuda_products;              // the same
  decltype(&rnn_engine_context_destroy) context_destroy;
  decltype(&rnn_engine_context_isa) context_isa;
  decltype(&rnn_engine_gates) gates;
  decltype(&rnn_engine_vector_width) vector_width;
  decltype(&rnn_engine_plan_create) plan_create;
  decltype(&rnn_engine_plan_destroy) plan_destroy;
  decltype(&rnn_engine_plan_sizes) plan_sizes;
  decltype(&rnn_engine_plan_describe) plan_describe;
  decltype(&rnn_engine_plan_policy) plan_policy;
  decltype(&rnn_engine_plan_buffers) plan_buffers;
  decltype(&rnn_engine_plan_tile) plan_tile;
  decltype(&rnn_engine_forward) forward;
  decltype(&rnn_engine_backward) backward;
  decltype(&rnn_engine_packed_bytes) packed_bytes;
  decltype(&rnn_engine_pack) pack;
  decltype(&rnn_engine_calibrate) calibrate;
  decltype(&rnn_engine_loss_workspace) loss_workspace;
  decltype(&rnn_engine_linear_cross_entropy) linear_cross_entropy;
  decltype(&rnn_engine_gemm) gemm;
  decltype(&rnn_engine_gemm_workspace) gemm_workspace;
  decltype(&rnn_engine_peak) peak;

  // Throws nb::value_error or EngineError with the library's message, unless the code says that all is well.
  void check(int code) const;
};

// The CPU's library, which this extension is linked with.
const Api& linked_api();

// The library in a file. Once loaded it stays to the end of the process: a driver's threads may be in it.
// Throws EngineError if it cannot be loaded or lacks a function.
const Api& loaded_api(const std::string& path);
