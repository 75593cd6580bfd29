// 8-bit products for any processor, and those of AArch64's NEON.
#pragma once

#include "cpu/kernels/int8.h"

namespace rnn_engine {
namespace {

// Sums of four lanes.
template <class V>
struct Int8Lanes {
  using Vector = V;
  static constexpr int kWidth = V::kWidth;
  static constexpr std::int32_t kOffset = 0;
  static_assert(kWidth == 4);
  static constexpr const char* kName = "generic";
  struct Sum {
    std::int32_t lanes[kWidth];
  };
  using Four = const std::int8_t*;

  static RNN_ENGINE_INLINE Sum begin(const std::int32_t* offsets) {
    Sum sum;
    for (int i = 0; i < kWidth; ++i) sum.lanes[i] = offsets[i];
    return sum;
  }
  static RNN_ENGINE_INLINE Four load(const std::int8_t* p) { return p; }
  static RNN_ENGINE_INLINE std::int32_t broadcast(std::int32_t four) { return four; }
  static __attribute__((noinline)) Sum dot(Sum sum, std::int32_t four, Four b) {
    std::int8_t a[4];
    std::memcpy(a, &four, sizeof a);
    for (int i = 0; i < kWidth; ++i)
      for (int j = 0; j < 4; ++j) sum.lanes[i] += a[j] * b[4 * i + j];
    return sum;
  }
  static RNN_ENGINE_INLINE V as_float(const Sum& sum) {
    float values[kWidth];
    for (int i = 0; i < kWidth; ++i) values[i] = static_cast<float>(sum.lanes[i]);
    return V::load(values);
  }
  static RNN_ENGINE_INLINE void narrow(V whole, std::int8_t* out, int lanes) {
    float values[kWidth];
    whole.store(values);
    for (int i = 0; i < lanes; ++i) out[i] = static_cast<std::int8_t>(values[i]);
  }
};

}  // namespace
}  // namespace rnn_engine
