// The loss and its slopes: a block has a token, and goes over its logits.
#include "cells/math.h"
#include "cuda/kernels/vector.h"
#include "cuda/loss/loss.h"

namespace rnn_engine::cuda {
namespace {

constexpr int kThreads = 256;

template <class S>
__device__ inline S power(S x) {
  return exp(One<S>(x)).v;
}

template <class T>
__device__ void put_slope(const TokenLoss<T>& p, std::int64_t place, Value<T> slope) {
  if (p.slopes)
    p.slopes[place] = narrow<T>(slope);
  else
    p.z[place] = slope;
}

// A target that is no class makes the loss NaN: a GPU cannot refuse it.
template <class T>
__global__ void __launch_bounds__(kThreads) token_kernel(TokenLoss<T> p) {
  using S = Value<T>;
  const std::int64_t token = block_x(), row = token * p.classes, target = p.targets[token];
  rnn_engine_loss_result* found = p.found + token;
  const auto for_each_class = [&](const auto& visit) {
    for (std::int64_t v = thread_index(); v < p.classes; v += kThreads) visit(v);
  };
  if (target == p.ignore_index) {
    if (p.gradients) for_each_class([&](std::int64_t v) { put_slope(p, row + v, S(0)); });
    if (thread_index() == 0) *found = rnn_engine_loss_result{0, 0, 0, 0, 0};
    return;
  }
  const bool known = target >= 0 && target < p.classes;
  const S nan = static_cast<S>(__builtin_nan("")), chosen = known ? p.z[row + target] : nan;
  S highest = p.z[row], sum(0);
  int target_is_argmax = 1;  // no class before the target has its logit or more, none after it more
  for_each_class([&](std::int64_t v) {
    const S z = p.z[row + v];
    highest = z > highest ? z : highest;
    sum = sum + z;
    target_is_argmax &= v < target ? z < chosen : z <= chosen;
  });
  highest = over_block<kThreads>(highest, [](S a, S b) { return a > b ? a : b; });
  sum = over_block<kThreads>(sum, [](S a, S b) { return a + b; });
  target_is_argmax = over_block<kThreads>(target_is_argmax, [](int a, int b) { return a & b; });
  S all(0);
  for_each_class([&](std::int64_t v) { all = all + power(p.z[row + v] - highest); });
  all = over_block<kThreads>(all, [](S a, S b) { return a + b; });
  if (thread_index() == 0) {
    const double nll =
        logarithm(static_cast<double>(all)) + (static_cast<double>(highest) - static_cast<double>(chosen));
    const double mean = static_cast<double>(sum) / static_cast<double>(p.classes);
    // Without smoothing the mean must not count: it may be -inf.
    const double loss = p.smoothing > 0 ? nll + p.smoothing * (static_cast<double>(chosen) - mean) : nll;
    *found = rnn_engine_loss_result{loss, nll, target_is_argmax, 1, 0};
  }
  if (!p.gradients) return;
  const S factor = p.scale / all;
  for_each_class([&](std::int64_t v) {
    S slope = power(p.z[row + v] - highest) * factor - p.off;
    if (v == target) slope = slope - p.on;
    put_slope(p, row + v, slope);
  });
}

struct Losses {
  const rnn_engine_loss_result* found;
  std::int64_t tokens;
  rnn_engine_loss_result* result;
};

// One block: each thread sums every kThreads-th token, and the block their sums.
__global__ void __launch_bounds__(kThreads) add_losses_kernel(Losses p) {
  rnn_engine_loss_result own{0, 0, 0, 0, 0};
  for (std::int64_t i = thread_index(); i < p.tokens; i += kThreads) {
    own.loss += p.found[i].loss;
    own.nll += p.found[i].nll;
    own.target_is_argmax += p.found[i].target_is_argmax;
    own.tokens += p.found[i].tokens;
  }
  const auto add = [](auto a, auto b) { return a + b; };
  const double loss = over_block<kThreads>(own.loss, add), nll = over_block<kThreads>(own.nll, add);
  const double target_is_argmax = over_block<kThreads>(static_cast<double>(own.target_is_argmax), add);
  const double tokens = over_block<kThreads>(static_cast<double>(own.tokens), add);
  if (thread_index() != 0) return;
  p.result->loss += loss;
  p.result->nll += nll;
  p.result->target_is_argmax += static_cast<std::int64_t>(target_is_argmax);
  p.result->tokens += static_cast<std::int64_t>(tokens);
}

template <class T>
struct Slopes {
  const T* slopes;
  std::int64_t tokens, classes;
  Value<T>* out;
};

template <class T>
__global__ void __launch_bounds__(kThreads) add_slopes_kernel(Slopes<T> p) {
  const std::int64_t v = block_x() * kThreads + thread_index();
  if (v >= p.classes) return;
  Value<T> sum = p.out[v];
#pragma unroll 8
  for (std::int64_t i = 0; i < p.tokens; ++i) sum = sum + widen(p.slopes[i * p.classes + v]);
  p.out[v] = sum;
}

}  // namespace

template <class T>
void token_loss(Stream stream, const TokenLoss<T>& p) {
  launch<BlockSums>(token_kernel<T>, Grid{p.tokens}, kThreads, stream, p);
}

void add_losses(Stream stream, const rnn_engine_loss_result* found, std::int64_t tokens,
                rnn_engine_loss_result* result) {
  launch<BlockSums>(add_losses_kernel, Grid{1}, kThreads, stream, Losses{found, tokens, result});
}

template <class T>
void add_slopes(Stream stream, const T* slopes, std::int64_t tokens, std::int64_t classes, Value<T>* out) {
  launch<Nothing>(add_slopes_kernel<T>, Grid{(classes + kThreads - 1) / kThreads}, kThreads, stream,
                  Slopes<T>{slopes, tokens, classes, out});
}

template void token_loss<float>(Stream, const TokenLoss<float>&);
template void add_slopes<float>(Stream, const float*, std::int64_t, std::int64_t, Value<float>*);
template void token_loss<double>(Stream, const TokenLoss<double>&);
template void add_slopes<double>(Stream, const double*, std::int64_t, std::int64_t, Value<double>*);
template void token_loss<BFloat16>(Stream, const TokenLoss<BFloat16>&);
template void add_slopes<BFloat16>(Stream, const BFloat16*, std::int64_t, std::int64_t, Value<BFloat16>*);
template void token_loss<Float16>(Stream, const TokenLoss<Float16>&);
template void add_slopes<Float16>(Stream, const Float16*, std::int64_t, std::int64_t, Value<Float16>*);

}  // namespace rnn_engine::cuda
