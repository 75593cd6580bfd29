// bfloat16, a float's upper half, and what is computed with it: a type that is stored and a type that sums
// are taken in.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/device.h"

namespace rnn_engine {

struct BFloat16 {
  std::uint16_t bits;
};

// What values of a stored type T are computed in: accumulators, cell states, sums.
template <class T>
struct ValueOf {
  using Type = T;
};
template <>
struct ValueOf<BFloat16> {
  using Type = float;
};
template <class T>
using Value = typename ValueOf<T>::Type;

// Neighbouring k that a product takes at once, and that packed operands hold side by side.
template <class T>
inline constexpr int kInterleave = 1;
template <>
inline constexpr int kInterleave<BFloat16> = 2;

template <class T>
inline constexpr bool kRounds = !std::is_same_v<T, Value<T>>;  // what is stored is rounded

// Inlined everywhere: a copy compiled for one instruction set must not serve the others.
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE float widen(BFloat16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE float widen(float x) { return x; }
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE double widen(double x) { return x; }

// The nearest T, ties to even; NaN stays NaN.
template <class T>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE T narrow(Value<T> x) {
  return x;
}
template <>
RNN_ENGINE_DEVICE RNN_ENGINE_INLINE BFloat16 narrow<BFloat16>(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (x != x) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

}  // namespace rnn_engine
