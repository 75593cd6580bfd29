#include "rnn_engine_functions.h"

// Only librnn_engine_cuda defines these; elsewhere their addresses are null.
#pragma weak rnn_engine_cuda_context_create
#pragma weak rnn_engine_cuda_graphs
#pragma weak rnn_engine_cuda_products

const void* rnn_engine_functions(void) {
  static const rnn_engine::Functions functions = {.version = RNN_ENGINE_API_VERSION,
                                                  .last_error = rnn_engine_last_error,
                                                  .context_create = rnn_engine_context_create,
                                                  .cuda_context_create = rnn_engine_cuda_context_create,
                                                  .cuda_graphs = rnn_engine_cuda_graphs,
                                                  .cuda_products = rnn_engine_cuda_products,
                                                  .context_destroy = rnn_engine_context_destroy,
                                                  .context_isa = rnn_engine_context_isa,
                                                  .context_set_interrupt = rnn_engine_context_set_interrupt,
                                                  .plan_create = rnn_engine_plan_create,
                                                  .plan_destroy = rnn_engine_plan_destroy,
                                                  .plan_sizes = rnn_engine_plan_sizes,
                                                  .plan_arrays = rnn_engine_plan_arrays,
                                                  .plan_weight = rnn_engine_plan_weight,
                                                  .plan_describe = rnn_engine_plan_describe,
                                                  .plan_policy = rnn_engine_plan_policy,
                                                  .plan_buffers = rnn_engine_plan_buffers,
                                                  .plan_tile = rnn_engine_plan_tile,
                                                  .forward = rnn_engine_forward,
                                                  .backward = rnn_engine_backward,
                                                  .pack = rnn_engine_pack,
                                                  .calibrate = rnn_engine_calibrate,
                                                  .loss_workspace = rnn_engine_loss_workspace,
                                                  .linear_cross_entropy = rnn_engine_linear_cross_entropy,
                                                  .attention_workspace = rnn_engine_attention_workspace,
                                                  .attention_forward = rnn_engine_attention_forward,
                                                  .attention_backward = rnn_engine_attention_backward,
                                                  .linear_workspace = rnn_engine_linear_workspace,
                                                  .linear = rnn_engine_linear,
                                                  .linear_backward = rnn_engine_linear_backward,
                                                  .dropout = rnn_engine_dropout,
                                                  .gemm = rnn_engine_gemm,
                                                  .gemm_workspace = rnn_engine_gemm_workspace,
                                                  .peak = rnn_engine_peak};
  return &functions;
}
