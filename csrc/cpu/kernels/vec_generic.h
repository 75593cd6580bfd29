// A vector type for any processor, in the compiler's own vector extension.
//
// Fused multiply-add is emulated where the processor lacks it, so that results are those of the other
// instruction sets: for float, in double with the rounding made odd before the last one (Boldo & Melquiond
// 2008, "Emulation of FMA and correctly rounded sums"); for double by the C library. What is emulated, or
// goes value by value, is not inlined: the kernels would take ten times as long to compile.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/kernels/vec.h"

namespace rnn_engine {
namespace {

template <class T>
struct GenericNative;
template <>
struct GenericNative<float> {
  typedef float Type __attribute__((vector_size(16)));
};
template <>
struct GenericNative<double> {
  typedef double Type __attribute__((vector_size(16)));
};

template <class T>
struct GenericVec {
  using Scalar = T;
  static constexpr int kWidth = 16 / sizeof(T);
  using Native = typename GenericNative<T>::Type;
  Native v;

  GenericVec() = default;
  RNN_ENGINE_INLINE GenericVec(Native native) : v(native) {}
  RNN_ENGINE_INLINE explicit GenericVec(T value) : v(value - Native{}) {}  // a sum would lose the sign of -0

  static RNN_ENGINE_INLINE GenericVec load(const T* p) {
    Native v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  RNN_ENGINE_INLINE void store(T* p) const { std::memcpy(p, &v, sizeof v); }
  static __attribute__((noinline)) GenericVec load(const T* p, int n) {
    GenericVec out(T(0));
    for (int i = 0; i < n; ++i) out.v[i] = p[i];
    return out;
  }
  __attribute__((noinline)) void store(T* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }

  friend RNN_ENGINE_INLINE GenericVec min(GenericVec a, GenericVec b) { return a.v < b.v ? a.v : b.v; }
  friend RNN_ENGINE_INLINE GenericVec max(GenericVec a, GenericVec b) { return a.v > b.v ? a.v : b.v; }
  // low, high = a0 b0 a1 b1 ...
  friend RNN_ENGINE_INLINE void interleave(GenericVec a, GenericVec b, GenericVec& low, GenericVec& high) {
    Native first{}, second{};
    for (int i = 0; i < kWidth; ++i) {
      first[i] = (i % 2 ? b : a).v[i / 2];
      second[i] = (i % 2 ? b : a).v[(kWidth + i) / 2];
    }
    low = first;
    high = second;
  }
};

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
inline __attribute__((noinline)) GenericVec<float> fma(GenericVec<float> a, GenericVec<float> b, GenericVec<float> c) {
  GenericVec<float> out;
  for (int i = 0; i < 4; ++i) out.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return out;
}
#else
RNN_ENGINE_INLINE GenericNative<double>::Type round_to_odd_sum(GenericNative<double>::Type product,
                                                               GenericNative<double>::Type addend) {
  typedef std::int64_t Words __attribute__((vector_size(16)));
  const auto sum = product + addend, part = sum - product;
  const auto error = (product - (sum - part)) + (addend - part);  // NaN beside an infinite sum
  const Words above = error > 0.0, below = error < 0.0, positive = sum > 0.0, bits = (Words)sum;
  // An inexact sum with an even last bit moves to its odd neighbour on the side of the exact value.
  const Words moves = (above | below) & ((bits & 1) - 1), step = (above ^ positive) | 1;
  return (GenericNative<double>::Type)(bits + (moves & step));
}
inline __attribute__((noinline)) GenericVec<float> fma(GenericVec<float> a, GenericVec<float> b, GenericVec<float> c) {
  using Doubles = GenericNative<double>::Type;
  typedef double Wide __attribute__((vector_size(32)));
  struct Halves {
    Doubles half[2];
  };
  const auto widened = [](GenericVec<float> x) {
    return __builtin_bit_cast(Halves, __builtin_convertvector(x.v, Wide));
  };
  const Halves x = widened(a), y = widened(b), z = widened(c);
  Halves sum;
  for (int i = 0; i < 2; ++i) sum.half[i] = round_to_odd_sum(x.half[i] * y.half[i], z.half[i]);
  return __builtin_convertvector(__builtin_bit_cast(Wide, sum), GenericNative<float>::Type);
}
#endif
inline
    __attribute__((noinline)) GenericVec<double> fma(GenericVec<double> a, GenericVec<double> b, GenericVec<double> c) {
  GenericVec<double> out;
  for (int i = 0; i < 2; ++i) out.v[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
  return out;
}

// To the nearest whole number, ties to even, for |x| < 2^22 (float) or 2^51 (double): adding 1.5 * 2^p leaves
// no room for a fraction.
template <class T>
RNN_ENGINE_INLINE GenericVec<T> round_even(GenericVec<T> x) {
  const GenericVec<T> magic(sizeof(T) == 4 ? T(12582912) : T(6755399441055744));
  return (x + magic) - magic;
}

// 2^n for whole n within the normal numbers.
template <class T>
__attribute__((noinline)) GenericVec<T> pow2(GenericVec<T> n) {
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr int kBias = sizeof(T) == 4 ? 127 : 1023, kPlaces = sizeof(T) == 4 ? 23 : 52;
  GenericVec<T> out;
  for (int i = 0; i < GenericVec<T>::kWidth; ++i) {
    const int whole = n.v[i] == n.v[i] ? static_cast<int>(n.v[i]) : 0;
    out.v[i] = __builtin_bit_cast(T, static_cast<Word>(whole + kBias) << kPlaces);
  }
  return out;
}

}  // namespace
}  // namespace rnn_engine
