// What comes behind a product, in either direction: activation, and dropout's mask and scale. The CPU's operations in
// their order (cpu/kernels/epilogue.h), so that the bits are its own.
#include <algorithm>

#include "cells/math.h"
#include "cuda/kernels/masks.cuh"
#include "cuda/kernels/vector.h"
#include "cuda/linear/linear.h"

namespace rnn_engine::cuda {
namespace {

constexpr int kThreads = 128;

// A block for each row, or group of rows, and kThreads of its columns.
Grid grid_of(std::int64_t rows, std::int64_t columns) { return {rows, (columns + kThreads - 1) / kThreads}; }

__device__ inline std::int32_t column_index() {
  return static_cast<std::int32_t>(block_y()) * kThreads + thread_index();
}

template <class S>
__device__ inline S factor_at(const RowFactors<S>& f, std::int64_t row, std::int32_t column) {
  if (!f.drops) return f.scale;
  const std::int64_t step = f.per_sentence ? 0 : f.first_step + row / f.batch;
  const bool dropped =
      marked(f.key, f.site, static_cast<std::uint32_t>(row % f.batch), static_cast<std::uint32_t>(step), column);
  return (dropped ? S(0) : S(1)) * f.scale;
}

template <class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(EpilogueForward<T> p) {
  const std::int32_t j = column_index();
  if (j >= p.columns) return;
  const std::int64_t at = block_x() * p.columns + j;
  Value<T> value = p.product[at];
  if (p.tanh) value = tanh(One<Value<T>>(value)).v;
  p.out[at] = narrow<T>(value * factor_at(p.factors, p.first + block_x(), j));
}

template <class T>
__global__ void __launch_bounds__(kThreads) backward_kernel(EpilogueBackward<T> p) {
  using S = Value<T>;
  const std::int32_t j = column_index();
  if (j >= p.columns) return;
  S sum(0);
  for (std::int64_t row = block_x() * kLinearSum; row < p.rows && row < (block_x() + 1) * kLinearSum; ++row) {
    const std::int64_t at = row * p.columns + j;
    S slope = widen(p.dy[at]) * factor_at(p.factors, p.first + row, j);
    if (p.tanh) {
      const S value = widen(p.y[at]) * p.inverse;
      slope = slope * multiply_add(-value, value, S(1));
    }
    if (p.slopes) p.slopes[at] = narrow<T>(slope);
    sum = sum + slope;
  }
  if (p.sums) p.sums[block_x() * p.columns + j] = sum;
}

template <class S>
__global__ void __launch_bounds__(kThreads) bias_kernel(BiasSum<S> p) {
  const std::int32_t j = column_index();
  if (j >= p.columns) return;
  S sum = p.overwrite ? p.sums[j] : p.out[j] + p.sums[j];
  for (std::int64_t group = 1; group < p.groups; ++group) sum = sum + p.sums[group * p.columns + j];
  p.out[j] = sum;
}

template <class T>
__global__ void __launch_bounds__(kThreads) dropout_kernel(RowDropout<T> p) {
  const std::int64_t row = block_x();
  const std::int32_t j = column_index();
  if (j >= p.columns) return;
  // A step's rows are the columns of one mask.
  const bool dropped =
      p.drops_rows &&
      marked(p.factors.key, p.row_site, static_cast<std::uint32_t>(row / p.factors.batch), 0, row % p.factors.batch);
  const Value<T> factor = dropped ? Value<T>(0) : factor_at(p.factors, row, j);
  p.out[row * p.columns + j] = dropped ? narrow<T>(factor) : narrow<T>(widen(p.in[row * p.in_row + j]) * factor);
}

}  // namespace

template <class T>
void epilogue_forward(Stream stream, const EpilogueForward<T>& p) {
  launch<Nothing>(forward_kernel<T>, grid_of(p.rows, p.columns), kThreads, stream, p);
}

template <class T>
void epilogue_backward(Stream stream, const EpilogueBackward<T>& p) {
  launch<Nothing>(backward_kernel<T>, grid_of((p.rows + kLinearSum - 1) / kLinearSum, p.columns), kThreads, stream, p);
}

template <class S>
void sum_for_bias(Stream stream, const BiasSum<S>& p) {
  launch<Nothing>(bias_kernel<S>, grid_of(1, p.columns), kThreads, stream, p);
}

template <class T>
void row_dropout(Stream stream, const RowDropout<T>& p) {
  launch<Nothing>(dropout_kernel<T>, grid_of(p.rows, p.columns), kThreads, stream, p);
}

template void epilogue_forward<float>(Stream, const EpilogueForward<float>&);
template void epilogue_backward<float>(Stream, const EpilogueBackward<float>&);
template void row_dropout<float>(Stream, const RowDropout<float>&);
template void sum_for_bias<float>(Stream, const BiasSum<float>&);
template void epilogue_forward<double>(Stream, const EpilogueForward<double>&);
template void epilogue_backward<double>(Stream, const EpilogueBackward<double>&);
template void row_dropout<double>(Stream, const RowDropout<double>&);
template void sum_for_bias<double>(Stream, const BiasSum<double>&);
template void epilogue_forward<BFloat16>(Stream, const EpilogueForward<BFloat16>&);
template void epilogue_backward<BFloat16>(Stream, const EpilogueBackward<BFloat16>&);
template void row_dropout<BFloat16>(Stream, const RowDropout<BFloat16>&);
template void epilogue_forward<Float16>(Stream, const EpilogueForward<Float16>&);
template void epilogue_backward<Float16>(Stream, const EpilogueBackward<Float16>&);
template void row_dropout<Float16>(Stream, const RowDropout<Float16>&);

}  // namespace rnn_engine::cuda
