// Output layer and label-smoothed cross-entropy with their gradients, some tokens at a time.
#pragma once

#include <cstddef>

#include "cuda/kernels/kernels.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {

// Throws InvalidArgument with what was expected and what came.
void check_loss(const rnn_engine_loss_problem& problem, const DeviceFacts& device);

std::size_t loss_workspace_bytes(const rnn_engine_loss_problem& problem);

// Whether a problem allows TF32, the device's business, is part of `with`. `result`: on the device.
void run_linear_cross_entropy(const rnn_engine_loss_problem& problem, const Multipliers& with,
                              const rnn_engine_loss_args& args, rnn_engine_loss_result* result);

}  // namespace rnn_engine::cuda
