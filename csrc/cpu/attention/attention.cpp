#include "cpu/attention/attention.h"

namespace rnn_engine {

std::size_t attention_workspace_bytes(const rnn_engine_attention_problem& problem, int gradients,
                                      const Machine& machine) {
  return visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena;
    if (gradients)
      AttentionBackwardWorkspace<Value<T>>(problem, gradients, machine, 0, arena);
    else
      AttentionForwardWorkspace<Value<T>>(problem, machine, 0, arena);
    return arena.size();
  });
}

}  // namespace rnn_engine
