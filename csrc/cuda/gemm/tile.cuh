// Tiles of a product's operands on their way from global memory through registers into shared memory.
#pragma once

#include "cuda/intrinsics.h"
#include "cuda/kernels/kernels.h"

namespace rnn_engine::cuda {

// As many neighbouring values as one instruction loads.
template <class T>
struct alignas(16) Pack {
  static constexpr int kCount = 16 / sizeof(T);
  T value[kCount];
};

// kRows x kDepth values of an operand, by kThreads threads. `fetch` begins the loads of a tile and `put`
// hands out its values, so that the next tile is on its way while this one is computed with.
template <class T, int kRows, int kDepth, int kThreads>
class Loader {
 public:
  static constexpr int kCount = Pack<T>::kCount, kPacks = kRows * kDepth / (kCount * kThreads);
  static_assert(kRows * kDepth % (kCount * kThreads) == 0 && kDepth % kCount == 0 && kRows % kCount == 0);

  // Rows and columns beyond `rows` and `depth`, counted from the operand's beginning, are zeros.
  __device__ void fetch(const Operand<T>& x, std::int64_t row0, std::int64_t k0, std::int64_t rows,
                        std::int64_t depth) {
#pragma unroll
    for (int i = 0; i < kPacks; ++i) {
      const Place at = place(x, i);
      held_[i] = load(x, row0 + at.row, k0 + at.k, rows, depth);
    }
  }

  // Calls store(row, k, value) for this thread's values.
  template <class Store>
  __device__ void put(const Operand<T>& x, const Store& store) const {
    const bool along = x.column == 1;
#pragma unroll
    for (int i = 0; i < kPacks; ++i) {
      const Place at = place(x, i);
#pragma unroll
      for (int j = 0; j < kCount; ++j) store(at.row + (along ? 0 : j), at.k + (along ? j : 0), held_[i].value[j]);
    }
  }

 private:
  struct Place {
    int row, k;
  };

  // Neighbouring threads load neighbouring packs, along k or across it.
  __device__ static Place place(const Operand<T>& x, int i) {
    const int index = i * kThreads + thread_index();
    if (x.column == 1) return {index / (kDepth / kCount), index % (kDepth / kCount) * kCount};
    return {index % (kRows / kCount) * kCount, index / (kRows / kCount)};
  }

  __device__ static Pack<T> load(const Operand<T>& x, std::int64_t row, std::int64_t k, std::int64_t rows,
                                 std::int64_t depth) {
    const bool along = x.column == 1;
    const std::int64_t left = row >= rows || k >= depth ? 0 : along ? depth - k : rows - row;
    const T* p = x.data + row * x.row + k * x.column;
    if (left >= kCount && reinterpret_cast<std::uintptr_t>(p) % sizeof(Pack<T>) == 0)
      return *reinterpret_cast<const Pack<T>*>(p);
    Pack<T> pack{};
#pragma unroll
    for (int j = 0; j < kCount; ++j)
      if (j < left) pack.value[j] = p[j];
    return pack;
  }

  Pack<T> held_[kPacks];
};

// What element (row, column) of a product begins with.
template <class T>
__device__ inline Value<T> initial_value(const Product<T>& p, std::int64_t row, std::int64_t column) {
  Value<T> value(0);
  if (p.bias[0]) value = p.bias[0][column];
  if (p.bias[1]) value = value + p.bias[1][column];
  if (p.init) value = p.init[row * p.init_row + column];
  if (p.stored_init) value = widen(p.stored_init[row * p.init_row + column]);
  return value;
}

template <class T>
__device__ inline void end_value(const Product<T>& p, std::int64_t row, std::int64_t column, Value<T> value) {
  if (p.stored_c)
    p.stored_c[row * p.c_row + column] = narrow<T>(value);
  else
    p.c[row * p.c_row + column] = value;
}

}  // namespace rnn_engine::cuda
