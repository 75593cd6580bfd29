// Compiled for AVX2 and FMA.
#include "cpu/kernels/int8_lanes_avx2.h"
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/vec_avx2.h"

namespace rnn_engine::cpu {

Backend avx2_backend() {
  return {"avx2", make_kernels<Avx2Float, 3>(), make_kernels<Avx2Double, 3>(),
          make_pair_kernels<Pairs<Avx2Float>, 2, 3>(), make_int8_kernels<Avx2Int8, 3, 2>()};
}

}  // namespace rnn_engine::cpu
