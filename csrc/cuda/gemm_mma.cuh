// Products on the matrix units: bfloat16 and float16, and float32 rounded to TF32.
#pragma once

#include "cuda/tile.cuh"

namespace rnn_engine::cuda {

// What shared memory holds for one value: 16 bits, or a float's TF32 bits.
template <class T>
struct MatrixWord {
  using Type = std::uint16_t;
  static __device__ Type of(T value) { return value.bits; }
};
template <>
struct MatrixWord<float> {
  using Type = std::uint32_t;
  static __device__ Type of(float value) { return to_tf32(value); }
};

// A block computes kM x kN values by kDown x kAcross warps, each of which has kHigh x kWide fragments of 16 x
// 8 values.
template <class Number, int kDown, int kAcross, int kHigh, int kWide, int kDepth_>
struct MatrixTile {
  using T = Number;
  using Word = typename MatrixWord<T>::Type;
  static constexpr int kM = kDown * kHigh * 16, kN = kAcross * kWide * 8, kDepth = kDepth_;
  static constexpr int kThreads = kDown * kAcross * 32;
  static constexpr int kInWord = 4 / sizeof(Word);     // values in the 32 bits that a fragment loads
  static constexpr int kStep = 8 * kInWord;            // k of one instruction
  static constexpr int kPitch = kDepth + 4 * kInWord;  // an odd multiple of 4 words: lanes meet no bank twice
  static_assert(kDepth % kStep == 0 && (kPitch / kInWord) % 8 == 4);

  struct Buffer {
    alignas(16) Word a[kM][kPitch];
    alignas(16) Word b[kN][kPitch];
    __device__ void put_a(int row, int k, T value) { a[row][k] = MatrixWord<T>::of(value); }
    __device__ void put_b(int row, int k, T value) { b[row][k] = MatrixWord<T>::of(value); }
  };

  float sum[kHigh][kWide][4];

  __device__ static int lane() { return thread_index() % 32; }
  __device__ static int first_row() { return thread_index() / 32 / kAcross * (kHigh * 16); }
  __device__ static int first_column() { return thread_index() / 32 % kAcross * (kWide * 8); }

  template <class Visit>
  __device__ void for_each(const Visit& visit) {
#pragma unroll
    for (int i = 0; i < kHigh; ++i)
#pragma unroll
      for (int j = 0; j < kWide; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          visit(first_row() + 16 * i + lane() / 4 + e / 2 * 8,
                first_column() + 8 * j + lane() % 4 * 2 + e % 2, sum[i][j][e]);
  }

  __device__ static std::uint32_t word(const Word* values, int index) {
    return reinterpret_cast<const std::uint32_t*>(values)[index];
  }

  // Beyond `depth` both operands are zeros.
  __device__ void multiply(const Buffer& buffer, int depth) {
    const int g = lane() / 4, q = lane() % 4;
#pragma unroll
    for (int k = 0; k < kDepth; k += kStep) {
      if (k >= depth) break;
      std::uint32_t a[kHigh][4], b[kWide][2];
      const int at = k / kInWord + q;
#pragma unroll
      for (int i = 0; i < kHigh; ++i)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          a[i][e] = word(buffer.a[first_row() + 16 * i + g + e % 2 * 8], at + e / 2 * 4);
#pragma unroll
      for (int j = 0; j < kWide; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) b[j][e] = word(buffer.b[first_column() + 8 * j + g], at + e * 4);
#pragma unroll
      for (int i = 0; i < kHigh; ++i)
#pragma unroll
        for (int j = 0; j < kWide; ++j) multiply_fragments(T{}, sum[i][j], a[i], b[j]);
    }
  }
};

}  // namespace rnn_engine::cuda
