// Compiled for AArch64. Six rows of four vectors, the panel's four and one of the left-hand side take 29 of
// its 32 registers.
#include "cpu/kernels/int8_lanes_neon.h"
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/vec_neon.h"

namespace rnn_engine::cpu {

Backend neon_backend() {
  return {"neon", make_kernels<NeonFloat, 6>(), make_kernels<NeonDouble, 6>(),
          make_pair_kernels<Pairs<NeonFloat>, 4, 6>(), make_int8_kernels<NeonInt8, 4, 1>()};
}

}  // namespace rnn_engine::cpu
