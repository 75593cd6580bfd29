// Products of float32 and float64 on the ordinary units: the bits of the CPU's products.
#pragma once

#include "cuda/gemm/tile.cuh"

namespace rnn_engine::cuda {

// A block computes kM x kN values, a thread kRows x kColumns of them, kDepth steps of k at a time.
template <class Number, int kM_, int kN_, int kDepth_, int kRows, int kColumns>
struct SimtTile {
  using T = Number;
  static constexpr int kM = kM_, kN = kN_, kDepth = kDepth_;
  static constexpr int kAcross = kN / kColumns, kThreads = kM / kRows * kAcross;
  static constexpr int kPad = 16 / sizeof(T);  // keeps rows aligned, and their banks apart

  struct Buffer {
    T a[kDepth][kM + kPad], b[kDepth][kN + kPad];
    __device__ void put_a(int row, int k, T value) { a[k][row] = value; }
    __device__ void put_b(int row, int k, T value) { b[k][row] = value; }
  };

  T sum[kRows][kColumns];

  __device__ static int first_row() { return thread_index() / kAcross * kRows; }
  __device__ static int first_column() { return thread_index() % kAcross * kColumns; }

  // Calls visit(row, column, value) for this thread's values.
  template <class Visit>
  __device__ void for_each(const Visit& visit) {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j) visit(first_row() + i, first_column() + j, sum[i][j]);
  }

  __device__ void multiply(const Buffer& buffer, int depth) {
#pragma unroll 4
    for (int k = 0; k < depth; ++k) {
      T a[kRows], b[kColumns];
#pragma unroll
      for (int i = 0; i < kRows; ++i) a[i] = buffer.a[k][first_row() + i];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) b[j] = buffer.b[k][first_column() + j];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
#pragma unroll
        for (int j = 0; j < kColumns; ++j) sum[i][j] = multiply_add(a[i], b[j], sum[i][j]);
    }
  }
};

}  // namespace rnn_engine::cuda
