// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3"). The same (key, counter) gives the same four words everywhere, so masks need not be stored.
#pragma once

#include <cstdint>

#include "base/device.h"

namespace rnn_engine {

struct PhiloxKey {
  std::uint32_t low, high;
};

struct PhiloxWords {
  std::uint32_t word[4];
};

// Of one counter.
RNN_ENGINE_DEVICE inline PhiloxWords philox(PhiloxWords counter, PhiloxKey key) {
  std::uint32_t* w = counter.word;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{w[0]} * 0xD2511F53u, p1 = std::uint64_t{w[2]} * 0xCD9E8D57u;
    w[0] = static_cast<std::uint32_t>(p1 >> 32) ^ w[1] ^ key.low;
    w[1] = static_cast<std::uint32_t>(p1);
    w[2] = static_cast<std::uint32_t>(p0 >> 32) ^ w[3] ^ key.high;
    w[3] = static_cast<std::uint32_t>(p0);
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
  return counter;
}

}  // namespace rnn_engine
