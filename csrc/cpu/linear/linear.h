// A linear layer of several inputs side by side, with its activation and dropout; and dropout by itself.
#pragma once

#include "base/pool.h"
#include "cpu/dtype.h"
#include "cpu/gemm/side_by_side.h"
#include "cpu/kernels/kernels.h"
#include "cpu/workspace.h"
#include "rnn_engine.h"

namespace rnn_engine {

// Rows that backward takes at once, and those whose slopes are summed one after the other for the bias. Fixed: they are
// where sums are cut, on every machine.
inline constexpr std::int64_t kLinearChunk = 1024, kLinearSum = 32;

inline std::int64_t rows_of(const rnn_engine_linear_problem& p) { return p.steps * p.batch; }
inline std::int64_t inputs_of(const rnn_engine_linear_problem& p) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < p.inputs; ++i) sum += p.input_sizes[i];
  return sum;
}
// Whether the gradient of y is not yet that of the product.
inline bool has_epilogue(const rnn_engine_linear_problem& p) {
  return p.activation != RNN_ENGINE_IDENTITY || p.dropout > 0;
}

template <class T>
struct LinearForward {
  T* packed[RNN_ENGINE_MAX_INPUTS];  // [I_i, O] each
  Value<T>* rounded;                 // kBlockSize a thread

  LinearForward(const rnn_engine_linear_problem& p, const Machine& m, Arena& arena) {
    for (std::int64_t i = 0; i < p.inputs; ++i)
      packed[i] = arena.take<T>("packed weight", packed_size(m, p.input_sizes[i], p.outputs));
    rounded = arena.take<Value<T>>("products before rounding", kBlockSize<T> * m.threads);
  }
};

template <class T>
struct LinearBackward {
  std::int64_t chunk;
  T* packed[RNN_ENGINE_MAX_INPUTS];  // [O, I_i] each
  T* slopes;                         // [chunk, O] gradient of the product
  Value<T>* sums;                    // [chunk / kLinearSum, O] of the slopes
  Value<T>* rounded;                 // kBlockSize a thread
  T *pack_a, *pack_b;                // one piece a thread
  std::int64_t pack_a_rows, pack_a_size, pack_b_size;

  LinearBackward(const rnn_engine_linear_problem& p, const Machine& m, Arena& arena) {
    chunk = std::min(kLinearChunk, round_up(std::max<std::int64_t>(rows_of(p), 1), kLinearSum));
    for (std::int64_t i = 0; i < p.inputs; ++i)
      packed[i] = arena.take<T>("packed weight", packed_size(m, p.outputs, p.input_sizes[i]));
    slopes = arena.take<T>("slopes", has_epilogue(p) ? chunk * p.outputs : 0);
    sums = arena.take<Value<T>>("sums for the bias", chunk / kLinearSum * p.outputs);
    rounded = arena.take<Value<T>>("gradients before rounding", kBlockSize<T> * m.threads);
    const std::int64_t depth = std::min(kGradientDepth<T>, chunk);
    pack_a_rows = gradient_rows(p.outputs, m.threads);
    pack_a_size = pack_a_rows * depth;
    pack_b_size = depth * kPanelVectors * m.width;
    pack_a = arena.take<T>("packed slopes", pack_a_size * m.threads);
    pack_b = arena.take<T>("packed inputs", pack_b_size * m.threads);
  }
};

void linear_workspace_bytes(const rnn_engine_linear_problem& problem, const Machine& machine, std::uint64_t& forward,
                            std::uint64_t& backward);

template <class T>
void run_linear(const rnn_engine_linear_problem& problem, const Machine& machine, const Backend& backend, Pool& pool,
                const rnn_engine_linear_args& args, Interrupt& interrupt);
template <class T>
void run_linear_backward(const rnn_engine_linear_problem& problem, const Machine& machine, const Backend& backend,
                         Pool& pool, const rnn_engine_linear_backward_args& args, Interrupt& interrupt);

template <class T>
void run_dropout(const rnn_engine_dropout_problem& problem, const Backend& backend, Pool& pool,
                 const rnn_engine_dropout_args& args, Interrupt& interrupt);

}  // namespace rnn_engine
