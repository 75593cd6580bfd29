// The vector types of AArch64's Advanced SIMD (NEON), which every such processor has.
#pragma once

#include <arm_neon.h>

#include "cpu/kernels/vec.h"

namespace rnn_engine {
namespace {

struct NeonFloat {
  using Scalar = float;
  static constexpr int kWidth = 4;
  float32x4_t v;

  NeonFloat() = default;
  RNN_ENGINE_INLINE NeonFloat(float32x4_t native) : v(native) {}
  RNN_ENGINE_INLINE explicit NeonFloat(float value) : v(vdupq_n_f32(value)) {}

  static RNN_ENGINE_INLINE NeonFloat load(const float* p) { return vld1q_f32(p); }
  RNN_ENGINE_INLINE void store(float* p) const { vst1q_f32(p, v); }
  // There are no masks: the first n values go in pairs and single lanes.
  static RNN_ENGINE_INLINE NeonFloat load(const float* p, int n) {
    const float32x4_t zero = vdupq_n_f32(0);
    if (n <= 0) return zero;
    if (n == 1) return vld1q_lane_f32(p, zero, 0);
    if (n >= kWidth) return vld1q_f32(p);
    const float32x4_t two = vcombine_f32(vld1_f32(p), vget_low_f32(zero));
    return n == 2 ? two : vld1q_lane_f32(p + 2, two, 2);
  }
  RNN_ENGINE_INLINE void store(float* p, int n) const {
    if (n >= kWidth) return vst1q_f32(p, v);
    if (n & 2) vst1_f32(p, vget_low_f32(v));
    if (n == 1) vst1q_lane_f32(p, v, 0);
    if (n == 3) vst1q_lane_f32(p + 2, v, 2);
  }

  // The second argument if one is NaN, as on x86: FMIN and FMAX would give NaN, FMINNM and FMAXNM the number.
  friend RNN_ENGINE_INLINE NeonFloat min(NeonFloat a, NeonFloat b) { return vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v); }
  friend RNN_ENGINE_INLINE NeonFloat max(NeonFloat a, NeonFloat b) { return vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v); }
  friend RNN_ENGINE_INLINE NeonFloat fma(NeonFloat a, NeonFloat b, NeonFloat c) { return vfmaq_f32(c.v, a.v, b.v); }
  // low, high = a0 b0 a1 b1 ...
  friend RNN_ENGINE_INLINE void interleave(NeonFloat a, NeonFloat b, NeonFloat& low, NeonFloat& high) {
    low = vzip1q_f32(a.v, b.v);
    high = vzip2q_f32(a.v, b.v);
  }
  friend RNN_ENGINE_INLINE NeonFloat round_even(NeonFloat x) { return vrndnq_f32(x.v); }
  friend RNN_ENGINE_INLINE NeonFloat pow2(NeonFloat n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n.v), vdupq_n_s32(127)), 23));
  }
};

struct NeonDouble {
  using Scalar = double;
  static constexpr int kWidth = 2;
  float64x2_t v;

  NeonDouble() = default;
  RNN_ENGINE_INLINE NeonDouble(float64x2_t native) : v(native) {}
  RNN_ENGINE_INLINE explicit NeonDouble(double value) : v(vdupq_n_f64(value)) {}

  static RNN_ENGINE_INLINE NeonDouble load(const double* p) { return vld1q_f64(p); }
  RNN_ENGINE_INLINE void store(double* p) const { vst1q_f64(p, v); }
  static RNN_ENGINE_INLINE NeonDouble load(const double* p, int n) {
    if (n >= kWidth) return vld1q_f64(p);
    const float64x2_t zero = vdupq_n_f64(0);
    return n == 1 ? vld1q_lane_f64(p, zero, 0) : zero;
  }
  RNN_ENGINE_INLINE void store(double* p, int n) const {
    if (n >= kWidth) return vst1q_f64(p, v);
    if (n == 1) vst1q_lane_f64(p, v, 0);
  }

  friend RNN_ENGINE_INLINE NeonDouble min(NeonDouble a, NeonDouble b) {
    return vbslq_f64(vcltq_f64(a.v, b.v), a.v, b.v);
  }
  friend RNN_ENGINE_INLINE NeonDouble max(NeonDouble a, NeonDouble b) {
    return vbslq_f64(vcgtq_f64(a.v, b.v), a.v, b.v);
  }
  friend RNN_ENGINE_INLINE NeonDouble fma(NeonDouble a, NeonDouble b, NeonDouble c) { return vfmaq_f64(c.v, a.v, b.v); }
  friend RNN_ENGINE_INLINE void interleave(NeonDouble a, NeonDouble b, NeonDouble& low, NeonDouble& high) {
    low = vzip1q_f64(a.v, b.v);
    high = vzip2q_f64(a.v, b.v);
  }
  friend RNN_ENGINE_INLINE NeonDouble round_even(NeonDouble x) { return vrndnq_f64(x.v); }
  friend RNN_ENGINE_INLINE NeonDouble pow2(NeonDouble n) {
    return vreinterpretq_f64_s64(vshlq_n_s64(vaddq_s64(vcvtnq_s64_f64(n.v), vdupq_n_s64(1023)), 52));
  }
};

}  // namespace
}  // namespace rnn_engine
