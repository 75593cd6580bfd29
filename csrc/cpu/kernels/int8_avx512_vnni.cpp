// Compiled for AVX-512 VNNI beside what AVX-512 is.
#include "cpu/kernels/int8_lanes_avx512_vnni.h"

namespace rnn_engine::cpu {

Int8Kernels avx512_vnni_int8_kernels() { return make_int8_kernels<Avx512VnniInt8, 6, 4>(); }

}  // namespace rnn_engine::cpu
