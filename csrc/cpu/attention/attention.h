// Attention of all target steps over all source states, and its gradients. docs/engine.md has the equations.
//
// A thread takes a sentence's head by itself, the longest first, and of its queries a block at a time: their weights
// over the whole source lie in the thread's workspace. Nothing of T x S is kept: backward makes the weights again.
//
// Bit rules: products are chains (cpu/kernels/kernels.h), over queries through all blocks; sums over a source run over
// 16 lanes. So no bit depends on blocks, threads, other sentences, or how far a batch is padded.
//
// Of bfloat16 scores, softmax and sums are float32; products take weights and their gradients rounded.
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

// Queries whose weights are in the workspace at once.
inline constexpr std::int64_t kQueryBlock = 96;

inline std::int64_t query_block(const rnn_engine_attention_problem& p) {
  const std::int64_t steps = std::max<std::int64_t>(p.steps, 1), blocks = (steps + kQueryBlock - 1) / kQueryBlock;
  return round_up((steps + blocks - 1) / blocks, 2);  // products over queries take pairs
}

// Sizes of one head, and what follows from them.
struct HeadShape {
  std::int64_t keys, values;  // A / heads, C / heads
  std::int64_t queries;       // of a block
  std::int64_t row;           // values between rows of weights

  explicit HeadShape(const rnn_engine_attention_problem& p)
      : keys(p.key_size / p.heads),
        values(p.value_size / p.heads),
        queries(query_block(p)),
        row(round_up(p.source_steps, kMaxWidth)) {}
};

template <class T>
struct AttentionForwardWorkspace {
  using S = Value<T>;
  std::int64_t* order = nullptr;  // [B] sentences, the longest first; shared by all threads
  // Each thread's own.
  T* keys = nullptr;     // packed [A, S]
  T* values = nullptr;   // packed [S, C]
  S* weights = nullptr;  // [queries, row]
  T* rounded = nullptr;  // the same as products take it, unless that is the same type

  AttentionForwardWorkspace(const rnn_engine_attention_problem& p, const Machine& m, std::int64_t thread,
                            Arena& arena) {
    const HeadShape head(p);
    order = arena.take<std::int64_t>("sentences by length", p.batch);
    for (std::int64_t i = 0; i < m.threads; ++i) {
      AttentionForwardWorkspace own(*this);
      own.keys = arena.take<T>("packed keys", packed_size(m, head.keys, p.source_steps));
      own.values = arena.take<T>("packed values", packed_size(m, p.source_steps, head.values));
      own.weights = arena.take<S>("weights", head.queries * head.row);
      own.rounded = arena.take<T>("rounded weights", kRounds<T> ? head.queries * head.row : 0);
      if (i == thread) *this = own;
    }
  }
};

template <class T>
struct AttentionBackwardWorkspace {
  using S = Value<T>;
  std::int64_t* order = nullptr;  // as in forward
  // Each thread's own.
  T* keys_transposed = nullptr;                // packed [A, S], for scores
  T* values_transposed = nullptr;              // packed [C, S], for the weights' gradients
  T* keys = nullptr;                           // packed [S, A], for the queries' gradient
  T* queries = nullptr;                        // packed [queries, A], for the keys' gradient
  T* d_context = nullptr;                      // packed [queries, C], for the values' gradient
  S* weights = nullptr;                        // [queries, row] scores, then weights
  S* d_weights = nullptr;                      // [queries, row] gradients of weights, then of scores
  S* kept = nullptr;                           // [row] what dropout multiplies a row by
  T *rounded = nullptr, *d_rounded = nullptr;  // the last two as products take them, unless that is the same type
  T* packed_rows = nullptr;  // of the last two in turn, blocks of rows of their transpose; where products take pairs
  S *d_keys = nullptr,
    *d_values = nullptr;  // [S, A], [S, C] sums over blocks of queries, unless the gradients are of the same type

  AttentionBackwardWorkspace(const rnn_engine_attention_problem& p, int gradients, const Machine& m,
                             std::int64_t thread, Arena& arena) {
    const HeadShape head(p);
    const bool for_queries = gradients & RNN_ENGINE_ATTENTION_QUERIES, for_keys = gradients & RNN_ENGINE_ATTENTION_KEYS;
    const bool for_values = gradients & RNN_ENGINE_ATTENTION_VALUES, for_scores = for_queries || for_keys;
    const bool adds = kRounds<T> && p.steps > head.queries;
    const std::int64_t length = p.source_steps, rows = head.queries * head.row, rounded_rows = kRounds<T> ? rows : 0;
    order = arena.take<std::int64_t>("sentences by length", p.batch);
    for (std::int64_t i = 0; i < m.threads; ++i) {
      AttentionBackwardWorkspace own(*this);
      own.keys_transposed = arena.take<T>("keys, packed for scores", packed_size(m, head.keys, length));
      own.values_transposed = arena.take<T>("values, packed for gradients of weights",
                                            for_scores ? packed_size(m, head.values, length) : 0);
      own.keys =
          arena.take<T>("keys, packed for the queries' gradient", for_queries ? packed_size(m, length, head.keys) : 0);
      own.queries = arena.take<T>("packed queries", for_keys ? packed_size(m, head.queries, head.keys) : 0);
      own.d_context = arena.take<T>("packed d_context", for_values ? packed_size(m, head.queries, head.values) : 0);
      own.weights = arena.take<S>("weights", rows);
      own.d_weights = arena.take<S>("gradients of weights", for_scores ? rows : 0);
      own.kept = arena.take<S>("dropout of a row", p.dropout > 0 ? head.row : 0);
      own.rounded = arena.take<T>("rounded weights", for_values ? rounded_rows : 0);
      own.d_rounded = arena.take<T>("rounded gradients of scores", for_scores ? rounded_rows : 0);
      own.packed_rows = arena.take<T>(
          "packed rows", kRounds<T> && (for_keys || for_values)
                             ? round_up(head.queries, kInterleave<T>) * round_up(length, std::int64_t{kRowBlock})
                             : 0);
      own.d_keys = arena.take<S>("sums for keys", adds && for_keys ? length * head.keys : 0);
      own.d_values = arena.take<S>("sums for values", adds && for_values ? length * head.values : 0);
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
