// Pairs of bfloat16 on AVX-512 BF16: one dot product takes both values of a pair.
#pragma once

#include "cpu/kernels/pairs_avx512.h"

namespace rnn_engine {
namespace {

struct Avx512Bf16Pairs : Avx512PairsOf<Avx512Bf16Pairs> {
  using Factor = __m512i;
  static constexpr int kTerms = 1;

  RNN_ENGINE_INLINE Factor factor(int) const { return v; }
  static RNN_ENGINE_INLINE Vector multiply_add(Factor a, Factor b, Vector c) {
    return _mm512_dpbf16_ps(c.v, (__m512bh)a, (__m512bh)b);
  }
};

}  // namespace
}  // namespace rnn_engine
