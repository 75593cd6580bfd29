// How a long call is ended by who made it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace rnn_engine {

// One call's. Its threads compute on, and their results do not matter, until they see that the call is to end; where it
// ends is agreed upon between tiles, so that all of them meet at the same barriers.
class Interrupt {
 public:
  using Ask = int (*)(void* user);

  // Nobody is asked if `ask` is nullptr.
  Interrupt(Ask ask, void* user) : ask_(ask), user_(user) {}

  // Any thread, as often as it likes.
  bool wanted() const { return wanted_.load(std::memory_order_relaxed); }

  // By the thread that made the call, after so many operations: now and then it asks.
  void worked(std::int64_t operations) {
    constexpr std::int64_t kBetweenLooks = 4'000'000;  // at the clock: tens of microseconds on a fast processor
    if (!ask_ || (operations_ += operations) < kBetweenLooks) return;
    operations_ = 0;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_ || wanted()) return;
    if (ask_(user_) != 0) wanted_.store(true, std::memory_order_relaxed);
    next_ = std::chrono::steady_clock::now() + kInterval;
  }

  // Before tile `index` of a list that all threads walk, each tile of which ends with a barrier of all: whether they
  // stop here. `decides`: the thread that made the call, whose view of one tile earlier counts for all.
  bool stops_before(std::size_t index, bool decides) {
    const bool stop = index > 0 && agreed_[(index - 1) % 2].load(std::memory_order_relaxed);
    if (decides) agreed_[index % 2].store(wanted(), std::memory_order_relaxed);
    return stop;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kInterval = std::chrono::milliseconds(20);

  const Ask ask_;
  void* const user_;
  std::int64_t operations_ = 0;
  Clock::time_point next_ = Clock::now() + kInterval;
  std::atomic<bool> wanted_{false};
  std::array<std::atomic<bool>, 2> agreed_{};
};

}  // namespace rnn_engine
