// Compiled for AVX-512 BF16 beside what AVX-512 is: only bfloat16 has kernels of its own here.
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/pairs_avx512_bf16.h"

namespace rnn_engine::cpu {

Backend avx512_backend();

Backend avx512_bf16_backend() {
  Backend backend = avx512_backend();
  backend.isa = "avx512_bf16";
  backend.bf16 = make_pair_kernels<Avx512Bf16Pairs, 6, 6>();
  return backend;
}

}  // namespace rnn_engine::cpu
