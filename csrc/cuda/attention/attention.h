// Attention of all target steps over all source states, and its gradients. docs/engine.md has the equations.
//
// Some sentences are taken at a time, or some target steps of one, so that their weights stay within a bound: workspace
// does not grow as T x S, and nothing of that size is kept. Products of all their heads are one kernel. Operations and
// their order are the CPU's, and so are the bits in float32 (without TF32) and float64; of 16-bit types products take
// weights, and gradients of scores, rounded.
#pragma once

#include <cstdint>

#include "cuda/gemm/item_products.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {

// `gradients`: those of a backward call; 0: of forward.
std::uint64_t attention_workspace_bytes(const rnn_engine_attention_problem& problem, int gradients);

// Whether a problem allows TF32, the device's business, is part of `with`.
void run_attention_forward(const rnn_engine_attention_problem& problem, const Multipliers& with,
                           const rnn_engine_attention_forward_args& args);
void run_attention_backward(const rnn_engine_attention_problem& problem, const Multipliers& with,
                            const rnn_engine_attention_backward_args& args);

// The kernels that they are made of beside products: cuda/attention/weights.cu, additive.cu.

// Rows of a slice's scores become weights; both lie [count, heads, rows, row].
template <class T>
struct Weigh {
  using S = Value<T>;
  Slice slice;
  std::int64_t row;  // values between rows of scores
  S scale;
  S* scores;      // in; without rounding also the weights that dropout left
  T* weights;     // these of rounded types
  S* logarithms;  // [T, B, heads]; nullptr: not wanted
  S* mean;        // [T, B, S]; nullptr: not wanted
  bool drops;
  PhiloxKey key;
  MaskSite site;                // of head 0
  std::int64_t mask_step;       // of target step 0
  const std::int64_t* row_ids;  // nullptr: 0 to B - 1
  S kept_scale;
};
template <class T>
void weigh(Stream stream, const Weigh<T>& weigh);

// The same again from the logarithms, and gradients of weights into those of scores.
template <class T>
struct WeighBackward {
  Weigh<T> again;              // its logarithms and mean are not used
  const Value<T>* logarithms;  // [T, B, heads]
  Value<T>* d_weights;         // in; also the gradients of scores, unless they are rounded; nullptr: not wanted
  T* d_scores;                 // these of rounded types, for products
};
template <class T>
void weigh_backward(Stream stream, const WeighBackward<T>& weigh);

// The additive form: scores of a slice, and from gradients of scores those of what they were made of.
template <class T>
struct Additive {
  using S = Value<T>;
  Slice slice;
  std::int64_t row, size;   // A / heads
  const T *queries, *keys;  // [T, B, A], [S, B, A]
  const S* vector;          // [A]
  S* scores;                // forward
  const S* d_scores;        // backward, as the rest; each gradient may be nullptr: not wanted
  T* d_queries;             // [T, B, A]
  T* d_keys;                // [S, B, A]
  S* waiting;               // [count, S, A] sums for d_keys of rounded types, where a sentence's steps are cut
  S* d_vectors;             // [B, A] of each sentence
  bool goes_on, ends;       // with steps of the same sentences before and after
};
template <class T>
void score_additive(Stream stream, const Additive<T>& additive);
template <class T>
void additive_backward(Stream stream, const Additive<T>& additive);

// out[size] += rows of [count, size], one after the other.
template <class S>
struct VectorSum {
  std::int64_t count, size;
  const S* rows;
  S* out;
};
template <class S>
void add_vectors(Stream stream, const VectorSum<S>& sum);

}  // namespace rnn_engine::cuda
