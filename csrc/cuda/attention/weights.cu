// Attention's weights, a row at a time: 16 threads have a row, the lanes of the CPU's sums (cpu/kernels/weights.h).
#include "base/log.h"
#include "cells/math.h"
#include "cuda/attention/attention.h"
#include "cuda/gemm/slices.cuh"
#include "cuda/kernels/masks.cuh"
#include "cuda/kernels/vector.h"

namespace rnn_engine::cuda {
namespace {

constexpr int kThreads = 128, kRows = kThreads / kLanes;

template <class S>
__device__ inline S power(S x) {
  return exp(One<S>(x)).v;
}

template <class S>
__device__ inline S sum_of_lanes(S value) {
  return over_lanes<kLanes>(value, [](S a, S b) { return a + b; });
}

// A row of a slice: that of sentence b's target step t, with `length` scores; 0 for what is beyond the slice.
struct Row {
  std::int64_t slot, step, b, t, length;
  bool inside;
};

__device__ inline Row row_of(const Slice& s, std::int64_t index) {
  Row row{};
  row.inside = index < s.count * s.rows;
  if (!row.inside) return row;
  row.slot = index / s.rows;
  row.step = index % s.rows;
  row.b = s.first + row.slot;
  row.t = s.first_step + row.step;
  row.length = row.t < target_length(s, row.b) ? source_length(s, row.b) : 0;
  return row;
}

// What dropout multiplies a weight by.
template <class T>
__device__ inline Value<T> kept(const Weigh<T>& p, const Row& row, std::int64_t head, std::int64_t s) {
  MaskSite site = p.site;
  site.site += static_cast<std::uint32_t>(head);
  const std::int64_t id = p.row_ids ? p.row_ids[row.b] : row.b;
  const bool dropped =
      marked(p.key, site, static_cast<std::uint32_t>(id), static_cast<std::uint32_t>(p.mask_step + row.t), s);
  return (dropped ? Value<T>(0) : Value<T>(1)) * p.kept_scale;
}

template <class T>
__device__ inline void put(Value<T>* values, T* rounded, std::int64_t at, Value<T> value) {
  if (rounded)
    rounded[at] = narrow<T>(value);
  else
    values[at] = value;
}

// The heads of a row follow one another, since they add to the same mean.
template <class T>
__global__ void __launch_bounds__(kThreads) weigh_kernel(Weigh<T> p) {
  using S = Value<T>;
  const int lane = thread_index() % kLanes;
  const Row row = row_of(p.slice, block_x() * kRows + thread_index() / kLanes);
  const S share = S(1) / static_cast<S>(p.slice.heads);
  S* mean = p.mean && row.inside ? p.mean + (row.t * p.slice.batch + row.b) * p.slice.source_steps : nullptr;
  for (std::int64_t head = 0; head < p.slice.heads; ++head) {
    const std::int64_t begin = ((row.slot * p.slice.heads + head) * p.slice.rows + row.step) * p.row;
    S* scores = p.scores + begin;
    S highest = -__builtin_huge_val(), total(0);
    for (std::int64_t s = lane; s < row.length; s += kLanes) {
      const S score = scores[s] * p.scale;
      scores[s] = score;
      highest = score > highest || score != score ? score : highest;
    }
    highest = over_lanes<kLanes>(highest, [](S a, S b) { return b > a || b != b ? b : a; });
    for (std::int64_t s = lane; s < row.length; s += kLanes) {
      const S weight = power(scores[s] - highest);
      scores[s] = weight;
      total = total + weight;
    }
    total = sum_of_lanes(total);
    const S factor = S(1) / total;
    for (std::int64_t s = lane; s < row.length; s += kLanes) {
      const S weight = scores[s] * factor;
      if (mean) mean[s] = (head == 0 ? S(0) : mean[s]) + weight * share;
      put(p.scores, p.weights, begin + s, p.drops ? weight * kept(p, row, head, s) : weight);
    }
    if (p.logarithms && row.inside && lane == 0) {
      const double all = static_cast<double>(highest) + portable_log(static_cast<double>(total));
      p.logarithms[(row.t * p.slice.batch + row.b) * p.slice.heads + head] = row.length ? static_cast<S>(all) : S(0);
    }
  }
  for (std::int64_t s = row.length + lane; mean && s < p.slice.source_steps; s += kLanes) mean[s] = S(0);
}

// dz_ts = scale p_ts (m_ts e_ts - sum_s p_ts m_ts e_ts) of gradients e of weights and the mask's factors m.
template <class T>
__global__ void __launch_bounds__(kThreads) weigh_backward_kernel(WeighBackward<T> all) {
  using S = Value<T>;
  const Weigh<T>& p = all.again;
  const int lane = thread_index() % kLanes;
  const std::int64_t head = block_y();
  const Row row = row_of(p.slice, block_x() * kRows + thread_index() / kLanes);
  const std::int64_t begin = ((row.slot * p.slice.heads + head) * p.slice.rows + row.step) * p.row;
  const S logged = row.length ? all.logarithms[(row.t * p.slice.batch + row.b) * p.slice.heads + head] : S(0);
  S sum(0);
  for (std::int64_t s = lane; s < row.length; s += kLanes) {
    const S weight = power(multiply_add(p.scores[begin + s], p.scale, -logged));
    p.scores[begin + s] = weight;
    if (!all.d_weights) continue;
    S slope = all.d_weights[begin + s];
    if (p.drops) {
      slope = slope * kept(p, row, head, s);
      all.d_weights[begin + s] = slope;
    }
    sum = multiply_add(weight, slope, sum);
  }
  sum = sum_of_lanes(sum);
  for (std::int64_t s = lane; s < row.length; s += kLanes) {
    const S weight = p.scores[begin + s];
    if (all.d_weights) put(all.d_weights, all.d_scores, begin + s, weight * p.scale * (all.d_weights[begin + s] - sum));
    put(p.scores, p.weights, begin + s, p.drops ? weight * kept(p, row, head, s) : weight);
  }
}

Grid grid_of(const Slice& s) { return {(s.count * s.rows + kRows - 1) / kRows}; }

}  // namespace

template <class T>
void weigh(Stream stream, const Weigh<T>& p) {
  launch<Nothing>(weigh_kernel<T>, grid_of(p.slice), kThreads, stream, p);
}

template <class T>
void weigh_backward(Stream stream, const WeighBackward<T>& p) {
  Grid grid = grid_of(p.again.slice);
  grid.y = p.again.slice.heads;
  launch<Nothing>(weigh_backward_kernel<T>, grid, kThreads, stream, p);
}

template void weigh<float>(Stream, const Weigh<float>&);
template void weigh_backward<float>(Stream, const WeighBackward<float>&);
template void weigh<double>(Stream, const Weigh<double>&);
template void weigh_backward<double>(Stream, const WeighBackward<double>&);
template void weigh<BFloat16>(Stream, const Weigh<BFloat16>&);
template void weigh_backward<BFloat16>(Stream, const WeighBackward<BFloat16>&);
template void weigh<Float16>(Stream, const Weigh<Float16>&);
template void weigh_backward<Float16>(Stream, const WeighBackward<Float16>&);

}  // namespace rnn_engine::cuda
