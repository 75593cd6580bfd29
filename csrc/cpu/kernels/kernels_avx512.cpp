// Compiled for AVX-512 F, BW, DQ and VL.
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/pairs_avx512.h"
#include "cpu/kernels/vec_avx512.h"

namespace rnn_engine::cpu {

Backend avx2_backend();

// 8-bit products without VNNI are those of AVX2 (cpu/kernels/dispatch.cpp puts in those with it).
Backend avx512_backend() {
  return {"avx512", make_kernels<Avx512Float, 6>(), make_kernels<Avx512Double, 6>(),
          make_pair_kernels<Avx512Pairs, 4, 6>(), avx2_backend().int8};
}

}  // namespace rnn_engine::cpu
