// A vector type for any processor, in the compiler's own vector extension.
//
// Fused multiply-add is emulated where the processor lacks it, so that results are those of the other
// instruction sets: for float, in double with the rounding made odd before the last one (Boldo & Melquiond
// 2008, "Emulation of FMA and correctly rounded sums"); for double by the C library.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define RNN_ENGINE_INLINE inline __attribute__((always_inline))

namespace rnn_engine {

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
  static RNN_ENGINE_INLINE GenericVec load(const T* p, int n) {
    GenericVec out(T(0));
    for (int i = 0; i < n; ++i) out.v[i] = p[i];
    return out;
  }
  RNN_ENGINE_INLINE void store(T* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }

  friend RNN_ENGINE_INLINE GenericVec operator+(GenericVec a, GenericVec b) { return a.v + b.v; }
  friend RNN_ENGINE_INLINE GenericVec operator-(GenericVec a, GenericVec b) { return a.v - b.v; }
  friend RNN_ENGINE_INLINE GenericVec operator*(GenericVec a, GenericVec b) { return a.v * b.v; }
  friend RNN_ENGINE_INLINE GenericVec operator/(GenericVec a, GenericVec b) { return a.v / b.v; }
  friend RNN_ENGINE_INLINE GenericVec operator-(GenericVec a) { return -a.v; }
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

RNN_ENGINE_INLINE float fma_scalar(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  const double product = static_cast<double>(a) * b;  // exact
  const double addend = c, sum = product + addend;
  const double part = sum - product, error = (product - (sum - part)) + (addend - part);
  std::int64_t bits;
  std::memcpy(&bits, &sum, sizeof bits);
  // An inexact sum with an even last bit moves to its odd neighbour on the side of the exact value.
  if (error != 0 && (bits & 1) == 0) bits += (error > 0) == (sum > 0) ? 1 : -1;
  double odd;
  std::memcpy(&odd, &bits, sizeof odd);
  return static_cast<float>(error == error ? odd : sum);
#endif
}
RNN_ENGINE_INLINE double fma_scalar(double a, double b, double c) { return __builtin_fma(a, b, c); }

template <class T>
RNN_ENGINE_INLINE GenericVec<T> fma(GenericVec<T> a, GenericVec<T> b, GenericVec<T> c) {
  GenericVec<T> out;
  for (int i = 0; i < GenericVec<T>::kWidth; ++i) out.v[i] = fma_scalar(a.v[i], b.v[i], c.v[i]);
  return out;
}

// To the nearest whole number, ties to even, for |x| < 2^22 (float) or 2^51 (double): adding 1.5 * 2^p leaves
// no room for a fraction.
RNN_ENGINE_INLINE GenericVec<float> round_even(GenericVec<float> x) {
  const GenericVec<float> magic(12582912.0f);
  return (x + magic) - magic;
}
RNN_ENGINE_INLINE GenericVec<double> round_even(GenericVec<double> x) {
  const GenericVec<double> magic(6755399441055744.0);
  return (x + magic) - magic;
}

// 2^n for whole n within the normal numbers.
RNN_ENGINE_INLINE GenericVec<float> pow2(GenericVec<float> n) {
  GenericVec<float> out;
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t bits =
        static_cast<std::uint32_t>((n.v[i] == n.v[i] ? static_cast<int>(n.v[i]) : 0) + 127) << 23;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    out.v[i] = value;
  }
  return out;
}
RNN_ENGINE_INLINE GenericVec<double> pow2(GenericVec<double> n) {
  GenericVec<double> out;
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t bits =
        static_cast<std::uint64_t>((n.v[i] == n.v[i] ? static_cast<int>(n.v[i]) : 0) + 1023) << 52;
    double value;
    std::memcpy(&value, &bits, sizeof value);
    out.v[i] = value;
  }
  return out;
}

}  // namespace rnn_engine
