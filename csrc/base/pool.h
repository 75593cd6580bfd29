// The engine's threads: one region of work at a time, with barriers inside it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>

#include "base/fork.h"
#include "base/interrupt.h"
#include "base/sleepers.h"

namespace rnn_engine {

// Waiting awake. Where both threads have a core of their own, a hand-over inside a step takes well under a microsecond;
// where they do not, spinning only takes the other's time away, so the core is given up after so many pauses.
class Spin {
 public:
  explicit Spin(int pauses) : left_(pauses) {}
  void wait();

 private:
  int left_;
};

// One thread's view of a region: which it is, of how many, and how to meet the others.
class Team {
 public:
  struct BarrierState {
    alignas(64) std::atomic<std::uint32_t> arrived{0};
    alignas(64) std::atomic<std::uint32_t> round{0};
    Sleepers sleepers;
  };

  // `barrier`: the team's own; those of the groups that it may be divided into follow it.
  Team(int id, int size, BarrierState* barrier, int pauses = 0)
      : id_(id), size_(size), pauses_(pauses), barrier_(barrier) {}
  // The view of a thread in a call that may be interrupted; `made_call`: the thread that made it.
  Team(Team view, Interrupt* interrupt, bool made_call) : Team(view) {
    interrupt_ = interrupt;
    made_call_ = made_call;
  }

  // This thread's view of its group, where the team divides into `count` equal ones; which of them it is in
  // is id() / (size() / count). Groups cannot be divided further.
  Team group(int count) const {
    if (count == 1) return *this;
    const int size = size_ / count;
    return {Team(id_ % size, size, barrier_ + 1 + id_ / size, pauses_), interrupt_, made_call_};
  }

  int id() const { return id_; }
  int size() const { return size_; }
  // How long its threads wait for one another awake; 0 where they are more than the processors.
  int pauses() const { return pauses_; }

  // Whether work that is ahead, of so many operations, may be left out, as nobody wants the results any more. Threads
  // of a team may get different answers, so no barrier may depend on it.
  bool stopped(std::int64_t operations) const {
    if (!interrupt_) return false;
    if (made_call_) interrupt_->worked(operations);
    return interrupt_->wanted();
  }
  Interrupt* interrupt() const { return interrupt_; }
  bool made_call() const { return made_call_; }

  // Returns once every thread of the team has called it; what they wrote before is visible after.
  void barrier();

  struct Range {
    std::int64_t begin, end;
  };
  // This thread's share of `count` items, a contiguous piece; pieces begin at multiples of `grain`.
  Range share(std::int64_t count, std::int64_t grain = 1) const {
    const std::int64_t blocks = (count + grain - 1) / grain;
    return {std::min(count, blocks * id_ / size_ * grain), std::min(count, blocks * (id_ + 1) / size_ * grain)};
  }

 private:
  int id_, size_, pauses_;
  BarrierState* barrier_;
  Interrupt* interrupt_ = nullptr;
  bool made_call_ = false;
};

// How many this process may use.
int processors();

// Runs a function on all threads at once. A call that comes while another is running, from another thread, is
// done by its caller alone: results do not depend on the number of threads, so only speed differs. A fork leaves the
// threads behind; the child's first region makes its own.
class Pool {
 public:
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }
  // `work` must not throw: the others would wait for whoever did. Throws if threads cannot be made.
  void run(const std::function<void(Team&)>& work, Interrupt* interrupt = nullptr);

 private:
  struct State;
  const int threads_;
  OfProcess<State> state_;
};

}  // namespace rnn_engine
