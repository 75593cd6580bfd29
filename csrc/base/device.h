// RNN_ENGINE_DEVICE marks the text that processors and GPUs have in common. nvcc compiles a function for a
// GPU only if it says so; for all other compilers the word is empty. RNN_ENGINE_INLINE marks what is inlined
// everywhere, since a copy compiled for one instruction set must not serve the others. The two macros of
// their kind: the language offers nothing else for them.
#pragma once

#ifdef __CUDACC__
#define RNN_ENGINE_DEVICE __host__ __device__
#else
#define RNN_ENGINE_DEVICE
#endif
#define RNN_ENGINE_INLINE inline __attribute__((always_inline))
