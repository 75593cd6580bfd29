// What launches and hand-overs between blocks cost on a card: one line of JSON.
#include <cooperative_groups.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int kLaunches = 1000, kSteps = 1000, kRepeats = 9;

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  std::exit(1);
}

__global__ void empty() {}

__global__ void grid_steps(int steps) {
  for (int i = 0; i < steps; ++i) cooperative_groups::this_grid().sync();
}

// Every block waits each step until all blocks have begun it: a flag for each, and no barrier of the grid.
__global__ void flag_steps(unsigned* flags, int steps) {
  for (int i = 1; i <= steps; ++i) {
    __syncthreads();
    if (threadIdx.x == 0)
      asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flags + 32 * blockIdx.x), "r"(i) : "memory");
    for (int other = threadIdx.x; other < gridDim.x; other += blockDim.x) {
      unsigned seen = 0;
      for (long spins = 0; seen < static_cast<unsigned>(i); ++spins) {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(flags + 32 * other) : "memory");
        if (spins > 100000000) __trap();  // a hand-over that never comes must not hang the card
      }
    }
    __syncthreads();
  }
}

// Every block of a group reads all of the group's `bytes`, from the second cache, `steps` times.
__global__ void broadcast(const uint4* data, long vectors, int groups, int steps, unsigned* out) {
  const uint4* mine = data + (blockIdx.x % groups) * vectors;
  unsigned sum = 0;
  for (int step = 0; step < steps; ++step)
    for (long i = threadIdx.x; i < vectors; i += blockDim.x) {
      const uint4 value = __ldcg(mine + (i + step) % vectors);
      sum += value.x + value.y + value.z + value.w;
    }
  if (sum == 1) *out = sum;
}

template <class Work>
double microseconds(const Work& work) {
  cudaEvent_t first, last;
  check(cudaEventCreate(&first), "event");
  check(cudaEventCreate(&last), "event");
  std::vector<double> times;
  for (int i = 0; i <= kRepeats; ++i) {
    check(cudaEventRecord(first), "record");
    work();
    check(cudaEventRecord(last), "record");
    check(cudaEventSynchronize(last), "wait");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, first, last), "elapsed");
    if (i) times.push_back(1e3 * milliseconds);  // the first one loads the code
  }
  check(cudaEventDestroy(first), "event");
  check(cudaEventDestroy(last), "event");
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

double graph_launch() {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  check(cudaStreamCreate(&stream), "stream");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  for (int i = 0; i < kLaunches; ++i) empty<<<1, 32, 0, stream>>>();
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&replay, graph, 0), "graph");
  const double found = microseconds([&] { check(cudaGraphLaunch(replay, 0), "graph"); }) / kLaunches;
  check(cudaGraphExecDestroy(replay), "graph");
  check(cudaGraphDestroy(graph), "graph");
  check(cudaStreamDestroy(stream), "stream");
  return found;
}

}  // namespace

int main() {
  cudaDeviceProp card{};
  check(cudaGetDeviceProperties(&card, 0), "card");
  const int blocks = card.multiProcessorCount;
  const double launch = microseconds([&] {
                          for (int i = 0; i < kLaunches; ++i) empty<<<1, 32>>>();
                        }) /
                        kLaunches;
  const double graph = graph_launch();
  int steps = kSteps;
  void* grid_arguments[] = {&steps};
  const double grid =
      microseconds([&] {
        check(cudaLaunchCooperativeKernel(reinterpret_cast<void*>(grid_steps), blocks, 256, grid_arguments, 0, nullptr),
              "cooperative launch");
      }) /
      kSteps;
  unsigned* flags = nullptr;
  check(cudaMalloc(&flags, blocks * 32 * sizeof(unsigned)), "memory");
  void* flag_arguments[] = {&flags, &steps};
  const double flag =
      microseconds([&] {
        check(cudaMemsetAsync(flags, 0, blocks * 32 * sizeof(unsigned)), "memset");
        check(cudaLaunchCooperativeKernel(reinterpret_cast<void*>(flag_steps), blocks, 256, flag_arguments, 0, nullptr),
              "cooperative launch");
      }) /
      kSteps;
  constexpr long kBytes = 128 * 1024;  // h of B 64, H 1024 in bfloat16
  uint4* data = nullptr;
  check(cudaMalloc(&data, 4 * kBytes), "memory");
  check(cudaMemset(data, 1, 4 * kBytes), "memset");
  double rates[3];
  for (int i = 0; i < 3; ++i) {
    const int groups = 1 << i, times = 200;
    const long vectors = kBytes / groups / sizeof(uint4);
    const double took = microseconds([&] { broadcast<<<blocks, 256>>>(data, vectors, groups, times, flags); });
    rates[i] = static_cast<double>(blocks) * vectors * sizeof(uint4) * times / took / 1e6;
  }
  check(cudaGetLastError(), "kernels");
  std::printf(
      "{\"launch_us\": %.3f, \"graph_launch_us\": %.3f, \"grid_sync_us\": %.3f, \"flags_us\": %.3f, "
      "\"broadcast_tb_s\": {\"1\": %.2f, \"2\": %.2f, \"4\": %.2f}, \"blocks\": %d}\n",
      launch, graph, grid, flag, rates[0], rates[1], rates[2], blocks);
  check(cudaFree(data), "memory");
  check(cudaFree(flags), "memory");
}
