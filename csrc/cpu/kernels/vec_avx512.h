// The vector types of AVX-512 (F, DQ, VL, BW).
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu/kernels/vec.h"

namespace rnn_engine {
namespace {

struct Avx512Float {
  using Scalar = float;
  static constexpr int kWidth = 16;
  __m512 v;

  Avx512Float() = default;
  RNN_ENGINE_INLINE Avx512Float(__m512 native) : v(native) {}
  RNN_ENGINE_INLINE explicit Avx512Float(float value) : v(_mm512_set1_ps(value)) {}

  static RNN_ENGINE_INLINE __mmask16 mask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static RNN_ENGINE_INLINE Avx512Float load(const float* p) { return _mm512_loadu_ps(p); }
  static RNN_ENGINE_INLINE Avx512Float load(const float* p, int n) { return _mm512_maskz_loadu_ps(mask(n), p); }
  RNN_ENGINE_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  RNN_ENGINE_INLINE void store(float* p, int n) const { _mm512_mask_storeu_ps(p, mask(n), v); }

  friend RNN_ENGINE_INLINE Avx512Float min(Avx512Float a, Avx512Float b) { return _mm512_min_ps(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx512Float max(Avx512Float a, Avx512Float b) { return _mm512_max_ps(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx512Float fma(Avx512Float a, Avx512Float b, Avx512Float c) {
    return _mm512_fmadd_ps(a.v, b.v, c.v);
  }
  // low, high = a0 b0 a1 b1 ...
  friend RNN_ENGINE_INLINE void interleave(Avx512Float a, Avx512Float b, Avx512Float& low, Avx512Float& high) {
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    low = _mm512_permutex2var_ps(a.v, first, b.v);
    high = _mm512_permutex2var_ps(a.v, second, b.v);
  }
  friend RNN_ENGINE_INLINE Avx512Float round_even(Avx512Float x) { return _mm512_roundscale_ps(x.v, 0); }
  friend RNN_ENGINE_INLINE Avx512Float pow2(Avx512Float n) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23));
  }
};

struct Avx512Double {
  using Scalar = double;
  static constexpr int kWidth = 8;
  __m512d v;

  Avx512Double() = default;
  RNN_ENGINE_INLINE Avx512Double(__m512d native) : v(native) {}
  RNN_ENGINE_INLINE explicit Avx512Double(double value) : v(_mm512_set1_pd(value)) {}

  static RNN_ENGINE_INLINE __mmask8 mask(int n) { return static_cast<__mmask8>((1u << n) - 1u); }
  static RNN_ENGINE_INLINE Avx512Double load(const double* p) { return _mm512_loadu_pd(p); }
  static RNN_ENGINE_INLINE Avx512Double load(const double* p, int n) { return _mm512_maskz_loadu_pd(mask(n), p); }
  RNN_ENGINE_INLINE void store(double* p) const { _mm512_storeu_pd(p, v); }
  RNN_ENGINE_INLINE void store(double* p, int n) const { _mm512_mask_storeu_pd(p, mask(n), v); }

  friend RNN_ENGINE_INLINE Avx512Double min(Avx512Double a, Avx512Double b) { return _mm512_min_pd(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx512Double max(Avx512Double a, Avx512Double b) { return _mm512_max_pd(a.v, b.v); }
  friend RNN_ENGINE_INLINE Avx512Double fma(Avx512Double a, Avx512Double b, Avx512Double c) {
    return _mm512_fmadd_pd(a.v, b.v, c.v);
  }
  friend RNN_ENGINE_INLINE void interleave(Avx512Double a, Avx512Double b, Avx512Double& low, Avx512Double& high) {
    low = _mm512_permutex2var_pd(a.v, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b.v);
    high = _mm512_permutex2var_pd(a.v, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b.v);
  }
  friend RNN_ENGINE_INLINE Avx512Double round_even(Avx512Double x) { return _mm512_roundscale_pd(x.v, 0); }
  friend RNN_ENGINE_INLINE Avx512Double pow2(Avx512Double n) {
    return _mm512_castsi512_pd(
        _mm512_slli_epi64(_mm512_add_epi64(_mm512_cvtpd_epi64(n.v), _mm512_set1_epi64(1023)), 52));
  }
};

}  // namespace
}  // namespace rnn_engine
