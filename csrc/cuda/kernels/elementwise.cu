// Kernels that move values between buffers, most of them by the masks.
#include <algorithm>

#include "cuda/intrinsics.h"
#include "cuda/kernels/states.cuh"

namespace rnn_engine::cuda {
namespace {

constexpr int kThreads = 128;

int threads_for(std::int64_t columns) {
  return columns >= kThreads ? kThreads : static_cast<int>((columns + 31) / 32 * 32);
}

// A block for each row and piece of its columns.
Grid grid_of(std::int64_t rows, std::int64_t columns) {
  const int threads = threads_for(columns);
  return {rows, (columns + threads - 1) / threads};
}

// This thread's column.
__device__ inline std::int32_t column_index() {
  return static_cast<std::int32_t>(block_y()) * block_threads() + thread_index();
}

// Where a row lies in time, and which sequence's it is.
struct RowPlace {
  std::int32_t step, sequence;
};

__device__ inline std::int64_t offset_of(const RowMap& map, std::int32_t step) {
  return map.offsets ? map.offsets[step] : std::int64_t{step} * map.batch;
}

__device__ inline RowPlace place_of(const RowMap& map, std::int64_t row) {
  if (!map.offsets) return {static_cast<std::int32_t>(row / map.batch), static_cast<std::int32_t>(row % map.batch)};
  std::int32_t low = 0, high = map.steps;  // the step lies in [low, high)
  while (high - low > 1) {
    const std::int32_t middle = (low + high) / 2;
    (map.offsets[middle] <= row ? low : high) = middle;
  }
  return {low, static_cast<std::int32_t>(row - map.offsets[low])};
}

template <class T>
__global__ void end_hidden_kernel(HiddenEnd<T> p) {
  const std::int32_t b = static_cast<std::int32_t>(block_x()), j = column_index();
  if (j < p.units) end_hidden_value(p, b, j, p.h[b * p.h_row + j]);
}

template <class T>
struct StateGradientOut {
  StateGradient<T> gradient;
  T* out;
};

template <class T>
__global__ void state_gradient_kernel(StateGradientOut<T> p) {
  const std::int32_t b = static_cast<std::int32_t>(block_x()), j = column_index();
  if (j < p.gradient.units)
    p.out[std::int64_t{b} * p.gradient.units + j] = narrow<T>(state_gradient_value(p.gradient, b, j));
}

template <class T>
__global__ void begin_kernel(PseudoLayerBegin<T> p) {
  const std::int32_t b = static_cast<std::int32_t>(block_x()), j = column_index();
  if (j < p.units) {
    const std::int64_t place = std::int64_t{b} * p.units + j;
    const T h = p.h0 ? p.h0[place] : narrow<T>(Value<T>(0));
    Value<T> factor(1);
    if (p.factors) factor = p.factors[place] = dropout_factor(p.recurrent, b, j, p.scale);
    const T h_dropped = p.factors ? narrow<T>(factor * widen(h)) : h;
    if (p.h) p.h[place] = h;
    if (p.next[0]) p.next[0][place] = h_dropped;
    if (p.next[1]) p.next[1][place] = h_dropped;
  }
  if (j < p.hidden && p.c) {
    const std::int64_t place = std::int64_t{b} * p.hidden + j;
    p.c[place] = p.c0 ? p.c0[place] : Value<T>(0);
  }
}

template <class T>
__global__ void layer_dropout_kernel(LayerDropout<T> p) {
  const std::int64_t row = p.first + block_x();
  const std::int32_t j = column_index();
  if (j >= p.columns) return;
  const RowPlace place = place_of(p.map, row);
  p.draw.step = p.every_step ? static_cast<std::uint32_t>(place.step) : 0;
  const Value<T> factor = dropout_factor(p.draw, place.sequence, j, p.scale);
  p.out[block_x() * p.out_row + j] = narrow<T>(widen(p.in[block_x() * p.in_row + j]) * factor);
}

template <class T>
__global__ void sum_rows_kernel(RowSum<T> p) {
  const std::int32_t j = column_index();
  if (j < p.columns)
    p.out[block_x() * p.out_row + j] =
        narrow<T>(widen(p.a[block_x() * p.a_row + j]) + widen(p.b[block_x() * p.b_row + j]));
}

template <class T>
__global__ void previous_states_kernel(PreviousStates<T> p) {
  const std::int64_t row = p.first + block_x();
  const std::int32_t j = column_index();
  if (j >= p.units) return;
  const RowPlace place = place_of(p.map, row);
  const std::int32_t step = place.step, b = place.sequence;
  const std::int32_t other = p.direction == 0 ? step - 1 : step + 1;
  const bool inside = other >= 0 && other < p.map.steps;
  const std::int64_t start = inside ? offset_of(p.map, other) : 0;
  const std::int64_t own = std::int64_t{b} * p.units + j;
  T h = narrow<T>(Value<T>(0));
  if (p.before && step == p.before_step)
    h = p.before[own];
  else if (inside && b < offset_of(p.map, other + 1) - start)
    h = p.h[(start + b - p.h_first) * p.h_row + j];
  else if (p.h0)
    h = p.h0[own];
  p.out[block_x() * p.units + j] = p.factors ? narrow<T>(p.factors[own] * widen(h)) : h;
}

template <class T>
__global__ void initial_gradient_kernel(InitialGradient<T> p) {
  const std::int32_t b = p.first + static_cast<std::int32_t>(block_x()), j = column_index();
  if (j >= p.units) return;
  const std::int64_t place = std::int64_t{b} * p.units + j;
  Value<T> value = value_at(p.product, block_x() * p.units + j);
  if (p.factors) value = value * p.factors[place];
  if (p.past) value = value + p.past[place];
  p.out[place] = narrow<T>(value);
}

template <class T>
struct Copy {
  const T* from;
  T* to;
  std::int64_t count;
};

template <class T>
__global__ void copy_kernel(Copy<T> p) {
  const std::int64_t i = block_x() * block_threads() + thread_index();
  if (i < p.count) p.to[i] = p.from ? p.from[i] : T{};
}

constexpr int kNumbers = 900;  // a kernel's arguments may have 4 KiB

struct Numbers {
  std::int32_t number[kNumbers];
  std::int32_t count;
  std::int32_t* out;
};

__global__ void write_kernel(Numbers p) {
  const int i = static_cast<int>(block_x()) * block_threads() + thread_index();
  if (i < p.count) p.out[i] = p.number[i];
}

}  // namespace

template <class T>
void end_hidden(Stream stream, const HiddenEnd<T>& p) {
  launch<Nothing>(end_hidden_kernel<T>, grid_of(p.rows, p.units), threads_for(p.units), stream, p);
}

template <class T>
void state_gradient(Stream stream, const StateGradient<T>& p, T* out) {
  launch<Nothing>(state_gradient_kernel<T>, grid_of(p.rows, p.units), threads_for(p.units), stream,
                  StateGradientOut<T>{p, out});
}

template <class T>
void begin_pseudo_layer(Stream stream, const PseudoLayerBegin<T>& p) {
  const std::int64_t columns = std::max(p.units, p.hidden);
  launch<Nothing>(begin_kernel<T>, grid_of(p.batch, columns), threads_for(columns), stream, p);
}

template <class T>
void layer_dropout(Stream stream, const LayerDropout<T>& p) {
  launch<Nothing>(layer_dropout_kernel<T>, grid_of(p.rows, p.columns), threads_for(p.columns), stream, p);
}

template <class T>
void sum_rows(Stream stream, const RowSum<T>& p) {
  launch<Nothing>(sum_rows_kernel<T>, grid_of(p.rows, p.columns), threads_for(p.columns), stream, p);
}

template <class T>
void previous_states(Stream stream, const PreviousStates<T>& p) {
  launch<Nothing>(previous_states_kernel<T>, grid_of(p.rows, p.units), threads_for(p.units), stream, p);
}

template <class T>
void initial_gradient(Stream stream, const InitialGradient<T>& p) {
  launch<Nothing>(initial_gradient_kernel<T>, grid_of(p.rows - p.first, p.units), threads_for(p.units), stream, p);
}

template <class T>
void copy_values(Stream stream, const T* from, std::int64_t count, T* to) {
  launch<Nothing>(copy_kernel<T>, Grid{(count + kThreads - 1) / kThreads}, kThreads, stream, Copy<T>{from, to, count});
}

void write_table(Stream stream, const std::int32_t* numbers, std::int64_t count, std::int32_t* out) {
  for (std::int64_t first = 0; first < count; first += kNumbers) {
    Numbers piece{};
    piece.count = static_cast<std::int32_t>(std::min<std::int64_t>(kNumbers, count - first));
    std::copy_n(numbers + first, piece.count, piece.number);
    piece.out = out + first;
    launch<Nothing>(write_kernel, Grid{(piece.count + kThreads - 1) / kThreads}, kThreads, stream, piece);
  }
}

template void end_hidden<float>(Stream, const HiddenEnd<float>&);
template void state_gradient<float>(Stream, const StateGradient<float>&, float*);
template void begin_pseudo_layer<float>(Stream, const PseudoLayerBegin<float>&);
template void layer_dropout<float>(Stream, const LayerDropout<float>&);
template void sum_rows<float>(Stream, const RowSum<float>&);
template void previous_states<float>(Stream, const PreviousStates<float>&);
template void initial_gradient<float>(Stream, const InitialGradient<float>&);
template void copy_values<float>(Stream, const float*, std::int64_t, float*);
template void end_hidden<double>(Stream, const HiddenEnd<double>&);
template void state_gradient<double>(Stream, const StateGradient<double>&, double*);
template void begin_pseudo_layer<double>(Stream, const PseudoLayerBegin<double>&);
template void layer_dropout<double>(Stream, const LayerDropout<double>&);
template void sum_rows<double>(Stream, const RowSum<double>&);
template void previous_states<double>(Stream, const PreviousStates<double>&);
template void initial_gradient<double>(Stream, const InitialGradient<double>&);
template void copy_values<double>(Stream, const double*, std::int64_t, double*);
template void end_hidden<BFloat16>(Stream, const HiddenEnd<BFloat16>&);
template void state_gradient<BFloat16>(Stream, const StateGradient<BFloat16>&, BFloat16*);
template void begin_pseudo_layer<BFloat16>(Stream, const PseudoLayerBegin<BFloat16>&);
template void layer_dropout<BFloat16>(Stream, const LayerDropout<BFloat16>&);
template void sum_rows<BFloat16>(Stream, const RowSum<BFloat16>&);
template void previous_states<BFloat16>(Stream, const PreviousStates<BFloat16>&);
template void initial_gradient<BFloat16>(Stream, const InitialGradient<BFloat16>&);
template void copy_values<BFloat16>(Stream, const BFloat16*, std::int64_t, BFloat16*);
template void end_hidden<Float16>(Stream, const HiddenEnd<Float16>&);
template void state_gradient<Float16>(Stream, const StateGradient<Float16>&, Float16*);
template void begin_pseudo_layer<Float16>(Stream, const PseudoLayerBegin<Float16>&);
template void layer_dropout<Float16>(Stream, const LayerDropout<Float16>&);
template void sum_rows<Float16>(Stream, const RowSum<Float16>&);
template void previous_states<Float16>(Stream, const PreviousStates<Float16>&);
template void initial_gradient<Float16>(Stream, const InitialGradient<Float16>&);
template void copy_values<Float16>(Stream, const Float16*, std::int64_t, Float16*);

}  // namespace rnn_engine::cuda
