#include "translate/workers.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace rnn_engine::translate {

bool run_workers(std::int64_t threads, Progress& progress, const std::function<std::unique_ptr<Worker>()>& make,
                 const Poll& poll) {
  std::exception_ptr failure;
  std::mutex lock;
  std::condition_variable ended;
  std::int64_t at_work = 0;
  const auto guarded = [&](const auto& work) {
    try {
      work();
    } catch (...) {
      std::lock_guard held(lock);
      if (!failure) failure = std::current_exception();
      progress.stopped = true;
    }
  };
  const auto other = [&] {
    guarded([&] {
      const std::unique_ptr<Worker> worker = make();
      while (!progress.stopped && worker->step()) {
      }
    });
    std::lock_guard held(lock);
    --at_work;
    ended.notify_one();
  };
  std::vector<std::thread> team;
  guarded([&] {
    for (std::int64_t i = 1; i < threads; ++i) {
      {
        std::lock_guard held(lock);
        ++at_work;
      }
      try {
        team.emplace_back(other);
      } catch (const std::system_error&) {  // there are no more threads to be had: those that there are do the work
        std::lock_guard held(lock);
        --at_work;
        break;
      }
    }
    const std::unique_ptr<Worker> worker = make();
    while (!progress.stopped && worker->step())
      if (poll(progress.done)) progress.stopped = true;
  });
  for (std::unique_lock held(lock); at_work > 0;) {
    constexpr auto kPatience = std::chrono::milliseconds(20);
    if (ended.wait_for(held, kPatience, [&] { return at_work == 0; })) break;
    held.unlock();
    guarded([&] {
      if (poll(progress.done)) progress.stopped = true;
    });
    held.lock();
  }
  for (std::thread& each : team) each.join();
  if (failure) std::rethrow_exception(failure);
  return !progress.stopped && !poll(progress.done);
}

}  // namespace rnn_engine::translate
