// Whether values are numbers.
#pragma once

#include <cstdint>
#include <cstring>

namespace rnn_engine {

// Whether no value is infinite or not a number: those have all bits of the exponent set.
inline bool all_finite(const float* values, std::int64_t count) {
  constexpr std::uint32_t kExponent = 0x7F800000;
  std::uint32_t finite = 1;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    finite &= (bits & kExponent) != kExponent;
  }
  return finite != 0;
}

}  // namespace rnn_engine
