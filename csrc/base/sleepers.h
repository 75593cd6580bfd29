// Threads that sleep until something has come to be.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace rnn_engine {

// std::atomic's own wait and notify can lose a wake-up with libstdc++ 12, where what is slept on is stored with
// memory_order_release: its notify looks whether anybody sleeps, and the processor may look before others see the new
// value. Two trainings stood still with a thread asleep on a number that had passed.
class Sleepers {
 public:
  // Returns once `ready`, which must read with memory_order_seq_cst, is true.
  template <class Ready>
  void sleep_until(const Ready& ready) {
    std::unique_lock lock(mutex_);
    count_.fetch_add(1, std::memory_order_seq_cst);
    while (!ready()) condition_.wait_for(lock, kAnyway);
    count_.fetch_sub(1, std::memory_order_relaxed);
  }

  // To be called after each change that may make them ready, which must be written with memory_order_seq_cst: either
  // the change is seen by who is about to sleep, or the sleeper by who calls this.
  void wake() {
    if (count_.load(std::memory_order_seq_cst) == 0) return;
    std::lock_guard lock(mutex_);  // nobody is between asking and sleeping
    condition_.notify_all();
  }

 private:
  // They look again so often, whatever becomes of a wake-up: C libraries and kernels have lost some, too.
  static constexpr auto kAnyway = std::chrono::seconds(1);

  std::atomic<int> count_{0};
  std::mutex mutex_;
  std::condition_variable condition_;
};

}  // namespace rnn_engine
