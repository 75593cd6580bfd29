// The generator of base/philox.h, 16 of them side by side.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/philox.h"
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace rnn_engine::cpu {
namespace {

constexpr int kPhiloxLanes = 16;

// Words in the lower halves of 64 bits: those of a product are what it began with and its result at once, and what
// gathers above them is nobody's. Products of lower halves are one instruction, which the compiler does not find.
#if defined(__AVX512F__)
constexpr int kPhiloxBytes = 64;
#elif defined(__AVX2__)
constexpr int kPhiloxBytes = 32;
#else
constexpr int kPhiloxBytes = 16;
#endif
constexpr int kPhiloxParts = 8 * kPhiloxLanes / kPhiloxBytes;
typedef std::uint64_t PhiloxPart __attribute__((vector_size(kPhiloxBytes)));
typedef std::uint32_t PhiloxWords32 __attribute__((vector_size(kPhiloxBytes / 2)));

RNN_ENGINE_INLINE PhiloxPart multiply_lower(PhiloxPart a, std::uint32_t factor) {
  const PhiloxPart b = PhiloxPart{} + factor;
#if defined(__AVX512F__)
  return (PhiloxPart)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (PhiloxPart)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (PhiloxPart)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__ARM_NEON)
  return (PhiloxPart)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#else
  return (a & 0xffffffffu) * b;
#endif
}

// Not inlined, as ten rounds of 16 are long. words[i][lane] is both the counter that goes in and the random
// word that comes out.
__attribute__((noinline)) void philox(std::uint32_t (&words)[4][kPhiloxLanes], PhiloxKey key) {
  PhiloxPart w[4][kPhiloxParts];
  PhiloxWords32 some;
  constexpr int kLanesOfPart = kPhiloxLanes / kPhiloxParts;
  for (int i = 0; i < 4; ++i)
    for (int part = 0; part < kPhiloxParts; ++part) {
      std::memcpy(&some, words[i] + part * kLanesOfPart, sizeof some);
      w[i][part] = __builtin_convertvector(some, PhiloxPart);
    }
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 8
    for (int part = 0; part < kPhiloxParts; ++part) {
      const PhiloxPart p0 = multiply_lower(w[0][part], 0xD2511F53u);
      const PhiloxPart p1 = multiply_lower(w[2][part], 0xCD9E8D57u);
      w[0][part] = (p1 >> 32) ^ w[1][part] ^ (PhiloxPart{} + key.low);
      w[1][part] = p1;
      w[2][part] = (p0 >> 32) ^ w[3][part] ^ (PhiloxPart{} + key.high);
      w[3][part] = p0;
    }
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
  for (int i = 0; i < 4; ++i)
    for (int part = 0; part < kPhiloxParts; ++part) {
      some = __builtin_convertvector(w[i][part], PhiloxWords32);
      std::memcpy(words[i] + part * kLanesOfPart, &some, sizeof some);
    }
}

}  // namespace
}  // namespace rnn_engine::cpu
