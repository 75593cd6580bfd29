// float16 (IEEE 754 binary16) where it is stored; what is computed with is float. GPUs alone use it.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bfloat16.h"

namespace rnn_engine {

struct Float16 {
  std::uint16_t bits;
};

template <>
struct ValueOf<Float16> {
  using Type = float;
};

RNN_ENGINE_DEVICE inline float widen(Float16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16, rest = x.bits & 0x7fffu;
  // A float with the same fields is 2^-112 as large; that product is exact, denormals included.
  std::uint32_t bits = rest << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  value *= 0x1p112f;
  std::memcpy(&bits, &value, sizeof bits);
  if (rest >= 0x7c00u) bits |= 0x7f800000u;  // infinite, or not a number
  bits |= sign;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// The nearest value, ties to even; beyond the largest infinity, as IEEE 754 has it; NaN stays NaN.
template <>
RNN_ENGINE_DEVICE inline Float16 narrow<Float16>(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (bits >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};
  if (bits < 0x38800000u) {  // denormal: adding 1/2 leaves room for as many places as are kept
    float value;
    std::memcpy(&value, &bits, sizeof value);
    value += 0.5f;
    std::memcpy(&bits, &value, sizeof bits);
    return {static_cast<std::uint16_t>(sign | (bits - 0x3f000000u))};
  }
  bits += 0xfffu + (bits >> 13 & 1u);
  return {static_cast<std::uint16_t>(sign | ((bits - 0x38000000u) >> 13))};
}

}  // namespace rnn_engine
