// 8-bit products in AVX-512 VNNI, of an unsigned and a signed value: what is multiplied is moved by 128, and 128 times
// the weights are taken off at the beginning.
#pragma once

#include "cpu/kernels/int8.h"
#include "cpu/kernels/vec_avx512.h"

namespace rnn_engine {
namespace {

struct Avx512VnniInt8 {
  using Vector = Avx512Float;
  static constexpr const char* kName = "avx512_vnni";
  static constexpr std::int32_t kOffset = -128;
  using Sum = __m512i;
  using Four = __m512i;

  static RNN_ENGINE_INLINE Sum begin(const std::int32_t* offsets) { return _mm512_loadu_si512(offsets); }
  static RNN_ENGINE_INLINE Four load(const std::int8_t* p) { return _mm512_loadu_si512(p); }
  static RNN_ENGINE_INLINE __m512i broadcast(std::int32_t four) { return _mm512_set1_epi32(four); }
  // gcc 12 copies and stores the sums of its own function at every step.
  static RNN_ENGINE_INLINE Sum dot(Sum sum, __m512i a, Four b) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
  static RNN_ENGINE_INLINE Avx512Float as_float(Sum sum) { return _mm512_cvtepi32_ps(sum); }
  static RNN_ENGINE_INLINE void narrow(Avx512Float whole, std::int8_t* out, int lanes) {
    const __mmask16 mask = static_cast<__mmask16>((1u << lanes) - 1);
    _mm512_mask_cvtsepi32_storeu_epi8(out, mask, _mm512_cvtps_epi32(whole.v));
  }
};

}  // namespace
}  // namespace rnn_engine
