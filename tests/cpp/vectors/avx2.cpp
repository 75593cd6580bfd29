#include "cpu/kernels/vec_avx2.h"
#include "vector_ops.h"

namespace rnn_engine {

VectorTypes avx2_vectors() { return {vector_ops<Avx2Float>(), vector_ops<Avx2Double>()}; }

}  // namespace rnn_engine
