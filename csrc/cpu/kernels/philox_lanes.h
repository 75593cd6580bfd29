// The generator of base/philox.h, 16 of them side by side.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/philox.h"

namespace rnn_engine::cpu {
namespace {

// In the compiler's vectors: it does not find them in a loop.
constexpr int kPhiloxLanes = 16;
typedef std::uint32_t PhiloxWord __attribute__((vector_size(4 * kPhiloxLanes)));
typedef std::uint64_t PhiloxProduct __attribute__((vector_size(8 * kPhiloxLanes)));

// Not inlined, as ten rounds of 16 are long. words[i][lane] is both the counter that goes in and the random
// word that comes out.
__attribute__((noinline)) void philox(std::uint32_t (&words)[4][kPhiloxLanes], PhiloxKey key) {
  PhiloxWord w[4];
  for (int i = 0; i < 4; ++i) std::memcpy(&w[i], words[i], sizeof w[i]);
  for (int round = 0; round < 10; ++round) {
    const PhiloxProduct p0 = __builtin_convertvector(w[0], PhiloxProduct) * 0xD2511F53u;
    const PhiloxProduct p1 = __builtin_convertvector(w[2], PhiloxProduct) * 0xCD9E8D57u;
    w[0] = __builtin_convertvector(p1 >> 32, PhiloxWord) ^ w[1] ^ key.low;
    w[1] = __builtin_convertvector(p1, PhiloxWord);
    w[2] = __builtin_convertvector(p0 >> 32, PhiloxWord) ^ w[3] ^ key.high;
    w[3] = __builtin_convertvector(p0, PhiloxWord);
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
  for (int i = 0; i < 4; ++i) std::memcpy(words[i], &w[i], sizeof w[i]);
}

}  // namespace
}  // namespace rnn_engine::cpu
