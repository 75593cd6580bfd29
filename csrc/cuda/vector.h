// The vector types that csrc/cells is compiled with on a GPU. One<S>: a thread has a unit of its own.
// Spread<S, n>: the n threads of a block run on the same row together, and each holds one value of a vector;
// load(p) reads p[thread].
#pragma once

#include <cstdint>
#include <cstring>

#include "cells/lanes.h"
#include "cuda/intrinsics.h"

namespace rnn_engine::cuda {

template <class S>
struct One {
  using Scalar = S;
  static constexpr int kWidth = 1;
  S v;

  One() = default;
  __device__ explicit One(S value) : v(value) {}

  friend __device__ inline One operator+(One a, One b) { return One(a.v + b.v); }
  friend __device__ inline One operator-(One a, One b) { return One(a.v - b.v); }
  friend __device__ inline One operator*(One a, One b) { return One(a.v * b.v); }
  friend __device__ inline One operator/(One a, One b) { return One(a.v / b.v); }
  friend __device__ inline One operator-(One a) { return One(-a.v); }
  friend __device__ inline One min(One a, One b) { return a.v < b.v ? a : b; }
  friend __device__ inline One max(One a, One b) { return a.v > b.v ? a : b; }
  friend __device__ inline One fma(One a, One b, One c) { return One(multiply_add(a.v, b.v, c.v)); }
  friend __device__ inline One round_even(One x) {
    const S magic = sizeof(S) == 4 ? S(12582912.0) : S(6755399441055744.0);
    return One((x.v + magic) - magic);
  }
  // 2^n for whole n within the normal numbers.
  friend __device__ inline One pow2(One n) {
    const int whole = n.v == n.v ? static_cast<int>(n.v) : 0;
    S value;
    if constexpr (sizeof(S) == 4) {
      const std::uint32_t bits = static_cast<std::uint32_t>(whole + 127) << 23;
      std::memcpy(&value, &bits, sizeof value);
    } else {
      const std::uint64_t bits = static_cast<std::uint64_t>(whole + 1023) << 52;
      std::memcpy(&value, &bits, sizeof value);
    }
    return One(value);
  }
};

}  // namespace rnn_engine::cuda
