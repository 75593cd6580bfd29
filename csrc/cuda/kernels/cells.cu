// Cells whose units do not need one another: a thread has one unit, forward of one sequence, backward of a few.
#include "cuda/kernels/cells.cuh"
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/launched.cuh"

namespace rnn_engine::cuda {
namespace {

constexpr int kThreads = 128;

template <class T, class Cell>
__global__ void __launch_bounds__(kThreads) forward_kernel(CellForward<T> p) {
  if constexpr (!kLaunched<T>) return;
  const std::int32_t b = static_cast<std::int32_t>(block_x());
  const std::int32_t unit = static_cast<std::int32_t>(block_y()) * block_threads() + thread_index();
  if (unit >= p.units) return;
  One<Value<T>> wx[Cell::kGates], uh[Cell::kGates];
#pragma unroll
  for (int k = 0; k < Cell::kGates; ++k) {
    const std::int64_t gate = b * p.gate_row + std::int64_t{k} * p.units + unit;
    wx[k] = One<Value<T>>(p.wx[gate]);
    if constexpr (Cell::kSeparateRecurrentProduct) uh[k] = One<Value<T>>(p.uh[gate]);
  }
  forward_unit<T, Cell>(p, b, unit, wx, uh);
}

template <class T, class Cell>
__global__ void __launch_bounds__(kThreads, 1) backward_kernel(CellBackward<T> p) {
  if constexpr (!kLaunched<T>) return;
  const std::int32_t block = static_cast<std::int32_t>(block_x());
  const std::int32_t unit = static_cast<std::int32_t>(block_y()) * block_threads() + thread_index();
  if (unit >= p.units) return;
  backward_units<T, Cell>(p, block, unit, [&](std::int32_t b) {
    return p.dh ? p.dh[std::int64_t{b} * p.units + unit] : state_gradient_value(p.gradient, b, unit);
  });
}

// One thread for each gate's element, and behind those one for each element of a vector of units.
template <class T, class Cell>
__global__ void vector_kernel(VectorSums<T> p) {
  using S = Value<T>;
  constexpr int kGates = Cell::kGates;
  const std::int64_t H = p.units, size = (Cell::kSums * kGates + Cell::kUnitVectors) * H;
  const std::int64_t j = block_x() * block_threads() + thread_index();
  const auto total = [&](std::int64_t place) {
    S sum = p.sums[place];
    for (std::int32_t g = 1; g < p.row_blocks; ++g) sum = sum + p.sums[g * size + place];
    return sum;
  };
  const auto add = [&](S* gradient, std::int64_t place, S value) {
    if (gradient) gradient[place] = p.overwrite ? value : gradient[place] + value;
  };
  if (j >= (kGates + Cell::kUnitVectors) * H) return;
  if (j >= kGates * H) {
    const int vector = static_cast<int>(j / H) - kGates;
#pragma unroll
    for (int e = 0; e < Cell::kUnitVectors; ++e)
      if (e == vector)
        add(p.vector_params[Cell::kVectorParams + e], j % H, total((Cell::kSums * kGates + e) * H + j % H));
    return;
  }
  S sums[kMaxSums] = {}, vector_params[kMaxVectorParams] = {};
#pragma unroll
  for (int i = 0; i < Cell::kSums; ++i) sums[i] = total(i * kGates * H + j);
#pragma unroll
  for (int e = 0; e < Cell::kVectorParams; ++e)
    vector_params[e] = p.weights.vector_params[e] ? p.weights.vector_params[e][j] : S(0);
  const VectorGradients<S> g = Cell::template finish<S>(sums, vector_params);
  add(p.bias_ih, j, g.bias_ih);
  add(p.bias_hh, j, g.bias_hh);
#pragma unroll
  for (int e = 0; e < Cell::kVectorParams; ++e) add(p.vector_params[e], j, g.vector_params[e]);
}

template <class Visit>
void with_cell(int index, const Visit& visit) {
  for_each_cell([&]<class Cell>(int i) {
    if (i == index) visit.template operator()<Cell>();
  });
}

int threads_for(std::int64_t units) { return units >= kThreads ? kThreads : static_cast<int>((units + 31) / 32 * 32); }

Grid grid_of(std::int64_t rows, std::int64_t units) {
  const int threads = threads_for(units);
  return {rows, (units + threads - 1) / threads};
}

}  // namespace

template <class T>
void cell_forward(Stream stream, int cell, const CellForward<T>& p) {
  with_cell(cell, [&]<class Cell>() {
    if constexpr (Cell::kWholeRows)
      whole_rows_forward<T, Cell>(stream, p);
    else
      launch<Nothing>(forward_kernel<T, Cell>, grid_of(p.rows, p.units), threads_for(p.units), stream, p);
  });
}

template <class T>
void cell_backward(Stream stream, int cell, const CellBackward<T>& p) {
  with_cell(cell, [&]<class Cell>() {
    if constexpr (Cell::kWholeRows)
      whole_rows_backward<T, Cell>(stream, p);
    else
      launch<Nothing>(backward_kernel<T, Cell>, grid_of((p.rows + kSumRows - 1) / kSumRows, p.units),
                      threads_for(p.units), stream, p);
  });
}

template <class T>
void vector_gradients(Stream stream, int cell, const VectorSums<T>& p) {
  with_cell(cell, [&]<class Cell>() {
    const std::int64_t count = std::int64_t{Cell::kGates + Cell::kUnitVectors} * p.units;
    launch<Nothing>(vector_kernel<T, Cell>, Grid{(count + kThreads - 1) / kThreads}, kThreads, stream, p);
  });
}

template void cell_forward<float>(Stream, int, const CellForward<float>&);
template void cell_backward<float>(Stream, int, const CellBackward<float>&);
template void vector_gradients<float>(Stream, int, const VectorSums<float>&);
template void cell_forward<double>(Stream, int, const CellForward<double>&);
template void cell_backward<double>(Stream, int, const CellBackward<double>&);
template void vector_gradients<double>(Stream, int, const VectorSums<double>&);
template void cell_forward<BFloat16>(Stream, int, const CellForward<BFloat16>&);
template void cell_backward<BFloat16>(Stream, int, const CellBackward<BFloat16>&);
template void vector_gradients<BFloat16>(Stream, int, const VectorSums<BFloat16>&);
template void cell_forward<Float16>(Stream, int, const CellForward<Float16>&);
template void cell_backward<Float16>(Stream, int, const CellBackward<Float16>&);
template void vector_gradients<Float16>(Stream, int, const VectorSums<Float16>&);

}  // namespace rnn_engine::cuda
