// The twin of csrc/cuda/runtime.h: device memory is the process's, a stream is nothing, and a kernel has run
// when its launch returns.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#define __global__
#define __device__
#define __launch_bounds__(...)

namespace rnn_engine::cuda {

using Stream = void*;

struct Grid {
  std::int64_t x = 1, y = 1;
};

namespace emulator {
// Runs `thread` for every thread of every block; `shared`: bytes that the threads of a block share.
void run(const std::function<void()>& thread, Grid grid, int threads, std::size_t shared);
void* shared();
}  // namespace emulator

template <class Shared, class Params>
void launch(void (*kernel)(Params), Grid grid, int threads, Stream, const Params& params) {
  emulator::run([&] { kernel(params); }, grid, threads, sizeof(Shared));
}

struct Nothing {};

template <class Shared>
Shared& shared_memory() {
  return *static_cast<Shared*>(emulator::shared());
}

template <class Work>
void submit(Stream, const Work& work) {
  work();
}

constexpr const char* kCublasNames[] = {"libcublas_emulated.so"};

inline void fill_zero(void* to, std::size_t bytes, Stream) { std::memset(to, 0, bytes); }

struct DeviceFacts {
  int major, minor, processors;
  double clock, memory_rate;
};

inline int device_count() { return 1; }
inline DeviceFacts device_facts(int) { return {9, 0, 4, 1e9, 1e12}; }

struct OnDevice {
  explicit OnDevice(int) {}
};

}  // namespace rnn_engine::cuda
