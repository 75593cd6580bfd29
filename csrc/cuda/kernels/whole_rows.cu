// Cells that need all units of a sequence at once: a block has a row.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/launched.cuh"
#include "cuda/kernels/states.cuh"
#include "cuda/kernels/vector.h"

namespace rnn_engine::cuda {
namespace {

constexpr int kThreads = 256;

// The row that a block runs on, as csrc/cells wants it; a pitch does not matter with one row.
template <class S>
struct Row {
  std::int64_t units;
  std::ptrdiff_t gate_stride;
  S *wx, *uh;              // forward: the bare products
  S *gates_wx, *gates_uh;  // backward: the same, as they were kept
  const S* vector_params[kMaxVectorParams];
  const S *bias_ih, *bias_hh;
  const S* c_prev;
  S *c, *h, *dc, *sums, *work;
  const S* dh;
  static constexpr std::ptrdiff_t product_row = 0, gates_row = 0, c_prev_row = 0, c_row = 0, h_row = 0, dh_row = 0,
                                  dc_row = 0;
};

template <class T>
__device__ Row<Value<T>> row_of(const CellWeights<T>& weights, std::int64_t units) {
  Row<Value<T>> row{};
  row.units = row.gate_stride = units;
#pragma unroll
  for (int e = 0; e < kMaxVectorParams; ++e) row.vector_params[e] = weights.vector_params[e];
  row.bias_ih = weights.bias_ih;
  row.bias_hh = weights.bias_hh;
  return row;
}

// Calls visit(unit) for the units that are this thread's in a vector too, so that it finds there what it wrote.
template <class Visit>
__device__ void for_each_unit(std::int64_t units, const Visit& visit) {
  for (std::int64_t unit = thread_index(); unit < units; unit += kThreads) visit(unit);
}

template <class T, class Cell>
__global__ void __launch_bounds__(kThreads, 1) forward_kernel(CellForward<T> p) {
  if constexpr (!kLaunched<T>) return;
  using S = Value<T>;
  const auto b = static_cast<std::int32_t>(block_x());
  const std::int64_t H = p.units, first = b * H, gates = b * p.gate_row;
  Row<S> row = row_of(p.weights, H);
  row.wx = p.wx + gates;
  row.uh = p.uh + gates;
  row.c_prev = p.c_prev + first;
  row.c = (p.c_candidate ? p.c_candidate : p.c ? p.c : p.state) + first;
  row.h = p.h_unprojected || p.end.units ? p.work + first : nullptr;
  row.work = row.h;  // holds o until h takes its place
  // Zoneout puts c together from what it was; without it c may take the place of c'.
  Cell::template forward<Units<S, kThreads>>(row, 0, 1);
  for_each_unit(H, [&](std::int64_t unit) {
    S c = row.c[unit];
    if (p.zoneout.on) c = zone_out(p.zoneout, b, unit, row.c_prev[unit], c);
    if (p.state) p.state[first + unit] = c;
    if (p.c) p.c[first + unit] = c;
    if (p.c_output) p.c_output[b * p.c_output_row + unit] = c;
    if (p.h_unprojected)
      p.h_unprojected[first + unit] = narrow<T>(row.h[unit]);
    else if (row.h)
      end_hidden_value(p.end, b, static_cast<std::int32_t>(unit), narrow<T>(row.h[unit]));
    for (int k = 0; k < Cell::kGates; ++k) {
      if (p.reserve_wx) p.reserve_wx[gates + k * H + unit] = narrow<T>(row.wx[k * H + unit]);
      if (p.reserve_uh) p.reserve_uh[gates + k * H + unit] = narrow<T>(row.uh[k * H + unit]);
    }
  });
}

// Widened copies of a row's gates for the cell, or, where T is what is computed with, the gates themselves.
template <class T, class Cell>
__device__ Value<T>* widened(T* gates, Value<T>* wide, std::int64_t units) {
  if constexpr (!kRounds<T>) {
    return gates;
  } else {
    for_each_unit(units, [&](std::int64_t unit) {
      for (int k = 0; k < Cell::kGates; ++k) wide[k * units + unit] = widen(gates[k * units + unit]);
    });
    return wide;
  }
}

template <class T, class Cell>
__device__ void narrowed(const Value<T>* wide, T* gates, std::int64_t units) {
  if constexpr (kRounds<T>)
    for_each_unit(units, [&](std::int64_t unit) {
      for (int k = 0; k < Cell::kGates; ++k) gates[k * units + unit] = narrow<T>(wide[k * units + unit]);
    });
}

template <class T, class Cell>
__global__ void __launch_bounds__(kThreads, 1) backward_kernel(CellBackward<T> p) {
  if constexpr (!kLaunched<T>) return;
  using S = Value<T>;
  const auto b = static_cast<std::int32_t>(block_x());
  const std::int64_t H = p.units, first = b * H, gates = b * p.gate_row;
  // Behind the cell's own working memory: dh, c', and what zoneout lets pass.
  S* work = p.work + b * whole_rows_work(Cell::kWork) * H;
  S *dh = work + Cell::kWork * H, *c_prev = dh + H, *past = c_prev + H, *dc = p.dc + first;
  for_each_unit(H, [&](std::int64_t unit) {
    const auto j = static_cast<std::int32_t>(unit);
    dh[unit] = p.dh ? p.dh[first + unit] : state_gradient_value(p.gradient, b, j);
    c_prev[unit] = b < p.known ? p.c_prev[first + unit] : p.c_first ? p.c_first[first + unit] : S(0);
    S value = dc[unit];
    if (p.dc_output) value = value + p.dc_output[b * p.dc_output_row + unit];
    if (p.zoneout.on) {
      const S s = stays(p.zoneout, b, unit);
      past[unit] = s * value;
      value = (S(1) - s) * value;
    }
    dc[unit] = value;
  });
  Row<S> row = row_of(p.weights, H);
  row.gates_wx = widened<T, Cell>(p.wx + gates, p.wide_wx + gates, H);
  row.gates_uh = widened<T, Cell>(p.uh + gates, p.wide_uh + gates, H);
  row.c_prev = c_prev;
  row.c = const_cast<S*>(p.c) + first;
  row.dh = dh;
  row.dc = dc;
  row.sums = p.sums + b * ((Cell::kSums * Cell::kGates + Cell::kUnitVectors) * H);
  row.work = work;
  Cell::template backward<Units<S, kThreads>>(row, 0, 1);
  narrowed<T, Cell>(row.gates_wx, p.wx + gates, H);
  narrowed<T, Cell>(row.gates_uh, p.uh + gates, H);
  for_each_unit(H, [&](std::int64_t unit) {
    if (p.zoneout.on) dc[unit] = dc[unit] + past[unit];
    if (p.dc0 && b >= p.carried) p.dc0[first + unit] = dc[unit];
  });
}

}  // namespace

template <class T, class Cell>
void whole_rows_forward(Stream stream, const CellForward<T>& p) {
  launch<BlockSums>(forward_kernel<T, Cell>, Grid{p.rows}, kThreads, stream, p);
}

template <class T, class Cell>
void whole_rows_backward(Stream stream, const CellBackward<T>& p) {
  launch<BlockSums>(backward_kernel<T, Cell>, Grid{p.rows}, kThreads, stream, p);
}

template void whole_rows_forward<float, LayerNormLstmCell>(Stream, const CellForward<float>&);
template void whole_rows_backward<float, LayerNormLstmCell>(Stream, const CellBackward<float>&);
template void whole_rows_forward<float, LayerNormMiLstmCell>(Stream, const CellForward<float>&);
template void whole_rows_backward<float, LayerNormMiLstmCell>(Stream, const CellBackward<float>&);
template void whole_rows_forward<double, LayerNormLstmCell>(Stream, const CellForward<double>&);
template void whole_rows_backward<double, LayerNormLstmCell>(Stream, const CellBackward<double>&);
template void whole_rows_forward<double, LayerNormMiLstmCell>(Stream, const CellForward<double>&);
template void whole_rows_backward<double, LayerNormMiLstmCell>(Stream, const CellBackward<double>&);
template void whole_rows_forward<BFloat16, LayerNormLstmCell>(Stream, const CellForward<BFloat16>&);
template void whole_rows_backward<BFloat16, LayerNormLstmCell>(Stream, const CellBackward<BFloat16>&);
template void whole_rows_forward<BFloat16, LayerNormMiLstmCell>(Stream, const CellForward<BFloat16>&);
template void whole_rows_backward<BFloat16, LayerNormMiLstmCell>(Stream, const CellBackward<BFloat16>&);
template void whole_rows_forward<Float16, LayerNormLstmCell>(Stream, const CellForward<Float16>&);
template void whole_rows_backward<Float16, LayerNormLstmCell>(Stream, const CellBackward<Float16>&);
template void whole_rows_forward<Float16, LayerNormMiLstmCell>(Stream, const CellForward<Float16>&);
template void whole_rows_backward<Float16, LayerNormMiLstmCell>(Stream, const CellBackward<Float16>&);

}  // namespace rnn_engine::cuda
