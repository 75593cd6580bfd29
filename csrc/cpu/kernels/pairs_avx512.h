// Pairs of bfloat16 on AVX-512, where masks load and store parts of a vector.
#pragma once

#include "cpu/kernels/pairs.h"
#include "cpu/kernels/vec_avx512.h"

namespace rnn_engine {
namespace {

// Self is the type itself, and says how pairs are multiplied.
template <class Self>
struct Avx512PairsOf {
  using Vector = Avx512Float;
  static constexpr int kWidth = Vector::kWidth;
  __m512i v;

  static RNN_ENGINE_INLINE Self load(const BFloat16* p) { return Self{{_mm512_loadu_si512(p)}}; }
  static RNN_ENGINE_INLINE Self load(const BFloat16* p, int n) {
    return Self{{_mm512_maskz_loadu_epi16(static_cast<__mmask32>((std::uint64_t{1} << n) - 1), p)}};
  }
  static RNN_ENGINE_INLINE Self broadcast(const BFloat16* p) {
    std::int32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return Self{{_mm512_set1_epi32(pair)}};
  }
  static RNN_ENGINE_INLINE Self broadcast_first(const BFloat16* p) { return Self{{_mm512_set1_epi32(p->bits)}}; }
  static RNN_ENGINE_INLINE Self join(const BFloat16* first, int n, const BFloat16* second, int m) {
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(Vector::mask(n), first));
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(Vector::mask(m), second));
    return Self{{_mm512_or_si512(low, _mm512_slli_epi32(high, 16))}};
  }
  RNN_ENGINE_INLINE void store(BFloat16* p) const { _mm512_storeu_si512(p, v); }
  RNN_ENGINE_INLINE void store(BFloat16* p, int n) const { _mm512_mask_storeu_epi32(p, Vector::mask(n), v); }
  RNN_ENGINE_INLINE Vector as_vector() const { return _mm512_castsi512_ps(v); }
  static RNN_ENGINE_INLINE Self from(Vector bits) { return Self{{_mm512_castps_si512(bits.v)}}; }
};

// Multiplied one after the other, in float32.
struct Avx512Pairs : Avx512PairsOf<Avx512Pairs> {
  using Factor = Avx512Float;
  static constexpr int kTerms = 2;

  RNN_ENGINE_INLINE Factor factor(int term) const {
    return _mm512_castsi512_ps(term == 0 ? _mm512_slli_epi32(v, 16) : _mm512_and_si512(v, _mm512_set1_epi32(-0x10000)));
  }
  static RNN_ENGINE_INLINE Vector multiply_add(Factor a, Factor b, Vector c) { return fma(a, b, c); }
};

}  // namespace
}  // namespace rnn_engine
