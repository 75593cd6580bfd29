// Runs CUDA kernels on the CPU, exactly but slowly. A fiber runs a block's threads one after another until one
// waits at a barrier; it stays with that one, and another fiber goes on with the others. In which order a
// warp's lanes, a block's warps and a grid's blocks run is drawn anew each time. What a block's threads share
// begins as NaN.
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
Warp warps[kMostThreads / kLanes];

namespace {

constexpr std::size_t kStack = 64 << 10;
constexpr unsigned char kPoison = 0xff;  // NaN in every type

// gcc's own, since the C library's look after signals and threads each time.
using Jump = void* [5];

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  Jump idle;  // where it goes on, with another thread
};

enum class Stop { kNowhere, kWarpBarrier, kBlockBarrier, kEnd };  // where a thread came to

enum class Next { kBegins, kGoesOn, kNobody };

struct Copy {
  void* to;
  const void* from;  // nullptr: zeros
  std::size_t bytes, group;
};

struct Copies {
  std::vector<Copy> made_later;
  std::size_t groups = 0;  // that are closed
};

struct Machine {
  const std::function<void()>* kernel = nullptr;
  std::mt19937 random{12345};

  // Whose turn it is. The lanes of a warp come to one place before the warp goes on, and the warps of a block do.
  Grid grid;
  std::vector<std::int64_t> blocks;  // that have not begun
  std::vector<int> order;            // of the block's warps
  std::size_t turn;                  // in that order
  int lanes_run, stride, first_lane;
  bool block_begins, warp_begins;  // threads that run have not waited yet
  Stop block_stop, warp_stop;

  std::vector<unsigned char> shared;
  Copies copies[kMostThreads];
  bool copied = false;
  Jump waiting[kMostThreads];  // where each thread goes on
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
  Jump caller;
};

Machine machine;
std::mutex busy;

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "emulator: %s\n", what);
  std::abort();
}

// False after the warp's last lane. An odd stride comes by all of them.
bool begin_lane() {
  const int begin = kLanes * machine.order[machine.turn], lanes = std::min(kLanes, place.threads - begin);
  while (machine.lanes_run < kLanes) {
    const int lane = (machine.first_lane + machine.stride * machine.lanes_run++) % kLanes;
    if (lane >= lanes) continue;
    place.thread = begin + lane;
    return true;
  }
  return false;
}

Next begin_warp(bool begins) {
  const auto drawn = static_cast<unsigned>(machine.random());
  machine.stride = static_cast<int>(drawn % kLanes | 1);
  machine.first_lane = static_cast<int>(drawn / kLanes % kLanes);
  machine.lanes_run = 0;
  machine.warp_begins = begins;
  machine.warp_stop = Stop::kNowhere;
  begin_lane();
  return begins ? Next::kBegins : Next::kGoesOn;
}

// Warps run one after the other, each from barrier to barrier of the block: as far apart as they may be.
Next begin_warps(bool begins) {
  std::shuffle(machine.order.begin(), machine.order.end(), machine.random);
  machine.turn = 0;
  machine.block_begins = begins;
  machine.block_stop = Stop::kNowhere;
  return begin_warp(begins);
}

Next begin_block() {
  if (machine.blocks.empty()) return Next::kNobody;
  place.x = machine.blocks.back() % machine.grid.x;
  place.y = machine.blocks.back() / machine.grid.x;
  machine.blocks.pop_back();
  std::fill(machine.shared.begin(), machine.shared.end(), kPoison);
  if (machine.copied)
    for (Copies& copies : machine.copies) {
      copies.made_later.clear();
      copies.groups = 0;
    }
  machine.copied = false;
  return begin_warps(true);
}

// The running thread came to `where`; place.thread becomes the one whose turn it is.
Next next_thread(Stop where) {
  if (machine.warp_stop != Stop::kNowhere && machine.warp_stop != where)
    stop("threads of a warp wait at different barriers");
  machine.warp_stop = where;
  if (begin_lane()) return machine.warp_begins ? Next::kBegins : Next::kGoesOn;
  if (where == Stop::kWarpBarrier) return begin_warp(false);
  if (machine.block_stop != Stop::kNowhere && machine.block_stop != where)
    stop("threads of a block wait at different barriers");
  machine.block_stop = where;
  if (++machine.turn < machine.order.size()) return begin_warp(machine.block_begins);
  return where == Stop::kBlockBarrier ? begin_warps(false) : begin_block();
}

// Not inlined, as the compiler cannot have it in the function that is jumped back to.
[[gnu::noipa, noreturn]] void jump(Jump& to) { __builtin_longjmp(to, 1); }

// A fiber's whole life.
void live() {
  Fiber& self = *machine.idle.back();
  machine.idle.pop_back();
  for (;;) {
    (*machine.kernel)();
    const Next next = next_thread(Stop::kEnd);
    if (next == Next::kBegins) continue;
    machine.idle.push_back(&self);
    if (__builtin_setjmp(self.idle) != 0) continue;
    jump(next == Next::kNobody ? machine.caller : machine.waiting[place.thread]);
  }
}

// A fiber that waits for nobody goes on.
[[noreturn]] void enter_fiber() {
  if (!machine.idle.empty()) {
    Fiber* fiber = machine.idle.back();
    machine.idle.pop_back();
    jump(fiber->idle);
  }
  machine.fibers.push_back(std::make_unique<Fiber>());
  machine.idle.push_back(machine.fibers.back().get());
  ucontext_t& context = machine.fibers.back()->context;
  getcontext(&context);
  context.uc_stack.ss_sp = machine.fibers.back()->stack.get();
  context.uc_stack.ss_size = kStack;
  context.uc_link = nullptr;
  makecontext(&context, live, 0);
  setcontext(&context);
  std::abort();
}

void wait(Stop where) {
  Jump& here = machine.waiting[place.thread];
  const Next next = next_thread(where);
  if (__builtin_setjmp(here) != 0) return;
  if (next == Next::kBegins) enter_fiber();
  jump(machine.waiting[place.thread]);
}

}  // namespace

void block_barrier() { wait(Stop::kBlockBarrier); }
void warp_barrier() { wait(Stop::kWarpBarrier); }
void* shared() { return machine.shared.data(); }

void copy_later(void* to, const void* from, std::size_t bytes, bool wanted) {
  const auto misplaced = [&](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % bytes != 0; };
  if (misplaced(to) || misplaced(from)) stop("an asynchronous copy needs aligned addresses");
  Copies& own = machine.copies[place.thread];
  own.made_later.push_back({to, wanted ? from : nullptr, bytes, own.groups});
  machine.copied = true;
}
void end_group() {
  ++machine.copies[place.thread].groups;
  machine.copied = true;
}
void copy_all_but(std::size_t groups) {
  Copies& own = machine.copies[place.thread];
  auto copy = own.made_later.begin();
  for (; copy != own.made_later.end() && copy->group + groups < own.groups; ++copy)
    if (copy->from)
      std::memcpy(copy->to, copy->from, copy->bytes);
    else
      std::memset(copy->to, 0, copy->bytes);
  own.made_later.erase(own.made_later.begin(), copy);
}

void run(const std::function<void()>& thread, Grid grid, int threads, std::size_t shared) {
  if (threads < 1 || threads > kMostThreads) stop("a block has 1 to 1024 threads");
  if (grid.y > 65535 || grid.x > 0x7fffffff) stop("a grid has at most 2^31 - 1 times 65535 blocks");
  if (shared > 64 << 10) stop("a block has at most 64 KiB of shared memory");
  std::lock_guard lock(busy);
  machine.kernel = &thread;
  machine.grid = grid;
  machine.shared.resize(shared + 16);
  machine.blocks.resize(static_cast<std::size_t>(grid.x * grid.y));
  std::iota(machine.blocks.begin(), machine.blocks.end(), 0);
  std::shuffle(machine.blocks.begin(), machine.blocks.end(), machine.random);
  machine.order.resize(static_cast<std::size_t>((threads + kLanes - 1) / kLanes));
  std::iota(machine.order.begin(), machine.order.end(), 0);
  for (Warp& warp : warps) std::fill(std::begin(warp.meetings), std::end(warp.meetings), 0);
  place.threads = threads;
  if (begin_block() == Next::kNobody) return;
  if (__builtin_setjmp(machine.caller) == 0) enter_fiber();
}

}  // namespace rnn_engine::cuda::emulator
