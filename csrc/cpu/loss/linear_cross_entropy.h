// Output layer, label-smoothed cross-entropy and their gradients, some tokens at a time.
#pragma once

#include "base/pool.h"
#include "cpu/dtype.h"
#include "cpu/kernels/kernels.h"
#include "cpu/workspace.h"
#include "rnn_engine.h"

namespace rnn_engine {

// Classes whose logits are computed, and made a gradient, while they are in the second cache. Fixed: it is
// where the sums over classes are cut, on every machine.
inline constexpr std::int64_t kClassBlock = 96;

// Checks the problem; tokens may be 0.
void check_loss(const rnn_engine_loss_problem& problem);

inline std::int64_t class_blocks(const rnn_engine_loss_problem& p) {
  return (p.vocabulary + kClassBlock - 1) / kClassBlock;
}

// Tokens taken at once: a function of the problem alone. For each such chunk the weight's gradient is read
// and written, which weighs twice as much beside bfloat16's products.
inline std::int64_t loss_chunk(const rnn_engine_loss_problem& p) {
  constexpr std::int64_t kGrain = 16, kBytes = 36 << 20;
  const std::int64_t most = p.dtype == RNN_ENGINE_BFLOAT16 ? 512 : 256;
  const std::int64_t size = static_cast<std::int64_t>(bytes_of_sum(p.dtype));
  const std::int64_t fitting = p.gradients ? kBytes / (size * p.vocabulary) / kGrain * kGrain : most;
  return std::min(std::clamp(fitting, kGrain, most), round_up(std::max<std::int64_t>(p.tokens, 1), kGrain));
}

// hidden, weight and d_hidden are of the type T that is stored, all else of what is computed with.
template <class T>
struct LossWorkspace {
  using S = Value<T>;
  std::int64_t chunk, blocks;
  std::int64_t* cursor;            // [2] next token, tokens in this chunk
  std::int64_t* row;               // [chunk] the caller's row of each token
  std::int64_t* target;            // [chunk]
  std::int64_t* target_is_argmax;  // [chunk] 1: no class before it has the target's logit or more, none after it more
  S* chosen;                       // [chunk] the target's logit
  S* highest;                      // [chunk]
  S* all;                          // [chunk]
  S *top, *total, *sum;            // [blocks, chunk]
  S* apart;                        // [blocks, chunk] and the next three: of tokens in two passes alone
  double* mean_apart;              // [chunk] mean over the softmax of how far a logit is above the other pass's
  S *lift, *factor;                // [chunk] what the slopes take
  S* d_x;                          // [chunk, E] gradient of the tokens' hidden vectors
  T* x;                            // [chunk, E] the tokens' hidden vectors, until they are packed; where d_x will be
  T* x_transposed;                 // packed [E, chunk]
  T* x_packed;                     // packed [chunk, E]
  S* row_sums;                     // one block a thread
  S* z;                            // [V, chunk] logits, then slopes; without gradients one block a thread
  T* rounded;                      // [kClassBlock, chunk] one block of slopes a thread, where they are rounded
  T *pack_a, *pack_b;              // one piece a thread
  std::int64_t pack_a_rows, pack_a_size, pack_b_size;

  LossWorkspace(const rnn_engine_loss_problem& p, const Machine& m, Arena& arena) {
    chunk = loss_chunk(p);
    blocks = class_blocks(p);
    const bool d_hidden = p.gradients & RNN_ENGINE_LOSS_HIDDEN, d_weight = p.gradients & RNN_ENGINE_LOSS_WEIGHT;
    cursor = arena.take<std::int64_t>("next token", 2);
    row = arena.take<std::int64_t>("rows of the chunk's tokens", chunk);
    target = arena.take<std::int64_t>("targets", chunk);
    target_is_argmax = arena.take<std::int64_t>("hits", chunk);
    chosen = arena.take<S>("logit of the target", chunk);
    highest = arena.take<S>("highest logit", chunk);
    all = arena.take<S>("sum of powers", chunk);
    top = arena.take<S>("highest logit of each block", blocks * chunk);
    total = arena.take<S>("sum of powers of each block", blocks * chunk);
    sum = arena.take<S>("sum of logits of each block", blocks * chunk);
    const bool pairs = p.divergence > 0;
    apart = arena.take<S>("how far the passes are apart in each block", pairs ? blocks * chunk : 0);
    mean_apart = arena.take<double>("how far the passes are apart", pairs ? chunk : 0);
    lift = arena.take<S>("lift of the slopes", pairs ? chunk : 0);
    factor = arena.take<S>("factor of the slopes", pairs ? chunk : 0);
    d_x = arena.take<S>("hidden vectors, then their gradient", chunk * p.features);
    x = reinterpret_cast<T*>(d_x);
    x_transposed = arena.take<T>("hidden vectors, packed for logits", packed_size(m, p.features, chunk));
    x_packed = arena.take<T>("hidden vectors, packed for the weight's gradient",
                             d_weight ? packed_size(m, chunk, p.features) : 0);
    row_sums = arena.take<S>("sums for the bias", kClassBlock * m.threads);
    z = arena.take<S>("logits", chunk * (p.gradients ? p.vocabulary : kClassBlock * m.threads));
    const bool rounds = kRounds<T> && (d_hidden || d_weight);
    rounded = arena.take<T>("rounded slopes", rounds ? kClassBlock * chunk * m.threads : 0);
    pack_a_rows = gradient_rows(chunk, m.threads);
    pack_a_size = pack_a_rows * kGradientDepth<T>;
    pack_b_size = kGradientDepth<T> * kPanelVectors * m.width;
    pack_a = arena.take<T>("packed slopes", d_hidden ? pack_a_size * m.threads : 0);
    pack_b = arena.take<T>("packed weight", d_hidden ? pack_b_size * m.threads : 0);
  }
};

std::size_t loss_workspace_bytes(const rnn_engine_loss_problem& problem, const Machine& machine);

template <class T>
void run_linear_cross_entropy(const rnn_engine_loss_problem& problem, const Machine& machine, const Backend& backend,
                              Pool& pool, const rnn_engine_loss_args& args, rnn_engine_loss_result& result,
                              Interrupt& interrupt);

}  // namespace rnn_engine
