/* A library that was built for translating alone: it says what it cannot do. That it translates is for the other tests.
 */
#include "rnn_engine.h"
#include "support.h"

enum { T = 3, B = 2, I = 4, H = 5 };

int main(void) {
  for (int isa = 0; isa < ISAS; ++isa) {
    if (!rnn_engine_has_isa(kIsas[isa])) continue;
    rnn_engine_context* context = NULL;
    rnn_engine_plan* plan = NULL;
    CHECK(rnn_engine_context_create(1, kIsas[isa], &context) == 0, "context: %s", rnn_engine_last_error());
    const int64_t hidden[] = {H};
    rnn_engine_problem problem = {.cell = RNN_ENGINE_LSTM, .steps = T, .batch = B, .input_size = I, .layers = 1};
    problem.hidden_sizes = hidden;
    problem.directions = problem.output = 1;
    for (int dtype = RNN_ENGINE_FLOAT64; dtype <= RNN_ENGINE_FLOAT16; ++dtype) {
      problem.dtype = dtype;
      expect_error(rnn_engine_plan_create(context, &problem, &plan), "expected float32");
      expect_error(rnn_engine_calibrate(context, dtype), "expected float32");
    }
    float values[16] = {0};
    uint16_t rounded[16] = {0};
    expect_error(rnn_engine_round(context, 16, values, rounded), "built for translating alone");
    expect_error(rnn_engine_widen(context, 16, rounded, values), "built for translating alone");

    problem.dtype = RNN_ENGINE_FLOAT32;
    problem.training = 1;
    expect_error(rnn_engine_plan_create(context, &problem, &plan), "training: not in this library");
    problem.training = 0;
    CHECK(rnn_engine_plan_create(context, &problem, &plan) == 0, "plan: %s", rnn_engine_last_error());
    rnn_engine_plan_destroy(plan);
    const rnn_engine_loss_problem loss = {0};
    uint64_t bytes = 0;
    expect_error(rnn_engine_loss_workspace(context, &loss, &bytes), "the loss: not in this library");
    rnn_engine_context_destroy(context);
  }
  printf("%d failures\n", failures);
  return failures != 0;
}
