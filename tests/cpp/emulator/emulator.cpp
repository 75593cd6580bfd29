// Runs CUDA kernels on the CPU, exactly but slowly: the threads of a block are fibers, which change places at
// barriers, in an order drawn anew each time; blocks run one after the other, in an order drawn anew each
// time. What a block's threads share begins as NaN.
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "cuda/intrinsics.h"

namespace rnn_engine::cuda::emulator {

Place place;

namespace {

constexpr std::size_t kStack = 64 << 10;
constexpr unsigned char kPoison = 0xff;  // NaN in every type

// gcc's own, since the C library's look after signals and threads each time.
using Jump = void* [5];

enum class State { kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

struct Copy {
  void* to;
  const void* from;  // nullptr: zeros
  std::size_t bytes;
};

struct Fiber {
  std::vector<std::vector<Copy>> groups;  // of copies that were not waited for; the last is open
  ucontext_t context;
  Jump place_in_kernel;
  std::unique_ptr<char[]> stack;
  bool begun = false;
  State state = State::kDone;
};

struct Machine {
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Warp> warps;
  std::vector<unsigned char> shared;
  std::mt19937 random{12345};
  const std::function<void()>* kernel = nullptr;
  Jump scheduler;
  ucontext_t scheduler_context;
  int running = 0;
};

Machine machine;
std::mutex busy;

// Not inlined, as the compiler cannot have it in the function that is jumped back to.
[[gnu::noipa]] void jump(Jump& to) { __builtin_longjmp(to, 1); }

// A fiber's whole life: the kernel, again and again, each time for another block.
void live() {
  for (;;) {
    (*machine.kernel)();
    Fiber& own = *machine.fibers[static_cast<std::size_t>(machine.running)];
    own.state = State::kDone;
    if (__builtin_setjmp(own.place_in_kernel) == 0) jump(machine.scheduler);
  }
}

void wait(State state) {
  Fiber& own = *machine.fibers[static_cast<std::size_t>(machine.running)];
  own.state = state;
  if (__builtin_setjmp(own.place_in_kernel) == 0) jump(machine.scheduler);
}

void resume(int thread) {
  Fiber& fiber = *machine.fibers[static_cast<std::size_t>(thread)];
  machine.running = thread;
  place.thread = thread;
  if (__builtin_setjmp(machine.scheduler) != 0) return;
  if (fiber.begun) jump(fiber.place_in_kernel);
  fiber.begun = true;
  getcontext(&fiber.context);
  fiber.stack = std::make_unique<char[]>(kStack);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = kStack;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, live, 0);
  setcontext(&fiber.context);
}

bool all_in(int begin, int end, State state) {
  for (int i = begin; i < end; ++i)
    if (machine.fibers[static_cast<std::size_t>(i)]->state != state) return false;
  return true;
}

void set(int begin, int end, State state) {
  for (int i = begin; i < end; ++i) machine.fibers[static_cast<std::size_t>(i)]->state = state;
}

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "emulator: %s\n", what);
  std::abort();
}

Fiber& running() { return *machine.fibers[static_cast<std::size_t>(machine.running)]; }

// Lets the threads [begin, end) of a warp go as far as they can without the block's other warps; returns
// whether any of them moved.
bool run_warp(int begin, int end) {
  std::vector<int> order(static_cast<std::size_t>(end - begin));
  std::iota(order.begin(), order.end(), begin);
  std::shuffle(order.begin(), order.end(), machine.random);
  for (bool moved = false;;) {
    bool going = false;
    for (const int thread : order) {
      if (machine.fibers[static_cast<std::size_t>(thread)]->state != State::kReady) continue;
      resume(thread);
      going = true;
    }
    if (all_in(begin, end, State::kAtWarpBarrier)) {
      set(begin, end, State::kReady);
      going = true;
    }
    if (!going) return moved;
    moved = true;
  }
}

// Warps run one after the other, each from barrier to barrier of the block: as far apart as they may be.
void run_block(int threads) {
  for (int i = 0; i < threads; ++i) machine.fibers[static_cast<std::size_t>(i)]->groups.assign(1, {});
  std::fill(machine.shared.begin(), machine.shared.end(), kPoison);
  std::vector<int> warps(static_cast<std::size_t>((threads + 31) / 32));
  std::iota(warps.begin(), warps.end(), 0);
  set(0, threads, State::kReady);
  while (!all_in(0, threads, State::kDone)) {
    bool moved = false;
    std::shuffle(warps.begin(), warps.end(), machine.random);
    for (const int warp : warps) moved |= run_warp(32 * warp, std::min(threads, 32 * warp + 32));
    if (all_in(0, threads, State::kAtBlockBarrier)) {
      set(0, threads, State::kReady);
      moved = true;
    }
    if (!moved) stop("threads of a block wait at different barriers");
  }
}

}  // namespace

void block_barrier() { wait(State::kAtBlockBarrier); }
void warp_barrier() { wait(State::kAtWarpBarrier); }
Warp& warp() { return machine.warps[static_cast<std::size_t>(place.thread / 32)]; }
void* shared() { return machine.shared.data(); }

void copy_later(void* to, const void* from, std::size_t bytes, bool wanted) {
  const auto misplaced = [&](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % bytes != 0; };
  if (misplaced(to) || misplaced(from)) stop("an asynchronous copy needs aligned addresses");
  running().groups.back().push_back({to, wanted ? from : nullptr, bytes});
}
void end_group() { running().groups.emplace_back(); }
void copy_all_but(std::size_t groups) {
  auto& all = running().groups;
  while (all.size() > groups + 1) {
    for (const Copy& copy : all.front())
      if (copy.from)
        std::memcpy(copy.to, copy.from, copy.bytes);
      else
        std::memset(copy.to, 0, copy.bytes);
    all.erase(all.begin());
  }
}

void run(const std::function<void()>& thread, Grid grid, int threads, std::size_t shared) {
  if (threads < 1 || threads > 1024) stop("a block has 1 to 1024 threads");
  if (grid.y > 65535 || grid.x > 0x7fffffff) stop("a grid has at most 2^31 - 1 times 65535 blocks");
  if (shared > 64 << 10) stop("a block has at most 64 KiB of shared memory");
  std::lock_guard lock(busy);
  while (machine.fibers.size() < static_cast<std::size_t>(threads)) machine.fibers.push_back(std::make_unique<Fiber>());
  machine.warps.resize(32);
  machine.shared.resize(shared + 16);
  machine.kernel = &thread;
  place.threads = threads;
  std::vector<std::int64_t> blocks(static_cast<std::size_t>(grid.x * grid.y));
  std::iota(blocks.begin(), blocks.end(), 0);
  std::shuffle(blocks.begin(), blocks.end(), machine.random);
  for (const std::int64_t block : blocks) {
    place.x = block % grid.x;
    place.y = block / grid.x;
    run_block(threads);
  }
}

}  // namespace rnn_engine::cuda::emulator
