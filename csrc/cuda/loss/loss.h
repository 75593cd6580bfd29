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

// The kernels that it is made of (cuda/loss/softmax.cu).

// The loss of some tokens, and their logits into slopes, the gradients of scale * loss.
template <class T>
struct TokenLoss {
  std::int64_t tokens, classes;
  Value<T>* z;                  // [tokens, V] logits in; slopes out, unless `slopes` is
  T* slopes;                    // [tokens, V] or nullptr
  const std::int64_t* targets;  // [tokens]
  std::int64_t ignore_index;
  Value<T> on, off, scale;  // scale (1 - smoothing), scale smoothing / V
  double smoothing;
  bool gradients;
  rnn_engine_loss_result* found;  // [tokens] of each
};
template <class T>
void token_loss(Stream stream, const TokenLoss<T>& loss);

// result += the sum of `found`, in its order.
void add_losses(Stream stream, const rnn_engine_loss_result* found, std::int64_t tokens,
                rnn_engine_loss_result* result);

// out[V] += the sums of slopes [tokens, V] over the tokens, in their order.
template <class T>
void add_slopes(Stream stream, const T* slopes, std::int64_t tokens, std::int64_t classes, Value<T>* out);

}  // namespace rnn_engine::cuda
