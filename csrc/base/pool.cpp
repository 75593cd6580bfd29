#include "base/pool.h"

#include <sched.h>

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace rnn_engine {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Pauses before a waiting thread gives up its core: some tens of microseconds on x86-64. AArch64's yield
// takes hardly any time, so that a thread gives up after a few microseconds there.
constexpr int kPauses = 4000;
// How long a worker waits awake for the next region: about the time between two layers of a model.
constexpr auto kAwake = std::chrono::microseconds(50);

#if defined(__linux__)
// Moves this thread to the `places`-th processor after `from`, and leaves it free to move on. A new thread
// otherwise begins where the one that made it runs, and the two may share that core for a tenth of a second.
void begin_apart(int from, int places) {
  cpu_set_t before, one;
  if (sched_getaffinity(0, sizeof before, &before) != 0) return;
  const int count = CPU_COUNT(&before);
  if (from < 0 || count == 0) return;
  int processor = from;
  for (int left = places % count; left > 0;) {
    processor = (processor + 1) % CPU_SETSIZE;
    if (CPU_ISSET(processor, &before)) --left;
  }
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  if (sched_setaffinity(0, sizeof one, &one) == 0) sched_setaffinity(0, sizeof before, &before);
}
int this_processor() { return sched_getcpu(); }
#else
void begin_apart(int, int) {}
int this_processor() { return 0; }
#endif

}  // namespace

int processors() {
#if defined(__linux__)
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : CPU_SETSIZE;
#else
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
#endif
}

void Spin::wait() {
  if (left_ == 0) {
    sched_yield();
    return;
  }
  --left_;
  pause();
}

void Team::barrier() {
  if (size_ == 1) return;
  const std::uint32_t round = barrier_->round.load(std::memory_order_relaxed);
  if (barrier_->arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<std::uint32_t>(size_)) {
    barrier_->arrived.store(0, std::memory_order_relaxed);
    barrier_->round.store(round + 1, std::memory_order_seq_cst);
    barrier_->sleepers.wake();
    return;
  }
  // Whoever is late has lost its core to somebody: this one must not keep another from them.
  for (int i = 0; i < pauses_; ++i) {
    if (barrier_->round.load(std::memory_order_acquire) != round) return;
    pause();
  }
  barrier_->sleepers.sleep_until([&] { return barrier_->round.load(std::memory_order_seq_cst) != round; });
}

namespace {

// Threads that serve one pool.
class Workers {
 public:
  explicit Workers(int count)
      : pauses_(count <= processors() ? kPauses : 0),
        barriers_(new Team::BarrierState[static_cast<std::size_t>(count) + 1]) {
    try {
      const int here = this_processor();
      for (int id = 1; id < count; ++id)
        threads_.emplace_back([this, id, count, here] {
          begin_apart(here, id);
          serve(id, count);
        });
    } catch (const std::exception& error) {
      const std::size_t started = threads_.size() + 1;
      join();
      throw std::runtime_error("threads: " + std::to_string(count) + " were asked for, the system gave " +
                               std::to_string(started) + ": " + error.what());
    }
  }
  ~Workers() { join(); }

  void run(const std::function<void(Team&)>& region, Interrupt* interrupt) {
    work_ = &region;
    interrupt_ = interrupt;
    start();
    Team team(Team(0, static_cast<int>(threads_.size()) + 1, barriers_.get(), pauses_), interrupt, true);
    region(team);
    team.barrier();
  }

 private:
  void join() {
    stop_.store(true, std::memory_order_relaxed);
    start();
    for (auto& thread : threads_) thread.join();
  }

  void start() {
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    sleepers_.wake();
  }

  void serve(int id, int count) {
    std::uint32_t seen = 0;
    for (;;) {
      wait_for_change(seen);
      ++seen;
      if (stop_.load(std::memory_order_relaxed)) return;
      Team team(Team(id, count, barriers_.get(), pauses_), interrupt_, false);
      (*work_)(team);
      team.barrier();
    }
  }

  void wait_for_change(std::uint32_t seen) {
    const auto until = std::chrono::steady_clock::now() + (pauses_ > 0 ? kAwake : kAwake.zero());
    do {
      for (int i = 0; i < 64; ++i) {
        if (epoch_.load(std::memory_order_acquire) != seen) return;
        pause();
      }
    } while (std::chrono::steady_clock::now() < until);
    sleepers_.sleep_until([&] { return epoch_.load(std::memory_order_seq_cst) != seen; });
  }

  const int pauses_;                                      // of its teams
  const std::unique_ptr<Team::BarrierState[]> barriers_;  // of all threads, and of every group
  const std::function<void(Team&)>* work_ = nullptr;
  Interrupt* interrupt_ = nullptr;
  alignas(64) std::atomic<std::uint32_t> epoch_{0};
  Sleepers sleepers_;  // until the next
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace

struct Pool::State {
  std::mutex busy;
  std::unique_ptr<Workers> workers;
};

Pool::Pool(int threads) : threads_(threads) {}

Pool::~Pool() = default;

void Pool::run(const std::function<void(Team&)>& work, Interrupt* interrupt) {
  Team alone(Team(0, 1, nullptr), interrupt, true);
  if (threads_ == 1) return work(alone);
  State& state = state_.get();
  std::unique_lock lock(state.busy, std::try_to_lock);
  if (!lock.owns_lock()) return work(alone);
  if (!state.workers) state.workers = std::make_unique<Workers>(threads_);
  state.workers->run(work, interrupt);
}

}  // namespace rnn_engine
