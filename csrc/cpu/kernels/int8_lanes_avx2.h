// 8-bit products in AVX2. Its products of pairs are of an unsigned and a signed value: the sign goes from the one to
// the other. With -127..127 their sums, at most 32,258, fit 16 bits, and nothing saturates.
#pragma once

#include "cpu/kernels/int8.h"
#include "cpu/kernels/vec_avx2.h"

namespace rnn_engine {
namespace {

struct Avx2Int8 {
  using Vector = Avx2Float;
  static constexpr const char* kName = "avx2";
  static constexpr std::int32_t kOffset = 0;
  using Sum = __m256i;
  using Four = __m256i;

  static RNN_ENGINE_INLINE Sum begin(const std::int32_t* offsets) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offsets));
  }
  static RNN_ENGINE_INLINE Four load(const std::int8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static RNN_ENGINE_INLINE __m256i broadcast(std::int32_t four) { return _mm256_set1_epi32(four); }
  static RNN_ENGINE_INLINE Sum dot(Sum sum, __m256i a, Four b) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static RNN_ENGINE_INLINE Avx2Float as_float(Sum sum) { return _mm256_cvtepi32_ps(sum); }
  static RNN_ENGINE_INLINE void narrow(Avx2Float whole, std::int8_t* out, int lanes) {
    const __m256i words = _mm256_cvtps_epi32(whole.v);
    const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    std::int8_t values[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values), _mm_packs_epi16(half, half));
    std::memcpy(out, values, static_cast<std::size_t>(lanes));
  }
};

}  // namespace
}  // namespace rnn_engine
