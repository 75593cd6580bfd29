// Products on the matrix units: bfloat16 and float16, and float32 rounded to TF32.
#pragma once

#include "cuda/gemm/pipeline.cuh"

namespace rnn_engine::cuda {

// Fragments out of a tile in shared memory: of a 16 rows, of b 8, both kStep k wide.
template <class T>
struct Fragments {
  static constexpr int kStep = 16;

  // A lane gives the address of one row of 8 values; where rows lie across, it is a row of k, and the matrix
  // is transposed on the way.
  template <class Tile>
  __device__ static void load_a(const Tile& tile, bool along, int row, int k, std::uint32_t (&a)[4]) {
    const int lane = thread_index() % 32, within = lane % 8, second = lane / 8 % 2 * 8, third = lane / 16 * 8;
    const int place = along ? tile.place(true, row + second + within, k + third)
                            : tile.place(false, row + second, k + third + within);
    load_matrices(a, tile.value + place, !along);
  }
  template <class Tile>
  __device__ static void load_b(const Tile& tile, bool along, int row, int k, std::uint32_t (&b)[2]) {
    const int lane = thread_index() % 32, within = lane % 8, second = lane / 8 % 2 * 8;
    const int place = along ? tile.place(true, row + within, k + second) : tile.place(false, row, k + second + within);
    load_matrices(b, tile.value + place, !along);
  }
};

template <>
struct Fragments<float> {
  static constexpr int kStep = 8;

  template <class Tile>
  __device__ static void load_a(const Tile& tile, bool along, int row, int k, std::uint32_t (&a)[4]) {
    const int lane = thread_index() % 32;
#pragma unroll
    for (int e = 0; e < 4; ++e)
      a[e] = to_tf32(tile.value[tile.place(along, row + lane / 4 + e % 2 * 8, k + lane % 4 + e / 2 * 4)]);
  }
  template <class Tile>
  __device__ static void load_b(const Tile& tile, bool along, int row, int k, std::uint32_t (&b)[2]) {
    const int lane = thread_index() % 32;
#pragma unroll
    for (int e = 0; e < 2; ++e) b[e] = to_tf32(tile.value[tile.place(along, row + lane / 4, k + lane % 4 + e * 4)]);
  }
};

// A block computes kM x kN values by kDown x kAcross warps, each of which has kHigh x kWide fragments of 16 x
// 8 values; kStages tiles of kDepth k are under way.
template <class Number, int kDown, int kAcross, int kHigh_, int kWide, int kDepth_, int kStages_>
struct MatrixTile {
  using T = Number;
  static constexpr int kHigh = kHigh_;
  static constexpr int kM = kDown * kHigh * 16, kN = kAcross * kWide * 8, kDepth = kDepth_, kStages = kStages_;
  static constexpr int kThreads = kDown * kAcross * 32;

  struct Stage {
    StagedTile<T, kM, kDepth> a;
    StagedTile<T, kN, kDepth> b;
  };
  struct Shared {
    Stage stage[kStages];
  };

  float sum[kHigh][kWide][4];

  __device__ static int lane() { return thread_index() % 32; }
  __device__ static int first_row() { return thread_index() / 32 / kAcross * (kHigh * 16); }
  __device__ static int first_column() { return thread_index() / 32 % kAcross * (kWide * 8); }
  // Of element e of fragment (i, j).
  __device__ static int row_of(int i, int e) { return first_row() + 16 * i + lane() / 4 + e / 2 * 8; }
  __device__ static int column_of(int j, int e) { return first_column() + 8 * j + lane() % 4 * 2 + e % 2; }

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < kHigh; ++i)
#pragma unroll
      for (int j = 0; j < kWide; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sum[i][j][e] = 0;
  }

  // Calls visit(row, column, value) for this thread's values.
  template <class Visit>
  __device__ void for_each(const Visit& visit) {
#pragma unroll
    for (int i = 0; i < kHigh; ++i)
#pragma unroll
      for (int j = 0; j < kWide; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) visit(row_of(i, e), column_of(j, e), sum[i][j][e]);
  }

  // sum += a b^T over all of k. rows_a, rows_b: which rows of the operands stand in the tile's.
  template <class RowsA, class RowsB>
  __device__ void multiply(const Operand<T>& a, const Operand<T>& b, std::int64_t depth, const RowsA& rows_a,
                           const RowsB& rows_b) {
    Shared& shared = shared_memory<Shared>();
    const auto begin_stage = [&](std::int64_t tile) {
      if (tile * kDepth < depth) {
        Stage& stage_of = shared.stage[tile % kStages];
        stage<T, kM, kDepth, kThreads>(thread_index(), a, rows_a, tile * kDepth, depth, stage_of.a);
        stage<T, kN, kDepth, kThreads>(thread_index(), b, rows_b, tile * kDepth, depth, stage_of.b);
      }
      commit_copies();
    };
    for (int tile = 0; tile + 1 < kStages; ++tile) begin_stage(tile);
    const bool along_a = a.column == 1, along_b = b.column == 1;
    for (std::int64_t tile = 0; tile * kDepth < depth; ++tile) {
      wait_copies<kStages - 2>();
      barrier();  // the tile is there, and nobody computes with the one that the next copies replace
      begin_stage(tile + kStages - 1);
      multiply_stage(shared.stage[tile % kStages], along_a, along_b, depth - tile * kDepth);
    }
  }

 private:
  // Beyond `depth` both operands are zeros.
  __device__ void multiply_stage(const Stage& staged, bool along_a, bool along_b, std::int64_t depth) {
    using F = Fragments<T>;
#pragma unroll
    for (int k = 0; k < kDepth; k += F::kStep) {
      if (k >= depth) break;
      std::uint32_t a[kHigh][4], b[kWide][2];
#pragma unroll
      for (int i = 0; i < kHigh; ++i) F::load_a(staged.a, along_a, first_row() + 16 * i, k, a[i]);
#pragma unroll
      for (int j = 0; j < kWide; ++j) F::load_b(staged.b, along_b, first_column() + 8 * j, k, b[j]);
#pragma unroll
      for (int i = 0; i < kHigh; ++i)
#pragma unroll
        for (int j = 0; j < kWide; ++j) multiply_fragments(T{}, sum[i][j], a[i], b[j]);
    }
  }
};

}  // namespace rnn_engine::cuda
