// Which kernels any plan launches on the target that is being compiled for (plan.cpp): sm_75 has neither
// bfloat16 nor TF32, and what is never launched need not be compiled.
#pragma once

#include <type_traits>

#include "base/bfloat16.h"
#include "base/float16.h"

namespace rnn_engine::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr bool kHasAllTypes = false;
#else
inline constexpr bool kHasAllTypes = true;
#endif

// Kernels of T; those that use matrix units, of float32 by TF32.
template <class T>
inline constexpr bool kLaunched = kHasAllTypes || !std::is_same_v<T, BFloat16>;
template <class T>
inline constexpr bool kMatrixLaunched = kHasAllTypes || std::is_same_v<T, Float16>;

}  // namespace rnn_engine::cuda
