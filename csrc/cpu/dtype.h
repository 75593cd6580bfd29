// From a dtype of rnn_engine.h to the type that is stored, on the CPU.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

#include "base/bfloat16.h"
#include "base/build.h"
#include "base/error.h"
#include "rnn_engine.h"

namespace rnn_engine {

inline void require_dtype(int dtype) {
  if (kTranslatingAlone && dtype != RNN_ENGINE_FLOAT32)
    throw InvalidArgument("dtype: expected float32 (0), of which alone this library was built, got " +
                          std::to_string(dtype));
  if (dtype >= RNN_ENGINE_FLOAT32 && dtype <= RNN_ENGINE_BFLOAT16) return;
  throw InvalidArgument("dtype: expected float32 (0), float64 (1) or bfloat16 (2), got " +
                        (dtype == RNN_ENGINE_FLOAT16 ? "float16 (3), which needs CUDA" : std::to_string(dtype)));
}

// Returns visit.operator()<T>(); throws InvalidArgument for what is no dtype.
template <class Visit>
auto visit_dtype(int dtype, const Visit& visit) {
  if constexpr (kTranslatingAlone) {
    require_dtype(dtype);
    return visit.template operator()<float>();
  } else {
    switch (dtype) {
      case RNN_ENGINE_FLOAT32:
        return visit.template operator()<float>();
      case RNN_ENGINE_FLOAT64:
        return visit.template operator()<double>();
      default:
        require_dtype(dtype);
        return visit.template operator()<BFloat16>();
    }
  }
}

// The other way round.
template <class T>
constexpr int dtype_of() {
  return std::is_same_v<T, float>    ? RNN_ENGINE_FLOAT32
         : std::is_same_v<T, double> ? RNN_ENGINE_FLOAT64
                                     : RNN_ENGINE_BFLOAT16;
}

// Bytes of what a dtype is computed with: sums, cell states.
inline std::size_t bytes_of_sum(int dtype) {
  return visit_dtype(dtype, []<class T>() { return sizeof(Value<T>); });
}

}  // namespace rnn_engine
