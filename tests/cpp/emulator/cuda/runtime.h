// The twin of csrc/cuda/runtime.h: device memory is the process's. Kernels wait on streams, which are lists,
// until the library's function that put them there returns; then streams run in an order drawn anew each
// time, until the caller's has nothing left to do.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#define __global__
#define __device__
#define __launch_bounds__(...)

namespace rnn_engine::cuda {

namespace emulator {
struct Queue;
struct Recording;
}  // namespace emulator

using Stream = emulator::Queue*;  // nullptr: the caller's

struct Grid {
  std::int64_t x = 1, y = 1;
};

namespace emulator {
// Runs `thread` for every thread of every block; `shared`: bytes that the threads of a block share.
void run(const std::function<void()>& thread, Grid grid, int threads, std::size_t shared);
void* shared();

// queues.cpp
void put(Stream stream, std::function<void()> work);
std::unique_ptr<Queue, void (*)(Queue*)> make_stream();
std::shared_ptr<bool> record(Stream stream, Recording*& recording);
void hold(Stream stream, const std::shared_ptr<bool>& done, Recording* recording);
bool captured(Stream stream);
std::shared_ptr<Recording> capture(Stream origin, const std::function<void()>& enqueue);
void replay(const std::shared_ptr<Recording>& recording, Stream stream);
void run_streams();
}  // namespace emulator

template <class Shared, class Params>
void launch(void (*kernel)(Params), Grid grid, int threads, Stream stream, const Params& params) {
  emulator::put(stream, [=] { emulator::run([&] { kernel(params); }, grid, threads, sizeof(Shared)); });
}

template <class Work>
void submit(Stream stream, Work&& work) {
  emulator::put(stream, std::forward<Work>(work));
}

class OwnStream {
 public:
  operator Stream() const { return queue_.get(); }

 private:
  std::unique_ptr<emulator::Queue, void (*)(emulator::Queue*)> queue_ = emulator::make_stream();
};

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  void record(Stream stream) { done_ = emulator::record(stream, recording_); }
  void hold(Stream stream) const { emulator::hold(stream, done_, recording_); }

 private:
  std::shared_ptr<bool> done_;
  emulator::Recording* recording_ = nullptr;
};

inline bool is_captured(Stream stream) { return emulator::captured(stream); }

class Graph {
 public:
  template <class Enqueue>
  Graph(Stream origin, const Enqueue& enqueue) : recording_(emulator::capture(origin, enqueue)) {}
  Graph(const Graph&) = delete;
  void launch(Stream stream) const { emulator::replay(recording_, stream); }

 private:
  std::shared_ptr<emulator::Recording> recording_;
};

struct Nothing {};

template <class Shared>
Shared& shared_memory() {
  return *static_cast<Shared*>(emulator::shared());
}

constexpr const char* kCublasNames[] = {"libcublas_emulated.so"};

inline void fill_zero(void* to, std::size_t bytes, Stream stream) {
  emulator::put(stream, [=] { std::memset(to, 0, bytes); });
}

struct DeviceFacts {
  int major, minor, processors;
  double clock, memory_rate;
};

inline int device_count() { return 1; }
inline DeviceFacts device_facts(int) { return {9, 0, 4, 1e9, 1e12}; }

// At the end of a function of the library its caller may look at the results.
class OnDevice {
 public:
  explicit OnDevice(int) {}
  ~OnDevice() noexcept(false) { emulator::run_streams(); }  // a library's work may fail
  OnDevice(const OnDevice&) = delete;
};

}  // namespace rnn_engine::cuda
