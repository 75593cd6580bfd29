// From a dtype of rnn_engine.h to the type that is stored, on the CPU.
#pragma once

#include <cstddef>

#include "base/bfloat16.h"
#include "rnn_engine.h"

namespace rnn_engine {

// Returns visit.operator()<T>().
template <class Visit>
auto visit_dtype(int dtype, const Visit& visit) {
  switch (dtype) {
    case RNN_ENGINE_FLOAT32:
      return visit.template operator()<float>();
    case RNN_ENGINE_FLOAT64:
      return visit.template operator()<double>();
    default:
      return visit.template operator()<BFloat16>();
  }
}

// Bytes of a stored value.
inline std::size_t bytes_of_value(int dtype) {
  return dtype == RNN_ENGINE_FLOAT32 ? 4 : dtype == RNN_ENGINE_FLOAT64 ? 8 : 2;
}

}  // namespace rnn_engine
