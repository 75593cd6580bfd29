// A backward step in one kernel, for 16-bit types: the product d_uh U of some units, and the cell on them. A warp has
// one gate's part of k; the parts are added up as those of a product in slices are, so the bits are the same.
#include "cuda/gemm/gemm_mma.cuh"
#include "cuda/kernels/cells.cuh"
#include "cuda/kernels/launched.cuh"

namespace rnn_engine::cuda {
namespace {

// kHigh x kWide fragments of 16 sequences x 8 units, by kGates warps.
template <class Number, int kGates, int kHigh_, int kWide_, int kStages_>
struct GateSlices {
  using T = Number;
  static constexpr int kHigh = kHigh_, kWide = kWide_, kStages = kStages_, kDepth = 32;
  static constexpr int kM = 16 * kHigh, kN = 8 * kWide, kThreads = 32 * kGates;

  struct Stage {
    StagedTile<T, kM, kDepth> a;
    StagedTile<T, kN, kDepth> b;
  };
  // What is computed with, and then what has come out.
  union Shared {
    Stage stage[kGates][kStages];
    float part[kGates][kM][kN + 1];
  };
};

template <class T, class Cell, class Slices>
__global__ void __launch_bounds__(Slices::kThreads, 1) step_kernel(StepBackward<T> p) {
  if constexpr (!kMatrixLaunched<T>) return;
  constexpr int kM = Slices::kM, kN = Slices::kN, kDepth = Slices::kDepth, kStages = Slices::kStages;
  using Stage = typename Slices::Stage;
  using F = Fragments<T>;
  auto& shared = shared_memory<typename Slices::Shared>();
  const CellBackward<T>& cell = p.cell;
  const std::int64_t H = cell.units, row0 = block_x() * kM, unit0 = block_y() * kN;
  const std::int64_t rows = cell.gradient.continued;
  const int gate = thread_index() / 32, lane = thread_index() % 32;
  // Of one unit, the values across lie as those along.
  const Operand<T> a{p.after + gate * H, cell.gate_row, 1}, b{p.u + gate * H * H, 1, H};
  float sum[Slices::kHigh][Slices::kWide][4];
  const auto for_each_value = [&](const auto& visit) {
#pragma unroll
    for (int i = 0; i < Slices::kHigh; ++i)
#pragma unroll
      for (int j = 0; j < Slices::kWide; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) visit(16 * i + lane / 4 + e / 2 * 8, 8 * j + lane % 4 * 2 + e % 2, sum[i][j][e]);
  };
  for_each_value([&](int row, int column, float& value) {
    const bool begins = gate == 0 && p.begin && row0 + row < rows && unit0 + column < H;
    value = begins ? widen(p.begin[(row0 + row) * p.begin_row + unit0 + column]) : 0;
  });
  // Rows that begin here, or all if nothing comes from behind, have no product.
  const std::int64_t depth = row0 < rows ? H : 0;
  const auto begin_stage = [&](std::int64_t tile) {
    if (tile * kDepth < depth) {
      Stage& to = shared.stage[gate][tile % kStages];
      stage<T, kM, kDepth, 32>(lane, a, NeighbouringRows{row0, rows}, tile * kDepth, depth, to.a);
      stage<T, kN, kDepth, 32>(lane, b, NeighbouringRows{unit0, H}, tile * kDepth, depth, to.b);
    }
    commit_copies();
  };
  for (int tile = 0; tile + 1 < kStages; ++tile) begin_stage(tile);
  for (std::int64_t tile = 0; tile * kDepth < depth; ++tile) {
    wait_copies<kStages - 2>();
    warp_barrier();  // the warp's tile is there, and none of its lanes computes with the one that is replaced
    begin_stage(tile + kStages - 1);
    const Stage& staged = shared.stage[gate][tile % kStages];
#pragma unroll
    for (int k = 0; k < kDepth; k += F::kStep) {
      if (tile * kDepth + k >= depth) break;
      std::uint32_t left[Slices::kHigh][4], right[Slices::kWide][2];
#pragma unroll
      for (int i = 0; i < Slices::kHigh; ++i) F::load_a(staged.a, true, 16 * i, k, left[i]);
#pragma unroll
      for (int j = 0; j < Slices::kWide; ++j) F::load_b(staged.b, H == 1, 8 * j, k, right[j]);
#pragma unroll
      for (int i = 0; i < Slices::kHigh; ++i)
#pragma unroll
        for (int j = 0; j < Slices::kWide; ++j) multiply_fragments(T{}, sum[i][j], left[i], right[j]);
    }
  }
  wait_copies<0>();
  barrier();  // all warps are done with the stages
  for_each_value([&](int row, int column, float& value) { shared.part[gate][row][column] = value; });
  barrier();
  for (int item = thread_index(); item < kM / kSumRows * kN; item += Slices::kThreads) {
    const std::int32_t block = static_cast<std::int32_t>(row0 / kSumRows) + item / kN;
    const std::int32_t unit = static_cast<std::int32_t>(unit0) + item % kN;
    if (block * kSumRows >= cell.rows || unit >= H) continue;
    backward_units<T, Cell>(cell, block, unit, [&](std::int32_t sequence) {
      return state_gradient_value(cell.gradient, sequence, unit, [&] {
        const int row = static_cast<int>(sequence - row0);
        float value = shared.part[0][row][item % kN];
#pragma unroll
        for (int k = 1; k < Cell::kGates; ++k) value = value + shared.part[k][row][item % kN];
        return value;
      });
    });
  }
}

template <class T, class Cell, class Slices>
void launch_step(Stream stream, const StepBackward<T>& p) {
  const Grid grid{(p.cell.rows + Slices::kM - 1) / Slices::kM, (p.cell.units + Slices::kN - 1) / Slices::kN};
  launch<typename Slices::Shared>(step_kernel<T, Cell, Slices>, grid, Slices::kThreads, stream, p);
}

}  // namespace

template <class T>
void step_backward(Stream stream, int cell, const StepBackward<T>& p) {
  for_each_cell([&]<class Cell>(int index) {
    if constexpr (!Cell::kWholeRows) {
      if (index != cell) return;
      // Few rows: small tiles, so that every processor has some.
      if (p.cell.rows <= 32)
        launch_step<T, Cell, GateSlices<T, Cell::kGates, 1, 1, 4>>(stream, p);
      else
        launch_step<T, Cell, GateSlices<T, Cell::kGates, 2, 2, 3>>(stream, p);
    }
  });
}

template void step_backward<BFloat16>(Stream, int, const StepBackward<BFloat16>&);
template void step_backward<Float16>(Stream, int, const StepBackward<Float16>&);

}  // namespace rnn_engine::cuda
