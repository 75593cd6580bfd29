// The instructions that plain C++ has no words for. tests/cpp/emulator/cuda/intrinsics.h is the twin.
//
// Fragments of a product of matrices, as the PTX manual has them: a warp's lane holds with g = lane / 4, q = lane % 4
// of c [16, 8] the values (g, 2q), (g, 2q + 1), (g + 8, 2q), (g + 8, 2q + 1); of 16-bit operands with 16 k pairs of
// neighbouring k, of a [16, 16] those at (g, 2q), (g + 8, 2q), (g, 2q + 8), (g + 8, 2q + 8), of b [8, 16] at (g, 2q),
// (g, 2q + 8); of TF32 operands with 8 k of a (g, q), (g + 8, q), (g, q + 4), (g + 8, q + 4), of b (g, q), (g, q + 4).
#pragma once

#include <cstdint>

#include "base/float16.h"
#include "cuda/runtime.h"

namespace rnn_engine::cuda {

__device__ inline void barrier() { __syncthreads(); }
__device__ inline void warp_barrier() { __syncwarp(); }
__device__ inline int thread_index() { return static_cast<int>(threadIdx.x); }
__device__ inline int block_threads() { return static_cast<int>(blockDim.x); }
__device__ inline std::int64_t block_x() { return blockIdx.x; }
__device__ inline std::int64_t block_y() { return blockIdx.y; }

__device__ inline float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ inline double multiply_add(double a, double b, double c) { return __fma_rn(a, b, c); }

__device__ inline double logarithm(double x) { return ::log(x); }

// join(value of every lane of a group of n neighbours), the same for all of them, by halves; all lanes of the warp call
// it. `join` is commutative.
template <int n, class T, class Join>
__device__ inline T over_lanes(T value, const Join& join) {
  for (int mask = n / 2; mask > 0; mask /= 2) value = join(value, __shfl_xor_sync(0xffffffffu, value, mask));
  return value;
}
// Of the whole warp.
template <class T, class Join>
__device__ inline T over_warp(T value, const Join& join) {
  return over_lanes<32>(value, join);
}

// 16 bytes into shared memory, behind the thread's back; `wanted` = false: zeros. Both addresses are
// multiples of 16. sm_75 waits for them.
__device__ inline void copy_async(void* shared, const void* global, bool wanted) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global), "r"(wanted ? 16 : 0)
      : "memory");
#else
  *static_cast<uint4*>(shared) = wanted ? *static_cast<const uint4*>(global) : uint4{0, 0, 0, 0};
#endif
}
// Ends a group of copies; wait_copies returns when all but the last n groups have arrived.
__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int n>
__device__ inline void wait_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
#endif
}

// Matrices of 8 x 8 values of 16 bits out of shared memory: lane 8 i + r gives the address of row r of matrix i, and
// gets of each matrix the values (g, 2q) and (g, 2q + 1), or those of its transpose. All lanes of a warp call it.
__device__ inline void load_matrices(std::uint32_t (&m)[4], const void* row, bool transposed) {
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(at)
                 : "memory");
}
__device__ inline void load_matrices(std::uint32_t (&m)[2], const void* row, bool transposed) {
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(m[0]), "=r"(m[1])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                 : "=r"(m[0]), "=r"(m[1])
                 : "r"(at)
                 : "memory");
}

// A float rounded to TF32, as bits.
__device__ inline std::uint32_t to_tf32(float x) {
  std::uint32_t bits = 0;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
#endif
  return bits;
}

// c += a b^T; all lanes of a warp call it.
__device__ inline void multiply_fragments(BFloat16, float (&c)[4], const std::uint32_t (&a)[4],
                                          const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ inline void multiply_fragments(Float16, float (&c)[4], const std::uint32_t (&a)[4],
                                          const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  // sm_75 takes 8 k at once: the same registers, in two halves.
  for (int half = 0; half < 2; ++half)
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}

// TF32.
__device__ inline void multiply_fragments(float, float (&c)[4], const std::uint32_t (&a)[4],
                                          const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

}  // namespace rnn_engine::cuda
