// Pairs of bfloat16 on AVX-512 BF16: one dot product takes both values of a pair.
#pragma once

#include "cpu/kernels/pairs.h"
#include "cpu/kernels/vec_avx512.h"

namespace rnn_engine {
namespace {

struct Avx512Bf16Pairs {
  using Vector = Avx512Float;
  using Factor = __m512i;
  static constexpr int kWidth = Vector::kWidth;
  static constexpr int kTerms = 1;
  __m512i v;

  static RNN_ENGINE_INLINE Avx512Bf16Pairs load(const BFloat16* p) { return {_mm512_loadu_si512(p)}; }
  static RNN_ENGINE_INLINE Avx512Bf16Pairs load(const BFloat16* p, int n) {
    return {_mm512_maskz_loadu_epi16(static_cast<__mmask32>((std::uint64_t{1} << n) - 1), p)};
  }
  static RNN_ENGINE_INLINE Avx512Bf16Pairs broadcast(const BFloat16* p) {
    std::int32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return {_mm512_set1_epi32(pair)};
  }
  static RNN_ENGINE_INLINE Avx512Bf16Pairs broadcast_first(const BFloat16* p) { return {_mm512_set1_epi32(p->bits)}; }
  static RNN_ENGINE_INLINE Avx512Bf16Pairs join(const BFloat16* first, int n, const BFloat16* second, int m) {
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(Vector::mask(n), first));
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(Vector::mask(m), second));
    return {_mm512_or_si512(low, _mm512_slli_epi32(high, 16))};
  }
  RNN_ENGINE_INLINE void store(BFloat16* p) const { _mm512_storeu_si512(p, v); }
  RNN_ENGINE_INLINE void store(BFloat16* p, int n) const { _mm512_mask_storeu_epi32(p, Vector::mask(n), v); }
  RNN_ENGINE_INLINE Vector as_vector() const { return _mm512_castsi512_ps(v); }
  static RNN_ENGINE_INLINE Avx512Bf16Pairs from(Vector bits) { return {_mm512_castps_si512(bits.v)}; }

  RNN_ENGINE_INLINE Factor factor(int) const { return v; }
  static RNN_ENGINE_INLINE Vector multiply_add(Factor a, Factor b, Vector c) {
    return _mm512_dpbf16_ps(c.v, (__m512bh)a, (__m512bh)b);
  }
};

}  // namespace
}  // namespace rnn_engine
