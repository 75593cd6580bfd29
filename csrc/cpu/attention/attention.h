// Attention of all target steps over all source states, and its gradients. docs/engine.md has the equations.
//
// A thread takes a sentence's head by itself, the longest first, and of its queries a block at a time: their weights
// over the whole source lie in the thread's workspace. Nothing of T x S is kept: backward makes the weights again.
//
// Rows of a sentence lie B rows apart, which caches take badly: they are gathered once. Rows of bfloat16 are widened
// then: all that is computed is of one type, and rounded once, at the end. On most processors products of pairs of
// halves are hardly faster, and memory moves half as much either way. A matrix unit multiplies halves many times as
// fast: there products take them as they are, and weights and gradients of scores are rounded for them.
//
// Bit rules: products are chains (cpu/kernels/kernels.h), over queries through all blocks; sums over a source run over
// 16 lanes. So no bit depends on blocks, threads, other sentences, or how far a batch is padded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "base/arena.h"
#include "base/pool.h"
#include "cpu/dtype.h"
#include "cpu/kernels/kernels.h"
#include "cpu/workspace.h"
#include "rnn_engine.h"

namespace rnn_engine {

// Sizes of one head, and what follows from them.
struct HeadShape {
  std::int64_t keys, values;        // A / heads, C / heads
  std::int64_t key_row, value_row;  // values between gathered rows: no power of two, which caches take badly
  std::int64_t row;                 // values between rows of weights
  std::int64_t queries;             // of a block: their weights stay in the second cache, but for long sources

  explicit HeadShape(const rnn_engine_attention_problem& p)
      : keys(p.key_size / p.heads),
        values(p.value_size / p.heads),
        key_row(round_up(keys, std::int64_t{kMaxWidth}) + kMaxWidth),
        value_row(round_up(values, std::int64_t{kMaxWidth}) + kMaxWidth),
        row(round_up(p.source_steps, std::int64_t{kLargestGroup})) {
    constexpr std::int64_t kLeast = 48, kMost = 256, kWeights = 64 << 10;
    const std::int64_t most = std::clamp(kWeights / row, kLeast, kMost), steps = std::max<std::int64_t>(p.steps, 1);
    const std::int64_t blocks = (steps + most - 1) / most;
    queries = std::min(steps, round_up((steps + blocks - 1) / blocks, std::int64_t{kLargestGroup}));
  }
};

// Whether products of a sentence may take halves as they are. Those with fewer rows than a tile has are faster widened.
inline constexpr std::int64_t kTiledSteps = 16;
inline bool fills_tiles(std::int64_t steps, std::int64_t length) {
  return steps >= kTiledSteps && length >= kTiledSteps;
}
inline bool multiplies_halves(const rnn_engine_attention_problem& p, const Machine& m) {
  return p.dtype == RNN_ENGINE_BFLOAT16 && p.form == RNN_ENGINE_DOT && m.k_group > kInterleave<BFloat16> &&
         fills_tiles(p.steps, p.source_steps);
}

// k of a product that is filled up with zeros to whole groups: a last group by itself costs more than it has values.
template <class O>
std::int64_t filled_depth(std::int64_t k) {
  return kRounds<O> ? round_up(k, std::int64_t{kLargestGroup}) : k;
}
// Values of a right-hand side [k, n], in panels.
template <class O>
std::int64_t panels_size(const Machine& m, std::int64_t k, std::int64_t n) {
  return round_up(k, std::int64_t{kInterleave<O>}) * round_up(n, m.width);
}

// Of values T and what products are made of, O: T or its sums, S. What is not shared is each thread's own. Gathered
// rows lie key_row or value_row apart.
template <class T, class O>
struct AttentionForwardWorkspace {
  using S = Value<T>;
  std::int64_t* order = nullptr;  // [B] sentences, the longest first; shared
  O* keys = nullptr;     // [S, A] gathered rows, as the next two; of these where they are not packed as they lie
  O* values = nullptr;   // [S, C]
  O* queries = nullptr;  // [queries, A]
  O* packed = nullptr;   // dot: keys, packed [A, S]
  O* panel = nullptr;    // [S, panel] some columns of values
  S* weights = nullptr;  // [queries, row]
  O* rounded = nullptr;  // [queries, row] weights, where O rounds
  O* context = nullptr;  // [queries, C] until it is handed over

  AttentionForwardWorkspace(const rnn_engine_attention_problem& p, const Machine& m, std::int64_t thread,
                            Arena& arena) {
    constexpr bool kWidens = !std::is_same_v<T, O>;
    const HeadShape head(p);
    const bool dot = p.form == RNN_ENGINE_DOT;
    const std::int64_t length = p.source_steps;
    order = arena.take<std::int64_t>("sentences by length", p.batch);
    for (std::int64_t i = 0; i < m.threads; ++i) {
      AttentionForwardWorkspace own(*this);
      own.keys = arena.take<O>("keys", kWidens || !dot ? length * head.key_row : 0);
      own.values = arena.take<O>("values", length * head.value_row);
      own.queries = arena.take<O>("queries", head.queries * head.key_row);
      own.packed = arena.take<O>("packed keys", dot ? panels_size<O>(m, head.keys, length) : 0);
      own.panel = arena.take<O>("panel", panels_size<O>(m, filled_depth<O>(length), kPanelVectors * m.width));
      own.weights = arena.take<S>("weights", head.queries * head.row);
      own.rounded = arena.take<O>("rounded weights", kRounds<O> ? head.queries * head.row : 0);
      own.context = arena.take<O>("context", head.queries * head.value_row);
      if (i == thread) *this = own;
    }
  }
};

template <class T, class O>
struct AttentionBackwardWorkspace {
  using S = Value<T>;
  std::int64_t* order = nullptr;             // as in forward
  S* d_vectors = nullptr;                    // additive: [B, A] each sentence's part; shared
  O *keys = nullptr, *values = nullptr;      // [S, A], [S, C] gathered rows, as the next two
  O* queries = nullptr;                      // [queries, A]
  O* d_context = nullptr;                    // [queries, C]
  O* packed = nullptr;                       // packed [A, S] or [C, S]
  O* panel = nullptr;                        // [S or queries, panel] some columns of gathered rows
  S* weights = nullptr;                      // [queries, row] scores, then weights
  S* d_weights = nullptr;                    // [queries, row] gradients of weights, then of scores
  O* rounded = nullptr;                      // [queries, row] either of the two, where O rounds
  O* turned = nullptr;                       // [S, queries] its transpose
  S* kept = nullptr;                         // [row] what dropout multiplies a row by
  O* d_queries = nullptr;                    // [queries, A] until they are handed over
  O* result = nullptr;                       // [S, A] or [S, C] gradients of keys or values, likewise
  S *d_keys = nullptr, *d_values = nullptr;  // the same: sums over blocks of queries so far, of several

  AttentionBackwardWorkspace(const rnn_engine_attention_problem& p, int gradients, const Machine& m,
                             std::int64_t thread, Arena& arena) {
    constexpr bool kWidens = !std::is_same_v<T, O>;
    const HeadShape head(p);
    const bool for_scores = gradients & ~RNN_ENGINE_ATTENTION_VALUES, dot = p.form == RNN_ENGINE_DOT;
    const auto wanted = [&](int gradient, std::int64_t count) { return gradients & gradient ? count : 0; };
    const std::int64_t d_key_row = wanted(RNN_ENGINE_ATTENTION_KEYS, head.key_row);
    const std::int64_t d_value_row = wanted(RNN_ENGINE_ATTENTION_VALUES, head.value_row);
    const std::int64_t length = p.source_steps, sums = p.steps > head.queries ? length : 0;
    const std::int64_t depth = filled_depth<O>(std::max(length, head.queries));
    const std::int64_t packed_width = std::max(dot ? head.keys : 0, for_scores ? head.values : 0);
    order = arena.take<std::int64_t>("sentences by length", p.batch);
    d_vectors = arena.take<S>("d_vector of each", gradients & RNN_ENGINE_ATTENTION_VECTOR ? p.batch * p.key_size : 0);
    for (std::int64_t i = 0; i < m.threads; ++i) {
      AttentionBackwardWorkspace own(*this);
      own.keys = arena.take<O>("keys", length * head.key_row);
      own.values = arena.take<O>("values", kWidens && for_scores ? length * head.value_row : 0);
      own.queries = arena.take<O>("queries", head.queries * head.key_row);
      own.d_context = arena.take<O>("d_context", head.queries * head.value_row);
      own.packed = arena.take<O>("packed rows", panels_size<O>(m, packed_width, length));
      own.panel = arena.take<O>("panel", panels_size<O>(m, depth, kPanelVectors * m.width));
      own.weights = arena.take<S>("weights", head.queries * head.row);
      own.d_weights = arena.take<S>("gradients of weights", for_scores ? head.queries * head.row : 0);
      own.rounded = arena.take<O>("rounded weights", kRounds<O> ? head.queries * head.row : 0);
      own.turned =
          arena.take<O>("transposed weights",
                        kRounds<O> ? round_up(length, std::int64_t{kRowBlock}) * filled_depth<O>(head.queries) : 0);
      own.kept = arena.take<S>("dropout of a row", p.dropout > 0 ? head.row : 0);
      own.d_queries = arena.take<O>("d_queries", wanted(RNN_ENGINE_ATTENTION_QUERIES, head.queries * head.key_row));
      own.result = arena.take<O>("result", length * std::max(d_key_row, d_value_row));
      own.d_keys = arena.take<S>("d_keys", sums * d_key_row);
      own.d_values = arena.take<S>("d_values", sums * d_value_row);
      if (i == thread) *this = own;
    }
  }
};

// `gradients`: those of a backward call; 0: of forward.
std::size_t attention_workspace_bytes(const rnn_engine_attention_problem& problem, int gradients,
                                      const Machine& machine);

template <class T>
void run_attention_forward(const rnn_engine_attention_problem& problem, const Machine& machine, const Backend& backend,
                           Pool& pool, const rnn_engine_attention_forward_args& args, Interrupt& interrupt);
template <class T>
void run_attention_backward(const rnn_engine_attention_problem& problem, const Machine& machine, const Backend& backend,
                            Pool& pool, const rnn_engine_attention_backward_args& args, Interrupt& interrupt);

}  // namespace rnn_engine
