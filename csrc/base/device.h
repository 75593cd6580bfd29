// RNN_ENGINE_DEVICE marks the text that processors and GPUs have in common. nvcc compiles a function for a
// GPU only if it says so; for all other compilers the word is empty. The one macro of its kind: nvcc offers
// nothing else for functions that are not constexpr.
#pragma once

#ifdef __CUDACC__
#define RNN_ENGINE_DEVICE __host__ __device__
#else
#define RNN_ENGINE_DEVICE
#endif
