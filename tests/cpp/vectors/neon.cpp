#include "cpu/kernels/vec_neon.h"
#include "vector_ops.h"

namespace rnn_engine {

VectorTypes neon_vectors() { return {vector_ops<NeonFloat>(), vector_ops<NeonDouble>()}; }

}  // namespace rnn_engine
