// Tiles of a product's operands on their way from global into shared memory without a stop in registers,
// several tiles ahead of what is computed with.
#pragma once

#include "cuda/gemm/tile.cuh"

namespace rnn_engine::cuda {

// Where shared memory holds value (row, k) of a tile: as the operand lies in global memory, neighbours along
// k or across it. Padding sets the addresses that a warp reads at once in different banks.
template <class T, int kRows, int kDepth>
struct StagedTile {
  static constexpr int kAlong = kDepth + 16 / sizeof(T), kAcross = kRows + (sizeof(T) == 4 ? 8 : 16 / sizeof(T));
  static constexpr int kCount = kRows * kAlong > kDepth* kAcross ? kRows * kAlong : kDepth * kAcross;
  alignas(16) T value[kCount];

  __device__ static int place(bool along, int row, int k) { return along ? row * kAlong + k : k * kAcross + row; }
};

// Which row of an operand stands in a row of its tile, and how many neighbours from there on are inside.
struct NeighbouringRows {
  std::int64_t first, rows;
  __device__ std::int64_t operator()(int row) const { return first + row; }
  __device__ std::int64_t left(int row) const { return rows - first - row; }
};

// Begins the copies of a tile, whose k begins at k0, by kThreads threads, of which this is one. Where packs
// lie along the rows, `row_of` must give neighbours.
template <class T, int kRows, int kDepth, int kThreads, class RowOf>
__device__ inline void stage(int thread, const Operand<T>& x, const RowOf& row_of, std::int64_t k0, std::int64_t depth,
                             StagedTile<T, kRows, kDepth>& tile) {
  constexpr int kCount = Pack<T>::kCount, kPacks = kRows * kDepth / kCount;
  const bool along = x.column == 1;
#pragma unroll
  for (int first = 0; first < kPacks; first += kThreads) {
    const int index = first + thread;
    if (kPacks % kThreads != 0 && index >= kPacks) break;
    const int row = along ? index / (kDepth / kCount) : index % (kRows / kCount) * kCount;
    const int k = along ? index % (kDepth / kCount) * kCount : index / (kRows / kCount);
    T* to = tile.value + tile.place(along, row, k);
    const std::int64_t left_rows = row_of.left(row), left_k = depth - k0 - k;
    const std::int64_t left = left_rows <= 0 || left_k <= 0 ? 0 : along ? left_k : left_rows;
    const int inside = left < kCount ? static_cast<int>(left) : kCount;
    const T* from = inside ? x.data + row_of(row) * x.row + (k0 + k) * x.column : x.data;
    // An address must be a multiple of a pack's size even where nothing is read.
    const bool aligned = reinterpret_cast<std::uintptr_t>(from) % sizeof(Pack<T>) == 0;
    if (aligned && (inside == 0 || inside == kCount)) {
      copy_async(to, from, inside > 0);
    } else {
      Pack<T> pack{};
#pragma unroll
      for (int j = 0; j < kCount; ++j)
        if (j < inside) pack.value[j] = from[j];
      *reinterpret_cast<Pack<T>*>(to) = pack;
    }
  }
}

}  // namespace rnn_engine::cuda
