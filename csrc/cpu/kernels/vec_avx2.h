// The vector types of AVX2 with FMA.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/kernels/vec.h"

namespace rnn_engine {
namespace {

struct Avx2Float {
  using Scalar = float;
  static constexpr int kWidth = 8;
  __m256 v;

  Avx2Float() = default;
  RNN_ENGINE_INLINE Avx2Float(__m256 native) : v(native) {}
  RNN_ENGINE_INLINE explicit Avx2Float(float value) : v(_mm256_set1_ps(value)) {}

  static RNN_ENGINE_INLINE __m256i mask(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static RNN_ENGINE_INLINE Avx2Float load(const float* p) { return _mm256_loadu_ps(p); }
  static RNN_ENGINE_INLINE Avx2Float load(const float* p, int n) { return _mm256_maskload_ps(p, mask(n)); }
  RNN_ENGINE_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  RNN_ENGINE_INLINE void store(float* p, int n) const { _mm256_maskstore_ps(p, mask(n), v); }

  friend RNN_ENGINE_INLINE Avx2Float min(Avx2Float a, Avx2Float b) { return _mm256_min_ps(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx2Float max(Avx2Float a, Avx2Float b) { return _mm256_max_ps(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx2Float fma(Avx2Float a, Avx2Float b, Avx2Float c) {
    return _mm256_fmadd_ps(a.v, b.v, c.v);
  }
  // low, high = a0 b0 a1 b1 ...
  friend RNN_ENGINE_INLINE void interleave(Avx2Float a, Avx2Float b, Avx2Float& low, Avx2Float& high) {
    const __m256 even = _mm256_unpacklo_ps(a.v, b.v), odd = _mm256_unpackhi_ps(a.v, b.v);
    low = _mm256_permute2f128_ps(even, odd, 0x20);
    high = _mm256_permute2f128_ps(even, odd, 0x31);
  }
  friend RNN_ENGINE_INLINE Avx2Float round_even(Avx2Float x) {
    return _mm256_round_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  friend RNN_ENGINE_INLINE Avx2Float pow2(Avx2Float n) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127)), 23));
  }
};

struct Avx2Double {
  using Scalar = double;
  static constexpr int kWidth = 4;
  __m256d v;

  Avx2Double() = default;
  RNN_ENGINE_INLINE Avx2Double(__m256d native) : v(native) {}
  RNN_ENGINE_INLINE explicit Avx2Double(double value) : v(_mm256_set1_pd(value)) {}

  static RNN_ENGINE_INLINE __m256i mask(int n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static RNN_ENGINE_INLINE Avx2Double load(const double* p) { return _mm256_loadu_pd(p); }
  static RNN_ENGINE_INLINE Avx2Double load(const double* p, int n) { return _mm256_maskload_pd(p, mask(n)); }
  RNN_ENGINE_INLINE void store(double* p) const { _mm256_storeu_pd(p, v); }
  RNN_ENGINE_INLINE void store(double* p, int n) const { _mm256_maskstore_pd(p, mask(n), v); }

  friend RNN_ENGINE_INLINE Avx2Double min(Avx2Double a, Avx2Double b) { return _mm256_min_pd(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx2Double max(Avx2Double a, Avx2Double b) { return _mm256_max_pd(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx2Double fma(Avx2Double a, Avx2Double b, Avx2Double c) {
    return _mm256_fmadd_pd(a.v, b.v, c.v);
  }
  friend RNN_ENGINE_INLINE void interleave(Avx2Double a, Avx2Double b, Avx2Double& low, Avx2Double& high) {
    const __m256d even = _mm256_unpacklo_pd(a.v, b.v), odd = _mm256_unpackhi_pd(a.v, b.v);
    low = _mm256_permute2f128_pd(even, odd, 0x20);
    high = _mm256_permute2f128_pd(even, odd, 0x31);
  }
  friend RNN_ENGINE_INLINE Avx2Double round_even(Avx2Double x) {
    return _mm256_round_pd(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  friend RNN_ENGINE_INLINE Avx2Double pow2(Avx2Double n) {
    const __m256i whole = _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(n.v));
    return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_add_epi64(whole, _mm256_set1_epi64x(1023)), 52));
  }
};

}  // namespace
}  // namespace rnn_engine
