// Rows of vectors into columns.
#pragma once

#include "base/device.h"

namespace rnn_engine::cpu {

// Turns kWidth rows of kWidth values into columns: each of the log2(kWidth) passes interleaves the two halves.
template <class V>
RNN_ENGINE_INLINE void transpose(V (&rows)[V::kWidth]) {
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

}  // namespace rnn_engine::cpu
