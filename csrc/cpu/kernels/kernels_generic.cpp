#include "cpu/kernels/int8_lanes_generic.h"
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/vec_generic.h"

namespace rnn_engine::cpu {

Backend generic_backend() {
  return {"generic", make_kernels<GenericVec<float>, 1>(), make_kernels<GenericVec<double>, 1>(),
          make_pair_kernels<Pairs<GenericVec<float>>, 1, 1>(), make_int8_kernels<Int8Lanes<GenericVec<float>>, 1, 1>()};
}

}  // namespace rnn_engine::cpu
