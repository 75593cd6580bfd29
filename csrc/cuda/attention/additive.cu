// The additive form: scores v . tanh(q + k), and the gradients of all three, for which tanh is computed again. The
// CPU's chains (cpu/kernels/weights.h).
#include "cells/math.h"
#include "cuda/attention/attention.h"
#include "cuda/gemm/slices.cuh"
#include "cuda/kernels/vector.h"

namespace rnn_engine::cuda {
namespace {

constexpr int kThreads = 128, kPairs = kThreads / kLanes;

template <class T>
__device__ inline Value<T> hidden(T query, T key) {
  using V = One<Value<T>>;
  return tanh(V(widen(query)) + V(widen(key))).v;
}

// A head of a sentence of the slice.
template <class T>
struct AdditiveItem {
  std::int64_t slot, head, b;
  std::int64_t width, column;  // of all heads; of a row of the arrays, the first of this head
  __device__ AdditiveItem(const Additive<T>& p, std::int64_t index)
      : slot(index / p.slice.heads),
        head(index % p.slice.heads),
        b(p.slice.first + slot),
        width(p.size * p.slice.heads),
        column(head * p.size) {}

  // Of step `step` of [steps, B, A].
  __device__ std::int64_t place(const Additive<T>& p, std::int64_t step) const {
    return (step * p.slice.batch + b) * width + column;
  }
  // Of a row of weights.
  __device__ std::int64_t weights(const Additive<T>& p, std::int64_t row) const {
    return ((slot * p.slice.heads + head) * p.slice.rows + row) * p.row;
  }
};

// kLanes threads have a score.
template <class T>
__global__ void __launch_bounds__(kThreads) score_kernel(Additive<T> p) {
  using S = Value<T>;
  const int lane = thread_index() % kLanes;
  const std::int64_t pair = block_x() * kPairs + thread_index() / kLanes, row = pair / p.slice.source_steps,
                     s = pair % p.slice.source_steps;
  const AdditiveItem<T> item(p, block_y());
  const bool inside = row < target_rows(p.slice, item.b) && s < source_length(p.slice, item.b);
  S sum(0);
  if (inside) {
    const T* query = p.queries + item.place(p, p.slice.first_step + row);
    const T* key = p.keys + item.place(p, s);
    for (std::int64_t j = lane; j < p.size; j += kLanes)
      sum = multiply_add(p.vector[item.column + j], hidden(query[j], key[j]), sum);
  }
  sum = over_lanes<kLanes>(sum, [](S a, S b) { return a + b; });
  if (inside && lane == 0) p.scores[item.weights(p, row) + s] = sum;
}

// A block's y is a head of a sentence, its x a step and some columns. Calls visit(step, column of the head).
template <class T, class Visit>
__device__ inline void for_my_value(const Additive<T>& p, const Visit& visit) {
  const std::int64_t pieces = (p.size + kThreads - 1) / kThreads;
  const std::int64_t column = block_x() % pieces * kThreads + thread_index();
  if (column < p.size) visit(block_x() / pieces, column);
}

template <class T>
__global__ void __launch_bounds__(kThreads) queries_kernel(Additive<T> p) {
  using S = Value<T>;
  const AdditiveItem<T> item(p, block_y());
  for_my_value(p, [&](std::int64_t row, std::int64_t j) {
    if (row >= target_rows(p.slice, item.b)) return;
    const std::int64_t at = item.place(p, p.slice.first_step + row) + j, length = source_length(p.slice, item.b);
    const S* d_scores = p.d_scores + item.weights(p, row);
    const S factor = p.vector[item.column + j];
    S sum(0);
    for (std::int64_t s = 0; s < length; ++s) {
      const S value = hidden(p.queries[at], p.keys[item.place(p, s) + j]);
      const S slope = d_scores[s] * factor * (S(1) - value * value);
      sum = s == 0 ? slope : sum + slope;
    }
    p.d_queries[at] = narrow<T>(sum);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads) keys_kernel(Additive<T> p) {
  using S = Value<T>;
  const AdditiveItem<T> item(p, block_y());
  for_my_value(p, [&](std::int64_t s, std::int64_t j) {
    if (s >= source_length(p.slice, item.b)) return;
    const std::int64_t at = item.place(p, s) + j, rows = target_rows(p.slice, item.b);
    const S factor = p.vector[item.column + j];
    S* waiting =
        p.waiting ? p.waiting + (item.slot * p.slice.source_steps + s) * item.width + item.column + j : nullptr;
    S sum = !p.goes_on ? S(0) : waiting ? *waiting : widen(p.d_keys[at]);
    for (std::int64_t row = 0; row < rows; ++row) {
      const S value = hidden(p.queries[item.place(p, p.slice.first_step + row) + j], p.keys[at]);
      sum = sum + p.d_scores[item.weights(p, row) + s] * factor * (S(1) - value * value);
    }
    if (waiting && !p.ends)
      *waiting = sum;
    else
      p.d_keys[at] = narrow<T>(sum);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads) vectors_kernel(Additive<T> p) {
  using S = Value<T>;
  const AdditiveItem<T> item(p, block_y());
  for_my_value(p, [&](std::int64_t, std::int64_t j) {
    const std::int64_t rows = target_rows(p.slice, item.b), length = source_length(p.slice, item.b);
    S* sum = p.d_vectors + item.b * item.width + item.column + j;
    S all = p.goes_on ? *sum : S(0);
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t s = 0; s < length; ++s)
        all = multiply_add(p.d_scores[item.weights(p, row) + s],
                           hidden(p.queries[item.place(p, p.slice.first_step + row) + j], p.keys[item.place(p, s) + j]),
                           all);
    *sum = all;
  });
}

template <class S>
__global__ void __launch_bounds__(kThreads) add_kernel(VectorSum<S> p) {
  const std::int64_t j = block_x() * kThreads + thread_index();
  if (j >= p.size) return;
  S sum = p.out[j];
  for (std::int64_t i = 0; i < p.count; ++i) sum = sum + p.rows[i * p.size + j];
  p.out[j] = sum;
}

template <class T>
Grid grid_of(const Additive<T>& p, std::int64_t steps) {
  return {steps * ((p.size + kThreads - 1) / kThreads), p.slice.count * p.slice.heads};
}

}  // namespace

template <class T>
void score_additive(Stream stream, const Additive<T>& p) {
  const std::int64_t pairs = p.slice.rows * p.slice.source_steps;
  launch<Nothing>(score_kernel<T>, Grid{(pairs + kPairs - 1) / kPairs, p.slice.count * p.slice.heads}, kThreads, stream,
                  p);
}

template <class T>
void additive_backward(Stream stream, const Additive<T>& p) {
  if (p.d_queries) launch<Nothing>(queries_kernel<T>, grid_of(p, p.slice.rows), kThreads, stream, p);
  if (p.d_keys) launch<Nothing>(keys_kernel<T>, grid_of(p, p.slice.source_steps), kThreads, stream, p);
  if (p.d_vectors) launch<Nothing>(vectors_kernel<T>, grid_of(p, 1), kThreads, stream, p);
}

template <class S>
void add_vectors(Stream stream, const VectorSum<S>& p) {
  launch<Nothing>(add_kernel<S>, Grid{(p.size + kThreads - 1) / kThreads}, kThreads, stream, p);
}

template void score_additive<float>(Stream, const Additive<float>&);
template void additive_backward<float>(Stream, const Additive<float>&);
template void add_vectors<float>(Stream, const VectorSum<float>&);
template void score_additive<double>(Stream, const Additive<double>&);
template void additive_backward<double>(Stream, const Additive<double>&);
template void add_vectors<double>(Stream, const VectorSum<double>&);
template void score_additive<BFloat16>(Stream, const Additive<BFloat16>&);
template void additive_backward<BFloat16>(Stream, const Additive<BFloat16>&);
template void score_additive<Float16>(Stream, const Additive<Float16>&);
template void additive_backward<Float16>(Stream, const Additive<Float16>&);

}  // namespace rnn_engine::cuda
