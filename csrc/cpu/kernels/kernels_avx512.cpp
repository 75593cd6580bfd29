// Compiled for AVX-512 F, BW, DQ and VL.
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/vec_avx512.h"

namespace rnn_engine::cpu {

Backend avx512_backend() {
  return {"avx512", make_kernels<Avx512Float, 6>(), make_kernels<Avx512Double, 6>(),
          make_pair_kernels<Pairs<Avx512Float>, 4>()};
}

}  // namespace rnn_engine::cpu
