// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3"). The same (key, counter) gives the same four words everywhere, so masks need not be stored.
#pragma once

#include <array>
#include <cstdint>

namespace rnn_engine {

struct PhiloxKey {
  std::uint32_t low, high;
};

// kLanes generators side by side, in arrays that the compiler turns into vectors. words[i][lane] is both the
// counter that goes in and the random word that comes out.
template <int kLanes>
inline __attribute__((always_inline)) void philox(std::uint32_t (&words)[4][kLanes], PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * words[0][lane];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * words[2][lane];
      const std::uint32_t w1 = words[1][lane], w3 = words[3][lane];
      words[0][lane] = static_cast<std::uint32_t>(p1 >> 32) ^ w1 ^ key.low;
      words[1][lane] = static_cast<std::uint32_t>(p1);
      words[2][lane] = static_cast<std::uint32_t>(p0 >> 32) ^ w3 ^ key.high;
      words[3][lane] = static_cast<std::uint32_t>(p0);
    }
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
}

}  // namespace rnn_engine
