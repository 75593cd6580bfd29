// The kernels of cpu/kernels/kernels.h, written once for every vector type V. Included only by the files that
// are compiled for one instruction set each; everything here is a template over V or inlined, so that no
// other file can pick up a copy compiled for more than the machine has.
#pragma once

#include "cpu/kernels/cells.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/masks.h"
#include "cpu/kernels/softmax.h"

namespace rnn_engine::cpu {

// Steps of k that the panel is prefetched ahead of its use: it comes from the second or third cache. Of 0, 8,
// 24 and 48, tried on the four shapes of `benchmarks/engine.py`, 24 was the fastest, by 1 to 10 % over none;
// 48 was within noise.
inline constexpr int kPrefetchDepth = 24;

// The micro-kernel: kRows x kVectors accumulators in registers.
template <class V, int kRows, int kVectors>
void micro_kernel(const GemmTile<typename V::Scalar>& t, std::int64_t first_row) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::kWidth;
  int lanes[kVectors];
  bool full = true;
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const std::int64_t left = t.gates ? t.columns : t.columns - j * kWidth;
    lanes[j] = left < kWidth ? static_cast<int>(left) : kWidth;
    full = full && lanes[j] == kWidth;
  }

  V acc[kRows][kVectors];
  if (t.init) {
    const T* init = t.init + first_row * t.init_row;
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const T* p = init + i * t.init_row + j * t.vector_stride;
        __builtin_prefetch(p + kRows * t.init_row);  // for the next block of rows
        acc[i][j] = full ? V::load(p) : V::load(p, lanes[j]);
      }
    }
  } else {
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = V(T(0));
  }

  const T* a = t.a + first_row * t.a_row;
  const T* panel = t.panel;
  const std::ptrdiff_t a_row = t.a_row, a_col = t.a_col;
  for (std::int64_t k = 0; k < t.k; ++k) {
    V b[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      b[j] = V::load(panel + j * kWidth);
      __builtin_prefetch(panel + (kPrefetchDepth * kVectors + j) * kWidth);
    }
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const V value(a[i * a_row]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = fma(value, b[j], acc[i][j]);
    }
    a += a_col;
    panel += kVectors * kWidth;
  }

  T* c = t.c + first_row * t.c_row;
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      T* p = c + i * t.c_row + j * t.vector_stride;
      if (full)
        acc[i][j].store(p);
      else
        acc[i][j].store(p, lanes[j]);
    }
  }
}

// What `gemm` is made of: a micro-kernel for the type that is stored.
template <class V>
struct MicroKernel {
  using Stored = typename V::Scalar;
  template <int kRows, int kVectors>
  static inline __attribute__((always_inline)) void run(const GemmTile<Stored>& t, std::int64_t row) {
    micro_kernel<V, kRows, kVectors>(t, row);
  }
};

// Cuts the rows into blocks of nearly equal height.
template <class M, int kVectors, int kMaxRows>
inline __attribute__((always_inline)) void gemm_rows(const GemmTile<typename M::Stored>& t) {
  const std::int64_t blocks = (t.rows + kMaxRows - 1) / kMaxRows;
  std::int64_t row = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t height = (t.rows - row + (blocks - block) - 1) / (blocks - block);
    switch (height) {
      case 1:
        M::template run<1, kVectors>(t, row);
        break;
      case 2:
        M::template run<2, kVectors>(t, row);
        break;
      case 3:
        M::template run<3, kVectors>(t, row);
        break;
      case 4:
        if constexpr (kMaxRows >= 4) M::template run<4, kVectors>(t, row);
        break;
      case 5:
        if constexpr (kMaxRows >= 5) M::template run<5, kVectors>(t, row);
        break;
      default:
        if constexpr (kMaxRows >= 6) M::template run<6, kVectors>(t, row);
        break;
    }
    row += height;
  }
}

// kMaxRows: as many as the registers hold beside the panel's vectors.
template <class M, int kMaxRows>
void gemm(const GemmTile<typename M::Stored>& t) {
  switch (t.vectors) {
    case 1:
      gemm_rows<M, 1, kMaxRows>(t);
      break;
    case 2:
      gemm_rows<M, 2, kMaxRows>(t);
      break;
    case 3:
      gemm_rows<M, 3, kMaxRows>(t);
      break;
    default:
      gemm_rows<M, 4, kMaxRows>(t);
      break;
  }
}

// Turns kWidth rows of kWidth values into columns: each of the log2(kWidth) passes interleaves the two
// halves.
template <class V>
inline __attribute__((always_inline)) void transpose(V (&rows)[V::kWidth]) {
  constexpr int kHalf = V::kWidth / 2;
#pragma GCC unroll 4
  for (int pass = 1; pass < V::kWidth; pass *= 2) {
    V mixed[V::kWidth];
#pragma GCC unroll 8
    for (int i = 0; i < kHalf; ++i) interleave(rows[i], rows[i + kHalf], mixed[2 * i], mixed[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < V::kWidth; ++i) rows[i] = mixed[i];
  }
}

template <class V>
void pack_transposed(const TransposedPanel<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  constexpr int kWidth = V::kWidth, kAhead = 256 / sizeof(T);
  for (std::int64_t k = 0; k < t.k; k += kWidth) {
    const int count = static_cast<int>(t.k - k < kWidth ? t.k - k : kWidth);
    V block[kWidth];
    if (count == kWidth && t.columns == kWidth) {
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        block[j] = V::load(t.rows + j * t.row_stride + k);
        __builtin_prefetch(t.rows + j * t.row_stride + k + kAhead);
      }
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) block[i].store(t.panel + (k + i) * t.stride);
    } else {
      for (int j = 0; j < kWidth; ++j)
        block[j] = j < t.columns ? V::load(t.rows + j * t.row_stride + k, count) : V(T(0));
      transpose(block);
      for (int i = 0; i < count; ++i) block[i].store(t.panel + (k + i) * t.stride);
    }
  }
}

template <class V>
double peak(std::int64_t iterations) {
  using T = typename V::Scalar;
  constexpr int kChains = 16;
  V acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = V(T(i));
  V factor(T(0.5)), addend(T(1));
  for (std::int64_t n = 0; n < iterations; ++n) {
    asm volatile("" : "+x"(factor.v));  // keeps the compiler from seeing through the loop
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) acc[i] = fma(acc[i], factor, addend);
  }
  V total = acc[0];
  for (int i = 1; i < kChains; ++i) total = total + acc[i];
  T sink[V::kWidth];
  total.store(sink);
  asm volatile("" ::"r"(sink) : "memory");
  return 2.0 * kChains * V::kWidth * static_cast<double>(iterations);
}

template <class V, int kMaxRows>
Kernels<typename V::Scalar> make_kernels() {
  Kernels<typename V::Scalar> table{};
  table.width = V::kWidth;
  table.gemm = gemm<MicroKernel<V>, kMaxRows>;
  table.pack_transposed = pack_transposed<V>;
  set_cells<Lanes<V>>(table);
  table.dropout = dropout<V>;
  table.zoneout_forward = zoneout_forward<V>;
  table.zoneout_backward = zoneout_backward<V>;
  table.softmax_block = softmax_block<V>;
  table.softmax_join = softmax_join<V>;
  table.softmax_slope = softmax_slope<V>;
  table.peak = peak<V>;
  return table;
}

}  // namespace rnn_engine::cpu
