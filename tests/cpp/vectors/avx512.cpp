#include "cpu/kernels/vec_avx512.h"
#include "vector_ops.h"

namespace rnn_engine {

VectorTypes avx512_vectors() { return {vector_ops<Avx512Float>(), vector_ops<Avx512Double>()}; }

}  // namespace rnn_engine
