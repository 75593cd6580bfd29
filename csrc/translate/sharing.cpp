#include "translate/sharing.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>
#include <vector>

#include "base/sleepers.h"

namespace rnn_engine::translate {
namespace {

using Clock = std::chrono::steady_clock;
using Work = std::function<void(const Team&)>;

// Reading weights is what takes the time of few rows, some 30 bytes a nanosecond and core; to share a product takes
// about half a microsecond.
constexpr std::int64_t kWorthSharing = 128 << 10;
constexpr int kMostThreads = 16;
// How long a helper waits awake for the next product: longer than what lies between two of them.
constexpr auto kAwake = std::chrono::microseconds(50);
// A helper that lost its core in the middle of a part holds up all, for milliseconds: then the caller goes on alone for
// so many times as long as it had to wait. One that has just woken up is late by less than this.
constexpr int kCaution = 32;
constexpr Clock::duration kPatience = std::chrono::microseconds(100);

thread_local Crew* helping = nullptr;

}  // namespace

// A product has a part for each thread. Whoever is free takes one, its own first, whose weights its caches may still
// have; so a thread that does not get a core in time leaves its part to others, and nobody waits for one that sleeps.
class Crew {
 public:
  explicit Crew(int threads) : parts_(threads) {
    for (int id = 1; id < threads; ++id) {
      try {
        threads_.emplace_back([this, id] { serve(id); });
      } catch (const std::system_error&) {  // there are no more to be had: those that there are do their work
        break;
      }
    }
  }
  ~Crew() {
    stop_ = true;
    publish(0);
    for (std::thread& each : threads_) each.join();
  }

  int parts() const { return parts_; }

  void run(const Work& work) {
    const auto begin = Clock::now();
    if (begin < alone_until_ || generation_ != fork_generation()) {
      work(Team(0, 1, nullptr));
      return;
    }
    work_ = &work;
    done_.store(0, std::memory_order_relaxed);
    publish((std::uint64_t{1} << parts_) - 1);
    int own = 0;
    for (int part = take(0); part >= 0; part = take(0), ++own) work(Team(part, parts_, nullptr));
    wait_for(parts_ - own, begin);
  }

 private:
  // The products so far, and a bit for each part of the last that nobody has taken.
  static constexpr int kPartBits = 32;

  void publish(std::uint64_t free_parts) {
    const std::uint64_t number = (free_.load(std::memory_order_relaxed) >> kPartBits) + 1;
    free_.store(number << kPartBits | free_parts, std::memory_order_seq_cst);
    helpers_.wake();
  }

  // -1: all are taken. Whoever has one may read work_: the caller waits for it.
  int take(int first) {
    std::uint64_t now = free_.load(std::memory_order_acquire);
    for (;;) {
      const auto parts = static_cast<std::uint32_t>(now);
      if (parts == 0) return -1;
      const int part = parts >> first & 1 ? first : 31 - __builtin_clz(parts);
      if (free_.compare_exchange_weak(now, now & ~(std::uint64_t{1} << part), std::memory_order_acq_rel)) return part;
    }
  }

  // A helper may take twice as long as the caller, and a moment to wake up.
  void wait_for(int others, Clock::time_point begin) {
    const auto there = [&] { return done_.load(std::memory_order_seq_cst) == others; };
    if (there()) return;
    const auto now = Clock::now(), late = now + std::max(now - begin, kPatience);
    do {
      Spin spin(16);
      for (int i = 0; i < 16; ++i) {
        if (there()) return;
        spin.wait();
      }
    } while (Clock::now() < late);
    caller_.sleep_until(there);
    const auto end = Clock::now();
    alone_until_ = end + kCaution * (end - late);
  }

  void serve(int id) {
    while (!stop_) {
      for (int part = take(id); part >= 0; part = take(id)) {
        (*work_)(Team(part, parts_, nullptr));
        done_.fetch_add(1, std::memory_order_seq_cst);
        caller_.wake();
      }
      wait_for_work();
    }
  }

  void wait_for_work() {
    const auto until = Clock::now() + kAwake;
    const auto any = [&] { return static_cast<std::uint32_t>(free_.load(std::memory_order_seq_cst)) != 0 || stop_; };
    do {
      Spin spin(64);
      for (int i = 0; i < 64; ++i) {
        if (any()) return;
        spin.wait();
      }
    } while (Clock::now() < until);
    helpers_.sleep_until(any);
  }

  const int parts_;
  const std::uint64_t generation_ = fork_generation();  // a fork in the middle of a sentence leaves the crew behind
  const Work* work_ = nullptr;
  Clock::time_point alone_until_{};
  alignas(64) std::atomic<std::uint64_t> free_{0};
  alignas(64) std::atomic<int> done_{0};
  Sleepers helpers_, caller_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

Helpers::Helpers() = default;
Helpers::~Helpers() = default;
Helpers::State::State() = default;
Helpers::State::~State() = default;

Sharing::Sharing(const Helpers& helpers, std::int64_t threads) {
  const auto most = static_cast<int>(std::min<std::int64_t>({threads, processors(), kMostThreads}));
  if (most < 2) return;
  Helpers::State& state = helpers.state_.get();
  taken_ = std::unique_lock(state.taken, std::try_to_lock);
  if (!taken_.owns_lock()) return;
  if (!state.crew || state.crew->parts() != most) state.crew = std::make_unique<Crew>(most);
  helping = state.crew.get();
}

Sharing::~Sharing() { helping = nullptr; }

void share_product(std::int64_t bytes, const Work& work) {
  if (helping && bytes >= kWorthSharing)
    helping->run(work);
  else
    work(Team(0, 1, nullptr));
}

}  // namespace rnn_engine::translate
