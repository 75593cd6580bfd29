// 8-bit products in NEON, which every AArch64 processor has: pairs of products fit 16 bits.
#pragma once

#include <arm_neon.h>

#include "cpu/kernels/int8.h"
#include "cpu/kernels/vec_neon.h"

namespace rnn_engine {
namespace {

struct NeonInt8 {
  using Vector = NeonFloat;
  static constexpr const char* kName = "neon";
  static constexpr std::int32_t kOffset = 0;
  using Sum = int32x4_t;
  using Four = int8x16_t;

  static RNN_ENGINE_INLINE Sum begin(const std::int32_t* offsets) { return vld1q_s32(offsets); }
  static RNN_ENGINE_INLINE Four load(const std::int8_t* p) { return vld1q_s8(p); }
  static RNN_ENGINE_INLINE int8x16_t broadcast(std::int32_t four) { return vreinterpretq_s8_s32(vdupq_n_s32(four)); }
  static RNN_ENGINE_INLINE Sum dot(Sum sum, int8x16_t a, Four b) {
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
  }
  static RNN_ENGINE_INLINE NeonFloat as_float(Sum sum) { return vcvtq_f32_s32(sum); }
  static RNN_ENGINE_INLINE void narrow(NeonFloat whole, std::int8_t* out, int lanes) {
    std::int32_t values[4];
    vst1q_s32(values, vcvtq_s32_f32(whole.v));
    for (int i = 0; i < lanes; ++i) out[i] = static_cast<std::int8_t>(values[i]);
  }
};

}  // namespace
}  // namespace rnn_engine
