// A forward step in one kernel, for types with matrix units: the product U h' of some units' gates, and the
// cell on them where the sums are. The chains are those of the product by itself, so the bits are too.
#include <type_traits>

#include "cuda/gemm/gemm_mma.cuh"
#include "cuda/kernels/cells.cuh"
#include "cuda/kernels/launched.cuh"

namespace rnn_engine::cuda {
namespace {

// The rows of U in a tile: for every 8 units, which one warp has, their gates one after the other. A thread's
// sums in the fragments of a row are so the gates of the same two units.
template <int kGates>
struct GateRows {
  std::int64_t first_unit, units;
  __device__ std::int64_t operator()(int row) const { return row % (8 * kGates) / 8 * units + unit(row); }
  __device__ std::int64_t left(int row) const { return units - unit(row); }

 private:
  __device__ std::int64_t unit(int row) const { return first_unit + row / (8 * kGates) * 8 + row % 8; }
};

template <class T, class Cell, class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1) step_kernel(StepForward<T> p) {
  if constexpr (!kMatrixLaunched<T>) return;
  constexpr int kGates = Cell::kGates, kUnits = Tile::kN / kGates;
  const CellForward<T>& cell = p.cell;
  const std::int64_t H = cell.units, row0 = block_x() * Tile::kM, unit0 = block_y() * kUnits;
  // Calls visit(i, e, sequence, unit) for this thread's values.
  const auto for_each_value = [&](const auto& visit) {
#pragma unroll
    for (int i = 0; i < Tile::kHigh; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const std::int64_t b = row0 + Tile::row_of(i, e);
        const std::int64_t unit = unit0 + Tile::first_column() / kGates + Tile::lane() % 4 * 2 + e % 2;
        if (b < cell.rows && unit < H) visit(i, e, static_cast<std::int32_t>(b), static_cast<std::int32_t>(unit));
      }
  };
  Tile tile;
  tile.clear();
  for_each_value([&](int i, int e, std::int32_t b, std::int32_t unit) {
#pragma unroll
    for (int k = 0; k < kGates; ++k) {
      const std::int64_t gate = k * H + unit;
      if constexpr (Cell::kSeparateRecurrentProduct)
        tile.sum[i][k][e] = p.bias ? p.bias[gate] : 0;
      else
        tile.sum[i][k][e] = cell.wx[b * cell.gate_row + gate];
    }
  });
  tile.multiply(p.h, p.u, p.depth, NeighbouringRows{row0, cell.rows}, GateRows<kGates>{unit0, H});
  for_each_value([&](int i, int e, std::int32_t b, std::int32_t unit) {
    One<Value<T>> wx[kGates], uh[kGates];
#pragma unroll
    for (int k = 0; k < kGates; ++k) {
      uh[k] = One<Value<T>>(tile.sum[i][k][e]);
      wx[k] = Cell::kSeparateRecurrentProduct ? One<Value<T>>(cell.wx[b * cell.gate_row + k * H + unit]) : uh[k];
    }
    forward_unit<T, Cell>(cell, b, unit, wx, uh);
  });
}

template <class T, class Cell, class Tile>
void launch_step(Stream stream, const StepForward<T>& p) {
  constexpr int kUnits = Tile::kN / Cell::kGates;
  const Grid grid{(p.cell.rows + Tile::kM - 1) / Tile::kM, (p.cell.units + kUnits - 1) / kUnits};
  launch<typename Tile::Shared>(step_kernel<T, Cell, Tile>, grid, Tile::kThreads, stream, p);
}

}  // namespace

template <class T>
void step_forward(Stream stream, int cell, const StepForward<T>& p) {
  for_each_cell([&]<class Cell>(int index) {
    if constexpr (!Cell::kWholeRows) {
      constexpr int kDepth = sizeof(T) == 2 ? 64 : 32;
      if (index != cell) return;
      // Few rows: small tiles, so that every processor has some. Many rows: large ones, which load less.
      if (p.cell.rows <= 32)
        launch_step<T, Cell, MatrixTile<T, 1, 1, 1, Cell::kGates, kDepth, 4>>(stream, p);
      else if (p.cell.rows <= 128)
        launch_step<T, Cell, MatrixTile<T, 4, 1, 1, Cell::kGates, kDepth, 3>>(stream, p);
      else
        launch_step<T, Cell, MatrixTile<T, 4, 2, 2, Cell::kGates, kDepth / 2, 3>>(stream, p);
    }
  });
}

template void step_forward<float>(Stream, int, const StepForward<float>&);
template void step_forward<BFloat16>(Stream, int, const StepForward<BFloat16>&);
template void step_forward<Float16>(Stream, int, const StepForward<Float16>&);

}  // namespace rnn_engine::cuda
