// A small stack that runs both ways, layer by layer and in a wavefront, to learn what its threads lose
// at the barrier of every step.
#pragma once

#include <vector>

#include "cpu/run/run.h"

namespace rnn_engine {

template <class T>
class Probe {
 public:
  // As many layers, all `units` wide, as there are threads, but at least four. `costs` need not know yet what
  // a barrier costs.
  Probe(const Backend& backend, Pool& pool, std::int64_t steps, std::int64_t batch, std::int64_t units,
        const Costs& costs);

  // Seconds layer by layer over seconds in a wavefront: the median of pairs that ran one after the other.
  double measured() const;
  // The same ratio as the planner has it.
  double predicted(const Costs& costs) const;

 private:
  double seconds(const Plan& plan) const;

  const Backend& backend_;
  Pool& pool_;
  std::vector<std::int64_t> hidden_;
  std::vector<T> values_;  // stands for all inputs, and for all weights
  mutable std::vector<T> y_, h_;
  mutable std::vector<Value<T>> c_;
  mutable std::vector<std::byte> workspace_;
  std::vector<rnn_engine_weights> weights_;
  Plan layers_, wavefront_;
};

}  // namespace rnn_engine
