// Attention of all target steps over all source states, and its gradients. docs/engine.md has the equations.
//
// A thread takes a sentence's head by itself, the longest first, and of its queries a block at a time: their weights
// over the whole source lie in the thread's workspace. Nothing of T x S is kept: backward makes the weights again.
//
// Rows of a sentence lie B rows apart, which caches take badly: they are gathered once, and widened where they are
// bfloat16. All that is computed is then of one type, and halves are rounded once, at the end: on some processors
// products of pairs of them are no faster, and memory moves half as much either way.
//
// Bit rules: products are chains (cpu/kernels/kernels.h), over queries through all blocks; sums over a source run over
// 16 lanes. So no bit depends on blocks, threads, other sentences, or how far a batch is padded.
#pragma once

#include <algorithm>
#include <cstdint>

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
        row(round_up(p.source_steps, std::int64_t{kMaxWidth})) {
    constexpr std::int64_t kLeast = 48, kMost = 256, kWeights = 64 << 10;
    const std::int64_t most = std::clamp(kWeights / row, kLeast, kMost), steps = std::max<std::int64_t>(p.steps, 1);
    const std::int64_t blocks = (steps + most - 1) / most;
    queries = (steps + blocks - 1) / blocks;
  }
};

// S: what is computed with. What is not shared is each thread's own. Gathered rows lie key_row or value_row apart.
template <class S>
struct AttentionForwardWorkspace {
  std::int64_t* order = nullptr;  // [B] sentences, the longest first; shared
  S* keys = nullptr;     // [S, A] gathered rows, as the next two; of these where they are not packed as they lie
  S* values = nullptr;   // [S, C]
  S* queries = nullptr;  // [queries, A]
  S* packed = nullptr;   // dot: keys, packed [A, S]
  S* panel = nullptr;    // [S, panel] some columns of values
  S* weights = nullptr;  // [queries, row]
  S* context = nullptr;  // [queries, C] where it is to be rounded

  AttentionForwardWorkspace(const rnn_engine_attention_problem& p, const Machine& m, std::int64_t thread,
                            Arena& arena) {
    const HeadShape head(p);
    const bool rounds = p.dtype == RNN_ENGINE_BFLOAT16, dot = p.form == RNN_ENGINE_DOT;
    const std::int64_t length = p.source_steps;
    order = arena.take<std::int64_t>("sentences by length", p.batch);
    for (std::int64_t i = 0; i < m.threads; ++i) {
      AttentionForwardWorkspace own(*this);
      own.keys = arena.take<S>("keys", rounds || !dot ? length * head.key_row : 0);
      own.values = arena.take<S>("values", length * head.value_row);
      own.queries = arena.take<S>("queries", head.queries * head.key_row);
      own.packed = arena.take<S>("packed keys", dot ? packed_size(m, head.keys, length) : 0);
      own.panel = arena.take<S>("panel", kPanelVectors * m.width * length);
      own.weights = arena.take<S>("weights", head.queries * head.row);
      own.context = arena.take<S>("context", rounds ? head.queries * head.values : 0);
      if (i == thread) *this = own;
    }
  }
};

template <class S>
struct AttentionBackwardWorkspace {
  std::int64_t* order = nullptr;             // as in forward
  S* d_vectors = nullptr;                    // additive: [B, A] each sentence's part; shared
  S *keys = nullptr, *values = nullptr;      // [S, A], [S, C] gathered rows, as the next two
  S* queries = nullptr;                      // [queries, A]
  S* d_context = nullptr;                    // [queries, C]
  S* packed = nullptr;                       // packed [A, S] or [C, S]
  S* panel = nullptr;                        // [S or queries, panel] some columns of gathered rows
  S* weights = nullptr;                      // [queries, row] scores, then weights
  S* d_weights = nullptr;                    // [queries, row] gradients of weights, then of scores
  S* kept = nullptr;                         // [row] what dropout multiplies a row by
  S* d_queries = nullptr;                    // [queries, A] gradients that are to be rounded, as the next two
  S *d_keys = nullptr, *d_values = nullptr;  // [S, A], [S, C]

  AttentionBackwardWorkspace(const rnn_engine_attention_problem& p, int gradients, const Machine& m,
                             std::int64_t thread, Arena& arena) {
    const HeadShape head(p);
    const bool for_scores = gradients & ~RNN_ENGINE_ATTENTION_VALUES;
    const bool rounds = p.dtype == RNN_ENGINE_BFLOAT16, dot = p.form == RNN_ENGINE_DOT;
    const auto rounded = [&](int gradient, std::int64_t count) { return rounds && (gradients & gradient) ? count : 0; };
    const std::int64_t length = p.source_steps;
    const std::int64_t packed_width = std::max(dot ? head.keys : 0, for_scores ? head.values : 0);
    order = arena.take<std::int64_t>("sentences by length", p.batch);
    d_vectors = arena.take<S>("d_vector of each", gradients & RNN_ENGINE_ATTENTION_VECTOR ? p.batch * p.key_size : 0);
    for (std::int64_t i = 0; i < m.threads; ++i) {
      AttentionBackwardWorkspace own(*this);
      own.keys = arena.take<S>("keys", length * head.key_row);
      own.values = arena.take<S>("values", rounds && for_scores ? length * head.value_row : 0);
      own.queries = arena.take<S>("queries", head.queries * head.key_row);
      own.d_context = arena.take<S>("d_context", head.queries * head.value_row);
      own.packed = arena.take<S>("packed rows", packed_size(m, packed_width, length));
      own.panel = arena.take<S>("panel", kPanelVectors * m.width * std::max(length, head.queries));
      own.weights = arena.take<S>("weights", head.queries * head.row);
      own.d_weights = arena.take<S>("gradients of weights", for_scores ? head.queries * head.row : 0);
      own.kept = arena.take<S>("dropout of a row", p.dropout > 0 ? head.row : 0);
      own.d_queries = arena.take<S>("d_queries", rounded(RNN_ENGINE_ATTENTION_QUERIES, head.queries * head.keys));
      own.d_keys = arena.take<S>("d_keys", rounded(RNN_ENGINE_ATTENTION_KEYS, length * head.keys));
      own.d_values = arena.take<S>("d_values", rounded(RNN_ENGINE_ATTENTION_VALUES, length * head.values));
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
