// The vector type that csrc/cells is compiled with on a GPU: n values, one in each of n threads; load(p) reads
// p[thread]. With n = 1 a thread has a unit of its own, else the n threads of a block run on one row together.
#pragma once

#include <cstdint>
#include <cstring>

#include "cells/lanes.h"
#include "cuda/intrinsics.h"

namespace rnn_engine {
namespace cuda {

template <class S, int n>
struct Units {
  using Scalar = S;
  static constexpr int kWidth = n;
  S v;

  Units() = default;
  __device__ explicit Units(S value) : v(value) {}

  __device__ static int lane() { return n == 1 ? 0 : thread_index(); }
  __device__ static Units load(const S* p) { return Units(p[lane()]); }
  __device__ static Units load(const S* p, int count) { return Units(lane() < count ? p[lane()] : S(0)); }
  __device__ void store(S* p) const { p[lane()] = v; }
  __device__ void store(S* p, int count) const {
    if (lane() < count) p[lane()] = v;
  }

  friend __device__ inline Units operator+(Units a, Units b) { return Units(a.v + b.v); }
  friend __device__ inline Units operator-(Units a, Units b) { return Units(a.v - b.v); }
  friend __device__ inline Units operator*(Units a, Units b) { return Units(a.v * b.v); }
  friend __device__ inline Units operator/(Units a, Units b) { return Units(a.v / b.v); }
  friend __device__ inline Units operator-(Units a) { return Units(-a.v); }
  friend __device__ inline Units min(Units a, Units b) { return a.v < b.v ? a : b; }
  friend __device__ inline Units max(Units a, Units b) { return a.v > b.v ? a : b; }
  friend __device__ inline Units fma(Units a, Units b, Units c) { return Units(multiply_add(a.v, b.v, c.v)); }
  friend __device__ inline Units first_units(Units x, int count) { return Units(lane() < count ? x.v : S(0)); }
  friend __device__ inline Units round_even(Units x) {
    const S magic = sizeof(S) == 4 ? S(12582912.0) : S(6755399441055744.0);
    return Units((x.v + magic) - magic);
  }
  // 2^n for whole n within the normal numbers.
  friend __device__ inline Units pow2(Units x) {
    const int whole = x.v == x.v ? static_cast<int>(x.v) : 0;
    S value;
    if constexpr (sizeof(S) == 4) {
      const std::uint32_t bits = static_cast<std::uint32_t>(whole + 127) << 23;
      std::memcpy(&value, &bits, sizeof value);
    } else {
      const std::uint64_t bits = static_cast<std::uint64_t>(whole + 1023) << 52;
      std::memcpy(&value, &bits, sizeof value);
    }
    return Units(value);
  }
};

template <class S>
using One = Units<S, 1>;

// What a block's warps hand to one another in a sum.
struct BlockSums {
  double part[32];
};

// join(value of every thread) of the block's n threads, in one fixed order; all of them call it, in a kernel
// that shares BlockSums.
template <int n, class S, class Join>
__device__ inline S over_block(S value, const Join& join) {
  static_assert(n % 32 == 0 && n <= 1024);
  value = over_warp(value, join);
  auto& part = shared_memory<BlockSums>().part;
  if (thread_index() % 32 == 0) part[thread_index() / 32] = value;
  barrier();
  S all = static_cast<S>(part[0]);
  for (int warp = 1; warp < n / 32; ++warp) all = join(all, static_cast<S>(part[warp]));
  barrier();  // before the next sum writes
  return all;
}

}  // namespace cuda

// A sum over the units of a row that a block runs on: each thread has its own part.
template <class S, int n>
struct LaneSum<cuda::Units<S, n>> {
  using V = cuda::Units<S, n>;
  static constexpr int kVectors = 1;
  V part[kVectors];

  __device__ LaneSum() { part[0] = V(S(0)); }
  __device__ V& at(std::int64_t) { return part[0]; }
  __device__ S total() const {
    return cuda::over_block<n>(part[0].v, [](S a, S b) { return a + b; });
  }
};

}  // namespace rnn_engine
