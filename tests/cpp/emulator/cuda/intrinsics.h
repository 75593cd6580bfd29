// The twin of csrc/cuda/intrinsics.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "cuda/runtime.h"

namespace rnn_engine::cuda {

namespace emulator {

// Which thread runs; the emulator sets it whenever another one does.
struct Place {
  int thread, threads;
  std::int64_t x, y;
};
extern Place place;

void block_barrier();
void warp_barrier();

// What the lanes of the running thread's warp hand to one another.
struct Warp {
  alignas(16) unsigned char value[32][16];
  std::uint32_t a[32][4], b[32][2];
};
Warp& warp();

// The running thread's asynchronous copies; not wanted: zeros.
void copy_later(void* to, const void* from, std::size_t bytes, bool wanted);
void end_group();
void copy_all_but(std::size_t groups);

}  // namespace emulator

inline void barrier() { emulator::block_barrier(); }
inline void warp_barrier() { emulator::warp_barrier(); }
inline int thread_index() { return emulator::place.thread; }
inline int block_threads() { return emulator::place.threads; }
inline std::int64_t block_x() { return emulator::place.x; }
inline std::int64_t block_y() { return emulator::place.y; }

inline float multiply_add(float a, float b, float c) { return std::fma(a, b, c); }
inline double multiply_add(double a, double b, double c) { return std::fma(a, b, c); }

inline double logarithm(double x) { return std::log(x); }

template <class T>
T from_lane_xor(T value, int mask) {
  emulator::Warp& warp = emulator::warp();
  const int lane = thread_index() % 32;
  std::memcpy(warp.value[lane], &value, sizeof value);
  emulator::warp_barrier();
  std::memcpy(&value, warp.value[lane ^ mask], sizeof value);
  emulator::warp_barrier();
  return value;
}

// A copy is made when it is waited for, and not before.
inline void copy_async(void* shared, const void* global, bool wanted) {
  emulator::copy_later(shared, global, 16, wanted);
}
inline void commit_copies() { emulator::end_group(); }
template <int n>
void wait_copies() {
  emulator::copy_all_but(n);
}

template <int kMatrices>
void load_matrices(std::uint32_t (&m)[kMatrices], const void* row, bool transposed) {
  emulator::Warp& warp = emulator::warp();
  const int lane = thread_index() % 32, g = lane / 4, q = lane % 4;
  std::memcpy(warp.value[lane], &row, sizeof row);
  emulator::warp_barrier();
  const auto value = [&](int matrix, int i, int j) {
    const std::uint16_t* values;
    std::memcpy(&values, warp.value[8 * matrix + i], sizeof values);
    return std::uint32_t{values[j]};
  };
  for (int i = 0; i < kMatrices; ++i)
    m[i] = transposed ? value(i, 2 * q, g) | value(i, 2 * q + 1, g) << 16
                      : value(i, g, 2 * q) | value(i, g, 2 * q + 1) << 16;
  emulator::warp_barrier();
}

// To the nearest with 10 bits of mantissa, ties away from zero.
inline std::uint32_t to_tf32(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return x == x ? (bits + 0x1000u) & ~0x1fffu : bits;
}

namespace emulator {

// kPairs: registers hold two neighbouring k. value(bits, half) is what one of a register's k stands for.
template <int kPairs, class ValueAt>
void multiply_fragments(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], const ValueAt& value) {
  Warp& w = warp();
  const int lane = place.thread % 32, g = lane / 4, q = lane % 4;
  std::memcpy(w.a[lane], a, sizeof a);
  std::memcpy(w.b[lane], b, sizeof b);
  warp_barrier();
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, column = 2 * q + i % 2;
    float sum = 0;
    for (int half = 0; half < 2; ++half)
      for (int lane_k = 0; lane_k < 4; ++lane_k)
        for (int k = 0; k < kPairs; ++k)
          sum += value(w.a[row % 8 * 4 + lane_k][row / 8 + 2 * half], k) * value(w.b[column * 4 + lane_k][half], k);
    c[i] += sum;
  }
  warp_barrier();
}

template <class T>
void multiply_pairs(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  multiply_fragments<2>(
      c, a, b, [](std::uint32_t bits, int half) { return widen(T{static_cast<std::uint16_t>(bits >> 16 * half)}); });
}

}  // namespace emulator

inline void multiply_fragments(BFloat16, float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  emulator::multiply_pairs<BFloat16>(c, a, b);
}
inline void multiply_fragments(Float16, float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  emulator::multiply_pairs<Float16>(c, a, b);
}
inline void multiply_fragments(float, float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  emulator::multiply_fragments<1>(c, a, b, [](std::uint32_t bits, int) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  });
}

}  // namespace rnn_engine::cuda
