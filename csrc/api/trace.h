// RNN_ENGINE_VERBOSE=1 in the environment: a line on stderr for every call, with its plan, schedule, time and
// rate.
#pragma once

#include <chrono>
#include <string>

#include "plan/plan.h"

namespace rnn_engine {

enum class Call { kForward, kBackward };
// Whether a call has done its work when it returns; else only the time to hand it over is known.
enum class Waits { kYes, kNo };

// A call's trace, from here to the end of the scope. `machine()`: instruction set and threads, or the device;
// it is asked only where a trace is wanted.
class Trace {
 public:
  template <class Machine>
  Trace(Call call, const PlanBase& plan, Waits waits, const Machine& machine) : waits_(waits) {
    if (wanted()) begin(call, plan, machine());
  }
  template <class Machine>
  Trace(const rnn_engine_loss_problem& problem, Waits waits, const Machine& machine) : waits_(waits) {
    if (wanted()) begin(problem, machine());
  }
  Trace(const Trace&) = delete;
  ~Trace();

 private:
  static bool wanted();
  void begin(Call call, const PlanBase& plan, const std::string& machine);
  void begin(const rnn_engine_loss_problem& problem, const std::string& machine);

  const Waits waits_;
  std::string line_;  // empty: not wanted
  double operations_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace rnn_engine
