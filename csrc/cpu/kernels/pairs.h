// Pairs of bfloat16 for any vector type V of float: products in float32, the two of a pair in their order;
// and the conversions between V and bfloat16. In the compiler's own vector extension.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bfloat16.h"
#include "base/device.h"

namespace rnn_engine {

template <class V>
struct BitsOf {
  typedef std::uint32_t Words __attribute__((vector_size(sizeof(V))));
  typedef std::uint16_t Halves __attribute__((vector_size(sizeof(V) / 2)));
};

// A pair of neighbouring k for each lane of a V: the first in the lower half.
template <class V>
struct Pairs {
  using Vector = V;
  using Factor = V;
  using Words = typename BitsOf<V>::Words;
  static constexpr int kWidth = V::kWidth;
  static constexpr int kTerms = 2;  // multiplications that a pair takes
  Words v;

  static RNN_ENGINE_INLINE Pairs load(const BFloat16* p) {
    Pairs pairs;
    std::memcpy(&pairs.v, p, sizeof pairs.v);
    return pairs;
  }
  // `n` values, not pairs; the rest is zero.
  static RNN_ENGINE_INLINE Pairs load(const BFloat16* p, int n) {
    BFloat16 values[2 * kWidth] = {};
    for (int i = 0; i < n; ++i) values[i] = p[i];
    return load(values);
  }
  static RNN_ENGINE_INLINE Pairs broadcast(const BFloat16* p) {
    std::uint32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return {Words{} + pair};
  }
  static RNN_ENGINE_INLINE Pairs broadcast_first(const BFloat16* p) {
    return {Words{} + static_cast<std::uint32_t>(p->bits)};
  }
  // Of two rows, n and m values of them, at most kWidth; the rest is zero.
  static RNN_ENGINE_INLINE Pairs join(const BFloat16* first, int n, const BFloat16* second, int m) {
    if (n == kWidth && m == kWidth) return {words(first) | words(second) << 16};
    BFloat16 values[2 * kWidth] = {};
    for (int i = 0; i < n; ++i) values[2 * i] = first[i];
    for (int i = 0; i < m; ++i) values[2 * i + 1] = second[i];
    return load(values);
  }
  RNN_ENGINE_INLINE void store(BFloat16* p) const { std::memcpy(p, &v, sizeof v); }
  RNN_ENGINE_INLINE void store(BFloat16* p, int n) const {  // n pairs
    std::memcpy(p, &v, static_cast<std::size_t>(n) * 2 * sizeof *p);
  }

  // The same bits as lanes of V, to be moved about.
  RNN_ENGINE_INLINE V as_vector() const { return V((decltype(V::v))v); }
  static RNN_ENGINE_INLINE Pairs from(V bits) { return {(Words)bits.v}; }

  // The values of each pair that a multiplication takes.
  RNN_ENGINE_INLINE Factor factor(int term) const {
    const Words bits = term == 0 ? v << 16 : v & 0xffff0000u;
    return V((decltype(V::v))bits);
  }
  static RNN_ENGINE_INLINE V multiply_add(Factor a, Factor b, V c) { return fma(a, b, c); }

 private:
  static RNN_ENGINE_INLINE Words words(const BFloat16* p) {
    typename BitsOf<V>::Halves halves;
    std::memcpy(&halves, p, sizeof halves);
    return __builtin_convertvector(halves, Words);
  }
};

template <class V>
RNN_ENGINE_INLINE V load_lanes(const BFloat16* p) {
  typename BitsOf<V>::Halves halves;
  std::memcpy(&halves, p, sizeof halves);
  return V((decltype(V::v))(__builtin_convertvector(halves, typename BitsOf<V>::Words) << 16));
}
template <class V>
__attribute__((noinline)) V load_lanes(const BFloat16* p, int n) {
  BFloat16 values[V::kWidth] = {};
  for (int i = 0; i < n; ++i) values[i] = p[i];
  return load_lanes<V>(values);
}

// As `narrow`, in every lane.
template <class V>
RNN_ENGINE_INLINE void store_lanes(V x, BFloat16* p) {
  using Words = typename BitsOf<V>::Words;
  const Words bits = (Words)x.v;
  const Words nearest = bits + 0x7fffu + ((bits >> 16) & 1u);
  const Words result = (bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x400000u : nearest;
  const auto halves = __builtin_convertvector(result >> 16, typename BitsOf<V>::Halves);
  std::memcpy(p, &halves, sizeof halves);
}
template <class V>
__attribute__((noinline)) void store_lanes(V x, BFloat16* p, int n) {
  BFloat16 values[V::kWidth];
  store_lanes(x, values);
  for (int i = 0; i < n; ++i) p[i] = values[i];
}

// Values that are stored in bfloat16.
template <class V>
RNN_ENGINE_INLINE V load_units(const BFloat16* p, int units) {
  return units == V::kWidth ? load_lanes<V>(p) : load_lanes<V>(p, units);
}

template <class V>
RNN_ENGINE_INLINE void store_units(V value, BFloat16* p, int units) {
  if (units == V::kWidth)
    store_lanes(value, p);
  else
    store_lanes(value, p, units);
}

}  // namespace rnn_engine
