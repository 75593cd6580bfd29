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

constexpr int kMostThreads = 1024, kLanes = 32;

// What the lanes of a warp hand to one another where they meet.
struct Meeting {
  bool worked;  // one of them did what is to be done once for all
  alignas(8) unsigned char bytes[kLanes * 8];
  std::uint16_t matrix[4][8][8];
  float a[16][16];
  using Row = float __attribute__((vector_size(8 * sizeof(float))));
  Row b[16], product[16];

  template <class T>
  T* values() {
    return reinterpret_cast<T*>(bytes);
  }
};

// The next meeting may begin while some lanes have not left the last one, so there are two places.
struct Warp {
  Meeting meeting[2];
  unsigned char meetings[kLanes];  // of each lane, modulo 2
};
extern Warp warps[kMostThreads / kLanes];

inline int lane() { return place.thread % kLanes; }

inline Meeting& next_meeting() {
  Warp& warp = warps[place.thread / kLanes];
  return warp.meeting[warp.meetings[lane()] ^= 1];
}

// When all lanes have come, the first that goes on does the work of all.
template <class Work>
void meet(Meeting& meeting, const Work& work) {
  meeting.worked = false;
  warp_barrier();
  if (!meeting.worked) work();
  meeting.worked = true;
}

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

template <int n, class T, class Join>
T over_lanes(T value, const Join& join) {
  emulator::Meeting& all = emulator::next_meeting();
  T* const values = all.values<T>();
  values[emulator::lane()] = value;
  emulator::meet(all, [&] {
    for (int first = 0; first < emulator::kLanes; first += n)
      for (int half = n / 2; half > 0; half /= 2)
        for (int i = first; i < first + half; ++i) values[i] = join(values[i], values[i + half]);
  });
  return values[emulator::lane() / n * n];
}
template <class T, class Join>
T over_warp(T value, const Join& join) {
  return over_lanes<emulator::kLanes>(value, join);
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
  emulator::Meeting& all = emulator::next_meeting();
  const int lane = emulator::lane(), g = lane / 4, q = lane % 4;
  all.values<const void*>()[lane] = row;
  emulator::meet(all, [&] {
    for (int i = 0; i < 8 * kMatrices; ++i)
      std::memcpy(all.matrix[i / 8][i % 8], all.values<const void*>()[i], sizeof all.matrix[0][0]);
  });
  for (int i = 0; i < kMatrices; ++i) {
    const auto& matrix = all.matrix[i];
    m[i] = transposed ? matrix[2 * q][g] | std::uint32_t{matrix[2 * q + 1][g]} << 16
                      : matrix[g][2 * q] | std::uint32_t{matrix[g][2 * q + 1]} << 16;
  }
}

// To the nearest with 10 bits of mantissa, ties away from zero.
inline std::uint32_t to_tf32(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return x == x ? (bits + 0x1000u) & ~0x1fffu : bits;
}

namespace emulator {

// A register of a or b holds kPairs neighbouring k; value(bits, i): what the i-th of them stands for.
template <int kPairs, class ValueAt>
void multiply_fragments(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], const ValueAt& value) {
  Meeting& all = next_meeting();
  const int g = lane() / 4, q = lane() % 4;
  for (int i = 0; i < kPairs; ++i) {
    for (int e = 0; e < 4; ++e) all.a[g + e % 2 * 8][(q + e / 2 * 4) * kPairs + i] = value(a[e], i);
    for (int e = 0; e < 2; ++e) all.b[(q + e * 4) * kPairs + i][g] = value(b[e], i);
  }
  meet(all, [&] {
    for (int row = 0; row < 16; ++row) {
      Meeting::Row sum{};
      for (int k = 0; k < 8 * kPairs; ++k) sum += all.a[row][k] * all.b[k];
      all.product[row] = sum;
    }
  });
  for (int e = 0; e < 4; ++e) c[e] += all.product[g + e / 2 * 8][2 * q + e % 2];
}

template <class T>
void multiply_pairs(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  multiply_fragments<2>(c, a, b,
                        [](std::uint32_t bits, int i) { return widen(T{static_cast<std::uint16_t>(bits >> 16 * i)}); });
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
