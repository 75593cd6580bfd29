#include "cpu/kernels/vec_generic.h"
#include "vector_ops.h"

namespace rnn_engine {

VectorTypes generic_vectors() { return {vector_ops<GenericVec<float>>(), vector_ops<GenericVec<double>>()}; }

}  // namespace rnn_engine
