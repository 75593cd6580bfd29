// The one place that knows the CUDA runtime: launches, copies, streams, graphs, facts of a device, and what a kernel
// may use beside plain C++. tests/cpp/emulator/cuda/runtime.h is its twin, which runs kernels on the CPU.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace rnn_engine::cuda {

using Stream = cudaStream_t;

inline void check(cudaError_t code, const char* what) {
  if (code != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(code));
}

struct Grid {
  std::int64_t x = 1, y = 1;  // y: at most 65535
};

struct Nothing {};  // shared by threads that share nothing

#ifdef __CUDACC__
// Runs `kernel` on grid.x * grid.y blocks, each with a `Shared` that its threads share.
template <class Shared, class Params>
void launch(void (*kernel)(Params), Grid grid, int threads, Stream stream, const Params& params) {
  if (grid.x == 0 || grid.y == 0) return;
  constexpr std::size_t kUsual = 48 << 10, kMost = 64 << 10;  // of sm_75
  static_assert(sizeof(Shared) <= kMost);
  if constexpr (sizeof(Shared) > kUsual)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared)),
          "CUDA shared memory");
  kernel<<<dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y)), threads, sizeof(Shared), stream>>>(
      params);
  check(cudaGetLastError(), "CUDA kernel");
}

template <class Shared>
__device__ inline Shared& shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return *reinterpret_cast<Shared*>(memory);
}
#endif

// Puts a library's work on a stream. All of it goes through here, as kernels go through launch; `work` has
// what it needs by value.
template <class Work>
void submit(Stream, Work&& work) {
  work();
}

// Names of the cuBLAS that works on this device's memory, the best first: a name is that of a version of the API.
constexpr const char* kCublasNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};

inline void fill_zero(void* to, std::size_t bytes, Stream stream) {
  check(cudaMemsetAsync(to, 0, bytes, stream), "CUDA memset");
}

// While it lives the calling thread may make streams and events although some stream is being captured.
class CaptureAllowsAll {
 public:
  CaptureAllowsAll() { check(cudaThreadExchangeStreamCaptureMode(&mode_), "CUDA capture"); }
  ~CaptureAllowsAll() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  CaptureAllowsAll(const CaptureAllowsAll&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

// A stream that waits for no other unless it is told to.
class OwnStream {
 public:
  OwnStream() {
    const CaptureAllowsAll allowed;
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "CUDA stream");
  }
  ~OwnStream() { cudaStreamDestroy(stream_); }
  OwnStream(const OwnStream&) = delete;
  operator Stream() const { return stream_; }

 private:
  Stream stream_ = nullptr;
};

// A point in a stream's work that others can wait for.
class Event {
 public:
  Event() {
    const CaptureAllowsAll allowed;
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "CUDA event");
  }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;

  // After all that is on the stream by now; who waits from here on waits for that.
  void record(Stream stream) { check(cudaEventRecord(event_, stream), "CUDA event"); }
  // What comes onto the stream from here on.
  void hold(Stream stream) const { check(cudaStreamWaitEvent(stream, event_, 0), "CUDA event"); }

 private:
  cudaEvent_t event_ = nullptr;
};

inline bool is_captured(Stream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "CUDA capture");
  return status != cudaStreamCaptureStatusNone;
}

// Work that was captured once, to be put on streams again and again.
class Graph {
 public:
  // `enqueue()` puts work on `origin`, and on streams that wait for it and that it waits for in the end.
  template <class Enqueue>
  Graph(Stream origin, const Enqueue& enqueue) {
    check(cudaStreamBeginCapture(origin, cudaStreamCaptureModeRelaxed), "CUDA capture");
    cudaGraph_t captured = nullptr;
    try {
      enqueue();
    } catch (...) {
      cudaStreamEndCapture(origin, &captured);
      if (captured) cudaGraphDestroy(captured);
      cudaGetLastError();  // or it would be taken for the next call's
      throw;
    }
    check(cudaStreamEndCapture(origin, &captured), "CUDA capture");
    const cudaError_t code = cudaGraphInstantiate(&graph_, captured, 0);
    cudaGraphDestroy(captured);
    check(code, "CUDA graph");
  }
  ~Graph() { cudaGraphExecDestroy(graph_); }
  Graph(const Graph&) = delete;

  void launch(Stream stream) const { check(cudaGraphLaunch(graph_, stream), "CUDA graph"); }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

struct DeviceFacts {
  int major, minor, processors;  // compute capability; multiprocessors
  double clock, memory_rate;     // Hz; bytes a second
};

inline int device_count() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "CUDA devices");
  return count;
}

inline DeviceFacts device_facts(int device) {
  const auto attribute = [&](cudaDeviceAttr which) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "CUDA device");
    return value;
  };
  const double bus = attribute(cudaDevAttrGlobalMemoryBusWidth) / 8.0;
  return {attribute(cudaDevAttrComputeCapabilityMajor), attribute(cudaDevAttrComputeCapabilityMinor),
          attribute(cudaDevAttrMultiProcessorCount), 1e3 * attribute(cudaDevAttrClockRate),
          2e3 * attribute(cudaDevAttrMemoryClockRate) * bus};
}

// Makes a device the calling thread's, and at the end the one that was before.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    check(cudaGetDevice(&before_), "CUDA device");
    if (before_ != device) check(cudaSetDevice(device), "CUDA device");
    device_ = device;
  }
  ~OnDevice() {
    if (before_ != device_) cudaSetDevice(before_);
  }
  OnDevice(const OnDevice&) = delete;

 private:
  int before_ = 0, device_ = 0;
};

}  // namespace rnn_engine::cuda
