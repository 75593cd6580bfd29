// Compiled for AVX-512 F, BW, DQ and VL.
#include "cpu/kernels.h"
#include "cpu/vec_avx512.h"

namespace rnn_engine::cpu {

Backend avx512_backend() {
  return {"avx512", make_kernels<Avx512Float, 6>(), make_kernels<Avx512Double, 6>()};
}

}  // namespace rnn_engine::cpu
