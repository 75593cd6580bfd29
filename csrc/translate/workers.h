// Sentences shared out among threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

namespace rnn_engine::translate {

// poll(done) is called by the thread that called, between steps; true: give up.
using Poll = std::function<bool(std::int64_t done)>;

// Sentences that wait, in an order that is the same for any number of threads.
class Queue {
 public:
  // before(a, b): whether sentence a is to be begun before b.
  template <class Before>
  Queue(std::int64_t count, const Before& before) : order_(static_cast<std::size_t>(count)) {
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    std::stable_sort(order_.begin(), order_.end(), before);
  }

  std::vector<std::int64_t> take(std::int64_t most) {
    const auto size = static_cast<std::int64_t>(order_.size());
    const std::int64_t first = std::min(size, next_.fetch_add(most)), last = std::min(size, first + most);
    return {order_.begin() + first, order_.begin() + last};
  }

 private:
  std::vector<std::int64_t> order_;
  std::atomic<std::int64_t> next_{0};
};

// How far the threads are.
struct Progress {
  std::atomic<std::int64_t> done{0};  // sentences
  std::atomic<bool> stopped{false};
};

// Sentences that one thread has in work.
class Worker {
 public:
  virtual ~Worker() = default;
  // Returns whether there was anything to do.
  virtual bool step() = 0;
};

// Sentences that a worker has in work at a time, so that every thread has some.
inline std::int64_t capacity_of(std::int64_t count, std::int64_t threads, std::int64_t batch_size) {
  return std::min(batch_size, (count + threads - 1) / threads);
}

// Each of the threads, of which the caller is one, makes itself a worker and lets it go on until there is nothing more
// to do. Returns false if `poll` gave up; throws what the first worker threw.
bool run_workers(std::int64_t threads, Progress& progress, const std::function<std::unique_ptr<Worker>()>& make,
                 const Poll& poll);

}  // namespace rnn_engine::translate
