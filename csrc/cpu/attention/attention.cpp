#include "cpu/attention/attention.h"

namespace rnn_engine {

std::size_t attention_workspace_bytes(const rnn_engine_attention_problem& problem, int gradients,
                                      const Machine& machine) {
  return visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena;
    const auto take = [&]<class O>() {
      if (gradients)
        AttentionBackwardWorkspace<T, O>(problem, gradients, machine, 0, arena);
      else
        AttentionForwardWorkspace<T, O>(problem, machine, 0, arena);
    };
    take.template operator()<Value<T>>();
    if (multiplies_halves(problem, machine)) take.template operator()<T>();
    return arena.size();
  });
}

}  // namespace rnn_engine
