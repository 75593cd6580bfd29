#include "base/pool.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
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
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &before)) processors.push_back(i);
  const auto found = std::find(processors.begin(), processors.end(), from);
  const auto place = static_cast<std::size_t>(found - processors.begin()) + static_cast<std::size_t>(places);
  CPU_ZERO(&one);
  CPU_SET(processors[place % processors.size()], &one);
  if (sched_setaffinity(0, sizeof one, &one) == 0) sched_setaffinity(0, sizeof before, &before);
}
int this_processor() { return sched_getcpu(); }
// How many this process may use.
int processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : CPU_SETSIZE;
}
#else
void begin_apart(int, int) {}
int this_processor() { return 0; }
int processors() { return static_cast<int>(std::thread::hardware_concurrency()); }
#endif

}  // namespace

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
    barrier_->round.store(round + 1, std::memory_order_release);
    barrier_->round.notify_all();
    return;
  }
  // Whoever is late has lost its core to somebody: this one must not keep another from them.
  for (int i = 0; i < pauses_; ++i) {
    if (barrier_->round.load(std::memory_order_acquire) != round) return;
    pause();
  }
  barrier_->round.wait(round, std::memory_order_acquire);
}

struct Pool::Workers {
  explicit Workers(int count)
      : owner(getpid()),
        pauses(count <= processors() ? kPauses : 0),
        barriers(new Team::BarrierState[static_cast<std::size_t>(count) + 1]) {
    try {
      const int here = this_processor();
      for (int id = 1; id < count; ++id)
        threads.emplace_back([this, id, count, here] {
          begin_apart(here, id);
          serve(id, count);
        });
    } catch (const std::system_error& error) {
      const std::size_t started = threads.size() + 1;
      join();
      throw std::runtime_error("threads: " + std::to_string(count) + " were asked for, the system gave " +
                               std::to_string(started) + ": " + error.what());
    }
  }
  ~Workers() { join(); }

  void join() {
    stop.store(true, std::memory_order_relaxed);
    start();
    for (auto& thread : threads) thread.join();
  }

  void start() {
    epoch.fetch_add(1, std::memory_order_release);
    epoch.notify_all();
  }

  void serve(int id, int count) {
    std::uint32_t seen = 0;
    for (;;) {
      wait_for_change(seen);
      ++seen;
      if (stop.load(std::memory_order_relaxed)) return;
      Team team(id, count, barriers.get(), pauses);
      (*work)(team);
      team.barrier();
    }
  }

  void wait_for_change(std::uint32_t seen) {
    const auto until = std::chrono::steady_clock::now() + (pauses > 0 ? kAwake : kAwake.zero());
    do {
      for (int i = 0; i < 64; ++i) {
        if (epoch.load(std::memory_order_acquire) != seen) return;
        pause();
      }
    } while (std::chrono::steady_clock::now() < until);
    epoch.wait(seen, std::memory_order_acquire);
  }

  const pid_t owner;
  const int pauses;                                      // of its teams
  const std::unique_ptr<Team::BarrierState[]> barriers;  // of all threads, and of every group
  const std::function<void(Team&)>* work = nullptr;
  alignas(64) std::atomic<std::uint32_t> epoch{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
};

Pool::Pool(int threads) : threads_(threads) {}

Pool::~Pool() {
  // Threads do not survive a fork: the child only forgets them.
  if (workers_ && workers_->owner != getpid()) (void)workers_.release();
}

void Pool::run(const std::function<void(Team&)>& work) {
  std::unique_lock lock(busy_, std::try_to_lock);
  if (threads_ == 1 || !lock.owns_lock()) {
    Team alone(0, 1, nullptr);
    work(alone);
    return;
  }
  if (workers_ && workers_->owner != getpid()) (void)workers_.release();
  if (!workers_) workers_ = std::make_unique<Workers>(threads_);
  workers_->work = &work;
  workers_->start();
  Team team(0, threads_, workers_->barriers.get(), workers_->pauses);
  work(team);
  team.barrier();
}

}  // namespace rnn_engine
