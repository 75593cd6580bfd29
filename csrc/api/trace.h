// RNN_ENGINE_VERBOSE=1 in the environment: a line on stderr for every call, with its plan, schedule, time and rate.
#pragma once

#include <chrono>
#include <string>

#include "api/handles.h"

namespace rnn_engine {

enum class Call { kForward, kBackward };

// A call's trace, from here to the end of the scope.
class Trace {
 public:
  Trace(Call call, const rnn_engine_plan& plan);
  Trace(const rnn_engine_loss_problem& problem, const rnn_engine_context& context);
  // `gradients`: those wanted; 0: forward.
  Trace(const rnn_engine_attention_problem& problem, int gradients, const rnn_engine_context& context);
  Trace(const rnn_engine_linear_problem& problem, Call call, const rnn_engine_context& context);
  Trace(const Trace&) = delete;
  ~Trace();

 private:
  void begin(const std::string& what, const rnn_engine_context& context);

  std::string line_;  // empty: not wanted
  double operations_ = 0;
  bool waits_ = true;  // else only the time to hand the call over is known
  std::chrono::steady_clock::time_point start_;
};

}  // namespace rnn_engine
