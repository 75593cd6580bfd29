// Products of bfloat16 over a type P of pairs of neighbouring k (cpu/kernels/pairs.h), as they are stored.
#pragma once

#include "base/build.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pairs.h"
#include "cpu/kernels/vector_kernels.h"

namespace rnn_engine::cpu {

// Adds one pair of k onto the accumulators. `kOdd`: the last k has no partner in a.
template <class P, int kRows, int kVectors, bool kOdd>
RNN_ENGINE_INLINE void add_pair(const BFloat16* a, std::ptrdiff_t a_row, const BFloat16* panel,
                                typename P::Vector (&acc)[kRows][kVectors]) {
  P b[kVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) b[j] = P::load(panel + 2 * j * P::kWidth);
#pragma GCC unroll 2
  for (int term = 0; term < (kOdd ? 1 : P::kTerms); ++term) {
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const P pair = kOdd ? P::broadcast_first(a + i * a_row) : P::broadcast(a + i * a_row);
      const typename P::Factor value = pair.factor(term);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) acc[i][j] = P::multiply_add(value, b[j].factor(term), acc[i][j]);
    }
  }
}

// Products of pairs of neighbouring k.
template <class P>
struct MultiplyPairs {
  using Vector = typename P::Vector;
  using Stored = BFloat16;
  using Tile = GemmTile<BFloat16>;
  static constexpr bool kHalvesPanels = false;  // whose values lie in pairs
  static constexpr int kChainOperations = 4;

  static P chain_factor() {
    const BFloat16 half[2] = {narrow<BFloat16>(0.5f), narrow<BFloat16>(0.25f)};
    return P::broadcast(half);
  }
  static RNN_ENGINE_INLINE Vector chain(Vector acc, P factor) {
#pragma GCC unroll 2
    for (int term = 0; term < P::kTerms; ++term) acc = P::multiply_add(factor.factor(term), factor.factor(term), acc);
    return acc;
  }

  // acc += a[kRows, k] * panel[k, kVectors]
  template <int kRows, int kVectors>
  static RNN_ENGINE_INLINE void accumulate(const GemmTile<BFloat16>& t, const BFloat16* a,
                                           Vector (&acc)[kRows][kVectors]) {
    constexpr int kPair = 2 * kVectors * Vector::kWidth;
    const BFloat16* panel = t.panel;
    const std::ptrdiff_t a_row = t.a_row, a_pair = 2 * t.a_col;
    for (std::int64_t k = 0; k + 1 < t.k; k += 2) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) __builtin_prefetch(panel + kPrefetchDepth * kPair + 2 * j * Vector::kWidth);
      add_pair<P, kRows, kVectors, false>(a, a_row, panel, acc);
      a += a_pair;
      panel += kPair;
    }
    if (t.k % 2 != 0) add_pair<P, kRows, kVectors, true>(a, a_row, panel, acc);
  }
};

}  // namespace rnn_engine::cpu
