// Every operation of a vector type, applied to arrays. Like the kernels, the files that include this are
// compiled for one instruction set each.
#pragma once

#include <cstdint>

namespace rnn_engine {

// As many values as any vector type takes at a time.
inline constexpr int kOperands = 16;

template <class T>
struct VectorResults {
  T sum[kOperands], difference[kOperands], product[kOperands], quotient[kOperands], negative[kOperands],
      least[kOperands], most[kOperands], fused[kOperands], rounded[kOperands], power[kOperands], broadcast[kOperands],
      interleaved[2 * kOperands];
};

template <class T>
struct VectorOps {
  // `whole`: whole numbers for pow2.
  void (*apply)(const T* a, const T* b, const T* c, const T* whole, VectorResults<T>& results);
  // Loads n of kWidth values from `from`, stores all to `lanes`, and stores n to `to`.
  void (*move)(const T* from, int n, T* lanes, T* to);
  int width;
};

template <class V>
VectorOps<typename V::Scalar> vector_ops() {
  using T = typename V::Scalar;
  const auto apply = [](const T* a, const T* b, const T* c, const T* whole, VectorResults<T>& r) {
    for (int i = 0; i < kOperands; i += V::kWidth) {
      const V x = V::load(a + i), y = V::load(b + i), z = V::load(c + i);
      (x + y).store(r.sum + i);
      (x - y).store(r.difference + i);
      (x * y).store(r.product + i);
      (x / y).store(r.quotient + i);
      (-x).store(r.negative + i);
      min(x, y).store(r.least + i);
      max(x, y).store(r.most + i);
      fma(x, y, z).store(r.fused + i);
      round_even(x).store(r.rounded + i);
      pow2(V::load(whole + i)).store(r.power + i);
      V low, high;
      interleave(x, y, low, high);
      low.store(r.interleaved + 2 * i);
      high.store(r.interleaved + 2 * i + V::kWidth);
      T lanes[V::kWidth];
      for (int j = 0; j < V::kWidth; ++j) {
        V(a[i + j]).store(lanes);
        r.broadcast[i + j] = lanes[V::kWidth - 1];
      }
    }
  };
  const auto move = [](const T* from, int n, T* lanes, T* to) {
    const V v = V::load(from, n);
    v.store(lanes);
    v.store(to, n);
  };
  return {apply, move, V::kWidth};
}

struct VectorTypes {
  VectorOps<float> f32;
  VectorOps<double> f64;
};

VectorTypes generic_vectors();
VectorTypes neon_vectors();
VectorTypes avx2_vectors();
VectorTypes avx512_vectors();

}  // namespace rnn_engine
