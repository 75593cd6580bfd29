/* The engine through its C API alone: gradients against central differences, the same bits from every
 * instruction set, number of threads and memory policy, no byte outside the planned arenas touched and
 * nothing read that was not written, and errors that say what was expected. */
#include <math.h>

#include "problem.h"

static const Case kCases[] = {
    {RNN_ENGINE_LSTM, 1, 1, 1, {1}, 0, 1, 1, 1, 0, {0}},
    {RNN_ENGINE_LSTM, 5, 3, 4, {9, 9}, 0, 2, 2, 1, 0.3, {3, 3, 2, 1, 1}},
    {RNN_ENGINE_LSTM, 3, 13, 7, {17, 17}, 0, 2, 1, 0, 0, {0}},
    {RNN_ENGINE_LSTM, 2, 7, 16, {65}, 0, 1, 1, 1, 0, {0}},
    {RNN_ENGINE_LSTM, 5, 3, 4, {9, 17, 6}, 0, 3, 1, 1, 0.3, {3, 2, 2, 2, 1}},
    {RNN_ENGINE_LSTM, 4, 3, 5, {9, 9}, 4, 2, 2, 1, 0, {3, 3, 1, 1}},
    {RNN_ENGINE_LSTM, 21, 2, 3, {5, 5, 5}, 0, 3, 1, 1, 0, {0}},
    {RNN_ENGINE_LSTM, 8, 3, 4, {9, 9, 9}, 0, 3, 1, 1, 0.3, {3, 3, 2, 2, 2, 1, 1, 1}, .residual = 1},
    {RNN_ENGINE_LSTM, 5, 3, 4, {7, 7, 7}, 0, 3, 2, 1, 0.3, {0}, .residual = 1, .dropout_per_sentence = 1},
    {RNN_ENGINE_MI_LSTM, 1, 1, 1, {1}, 0, 1, 2, 1, 0, {0}},
    {RNN_ENGINE_MI_LSTM, 5, 3, 4, {9, 9}, 0, 2, 2, 1, 0.3, {3, 3, 2, 1, 1}},
    {RNN_ENGINE_MI_LSTM, 3, 13, 7, {17, 17}, 0, 2, 1, 0, 0, {0}},
    {RNN_ENGINE_MI_LSTM, 2, 7, 16, {33}, 0, 1, 1, 1, 0, {0}},
    {RNN_ENGINE_MI_LSTM, 5, 3, 4, {9, 17, 20}, 5, 3, 1, 1, 0.3, {3, 2, 2, 2, 1}},
    {RNN_ENGINE_LAYER_NORM_LSTM, 5, 3, 4, {9, 9}, 0, 2, 2, 1, 0.3, {3, 3, 2, 1, 1}},
    {RNN_ENGINE_LAYER_NORM_LSTM, 3, 37, 7, {17, 17}, 0, 2, 1, 0, 0, {0}},
    {RNN_ENGINE_LAYER_NORM_MI_LSTM, 5, 3, 4, {9, 17, 20}, 5, 3, 1, 1, 0.3, {3, 2, 2, 2, 1}},
    {RNN_ENGINE_LSTM, 5, 3, 4, {9, 9}, 0, 2, 2, 1, 0.3, {3, 3, 2, 1, 1}, 0.3, {0.2, 0.3}},
    {RNN_ENGINE_MI_LSTM, 5, 3, 4, {9, 17, 20}, 5, 3, 1, 1, 0.3, {3, 2, 2, 2, 1}, 0.3, {0.2, 0.3}},
    {RNN_ENGINE_LAYER_NORM_LSTM, 3, 13, 7, {17, 17}, 0, 2, 1, 1, 0, {0}, 0.3, {0.2, 0.3}},
    {RNN_ENGINE_GRU, 5, 3, 4, {9, 17, 20}, 0, 3, 1, 1, 0.3, {3, 2, 2, 2, 1}},
    {RNN_ENGINE_GRU, 5, 3, 4, {9, 9}, 0, 2, 2, 1, 0, {3, 3, 2, 1, 1}, 0.3, {0, 0.3}},
    {RNN_ENGINE_LAYER_NORM_MI_LSTM, 4, 21, 5, {19, 19}, 0, 1, 2, 1, 0, {0}},
};

/* More rows and units than a few tiles have; for digests alone, since they take long in an emulator. */
static const Case kLargeCases[] = {
    {RNN_ENGINE_LSTM, 4, 29, 19, {70}, 0, 1, 2, 1, 0, {29, 29, 17, 2}},
    {RNN_ENGINE_MI_LSTM, 4, 25, 37, {35, 30}, 21, 2, 1, 1, 0.3, {0}},
};

/* Forward without gradients, with weights packed beforehand: its outputs are those of training; without y the
 * last states are. */
static void test_forward_only(rnn_engine_context* context, const Case* c, int number) {
  Layout l = make_layout(c, RNN_ENGINE_FLOAT32);
  char *values = malloc(inputs_of(&l) * 4), *expected = malloc(outputs_of(&l) * 4), *got = malloc(outputs_of(&l) * 4);
  const size_t states = (l.outputs + l.cells) * 4;
  fill_values(values, inputs_of(&l), 4, 1);
  l.problem.dropout = l.problem.recurrent_dropout = 0;
  l.problem.zoneout_masks = 0;
  run(context, c, &l, values, NULL, expected);
  l.problem.training = 0;
  l.problem.input_gradient = 0;
  run(context, c, &l, values, NULL, got);
  CHECK(memcmp(expected, got, outputs_of(&l) * 4) == 0, "case %d: forward only differs", number);

  rnn_engine_weights weights[MAX_PSEUDO_LAYERS];
  set_weights(c, &l, values, weights);
  l.problem.prepacked = 1;
  l.problem.output = 0;
  l.problem.cell_output = 0;
  rnn_engine_plan* plan = NULL;
  CHECK(rnn_engine_plan_create(context, &l.problem, &plan) == 0, "plan: %s", rnn_engine_last_error());
  rnn_engine_sizes sizes;
  CHECK(rnn_engine_plan_sizes(plan, &sizes) == 0, "sizes: %s", rnn_engine_last_error());
  const Block packed = make_block(sizes.packed_bytes);
  CHECK(rnn_engine_pack(plan, weights, packed.data, NULL) == 0, "pack: %s", rnn_engine_last_error());
  CHECK(sizes.reserve_bytes == 0, "forward only keeps %zu bytes", (size_t)sizes.reserve_bytes);
  const Block workspace = make_block(sizes.workspace_bytes);
  /* The states may lie where the initial ones did. */
  char *x = values + l.parameters * 4, *h0 = x + l.x * 4, *c0 = h0 + l.h * 4;
  const rnn_engine_forward_args f = {.weights = weights,
                                     .packed = packed.data,
                                     .x = x,
                                     .h0 = h0,
                                     .c0 = c0,
                                     .hn = h0,
                                     .cn = c0,
                                     .workspace = workspace.data};
  CHECK(rnn_engine_forward(plan, &f) == 0, "forward: %s", rnn_engine_last_error());
  CHECK(memcmp(expected + states, h0, (l.h + l.c) * 4) == 0, "case %d: states alone differ", number);
  rnn_engine_plan_destroy(plan);
  release_block(workspace, "workspace");
  release_block(packed, "packed");
  free(values);
  free(expected);
  free(got);
}

static void test_gradients(rnn_engine_context* context, const Case* c, int number) {
  const Layout l = make_layout(c, RNN_ENGINE_FLOAT64);
  const size_t count = inputs_of(&l), outputs = outputs_of(&l);
  double *values = malloc(count * 8), *gradients = malloc(count * 8), *out = malloc(outputs * 8);
  fill_values((char*)values, count, 8, 1);
  run(context, c, &l, (char*)values, (char*)gradients, (char*)out);
  const double step = 1e-5;
  for (size_t i = 0; i < count; i += 1 + count / DIFFERENCES) {
    const double before = values[i];
    values[i] = before + step;
    const double above = run(context, c, &l, (char*)values, NULL, (char*)out);
    values[i] = before - step;
    const double below = run(context, c, &l, (char*)values, NULL, (char*)out);
    values[i] = before;
    const double expected = (above - below) / (2 * step);
    CHECK(fabs(gradients[i] - expected) <= 1e-8 * (1 + fabs(expected)),
          "case %d, %s, value %zu: gradient %.12g, expected %.12g", number, name_of_isa(context), i, gradients[i],
          expected);
  }
  free(values);
  free(gradients);
  free(out);
}

/* The least budget, from the message that asks for more. */
static uint64_t least_budget(rnn_engine_context* context, rnn_engine_problem problem) {
  problem.memory = RNN_ENGINE_BUDGET;
  problem.budget = 1;
  rnn_engine_plan* plan = NULL;
  CHECK(rnn_engine_plan_create(context, &problem, &plan) == RNN_ENGINE_INVALID, "a budget of one byte fits");
  const char* number = strstr(rnn_engine_last_error(), "at least ");
  CHECK(number != NULL, "no least budget in \"%s\"", rnn_engine_last_error());
  return number ? strtoull(number + strlen("at least "), NULL, 10) : 0;
}

/* Outputs and gradients of every instruction set, number of threads, policy and schedule are those of the
 * first, bit for bit. */
static void test_same_bits(const Machine* machines, int machine_count, const Case* c, int number, int dtype) {
  Layout l = make_layout(c, dtype);
  const size_t count = inputs_of(&l), outputs = outputs_of(&l);
  char *values = malloc(count * l.size), *result = calloc(count + outputs, l.size), *first = NULL;
  fill_values(values, count, l.size, 1);
  for (const Machine* m = machines; m < machines + machine_count; ++m) {
    for (int i = 0; i < RNN_ENGINE_STEPS * (RNN_ENGINE_BUDGET + 1); ++i) {
      const int memory = i / RNN_ENGINE_STEPS, schedule = RNN_ENGINE_LAYERS + i % RNN_ENGINE_STEPS;
      if (!wanted(i + memory + (int)(m - machines) + number)) continue;
      const int plain = l.problem.directions == 1 && !l.problem.projection && !l.problem.batch_sizes;
      if (schedule == RNN_ENGINE_STEPS && !plain) continue;
      l.problem.memory = memory;
      l.problem.schedule = schedule;
      if (memory == RNN_ENGINE_BUDGET) l.problem.budget = least_budget(m->context, l.problem);
      run(m->context, c, &l, values, result, result + count * l.size);
      if (!first) {
        first = malloc((count + outputs) * l.size);
        memcpy(first, result, (count + outputs) * l.size);
      }
      CHECK(memcmp(first, result, (count + outputs) * l.size) == 0,
            "case %d, %zu-byte floats, memory %d, schedule %d: %s on %d threads differs from %s", number, l.size,
            memory, schedule, m->isa, m->threads, machines[0].isa);
    }
  }
  free(values);
  free(result);
  free(first);
}

/* A line for each case, type, policy and size of the values (the larger ones saturate the gates): instruction
 * set, what it is of, and what others must print too. */
static void print_digests(const Machine* m, const Case* cases, int case_count, const char* name) {
  for (int i = 0; i < case_count; ++i) {
    for (int dtype = RNN_ENGINE_FLOAT32; dtype <= RNN_ENGINE_FLOAT64; ++dtype) {
      Layout l = make_layout(&cases[i], dtype);
      const size_t count = inputs_of(&l), outputs = outputs_of(&l);
      char *values = malloc(count * l.size), *result = calloc(count + outputs, l.size);
      for (int memory = RNN_ENGINE_STORE; memory <= RNN_ENGINE_CHECKPOINT; ++memory) {
        for (int scale = 1; scale <= 30; scale += 29) {
          l.problem.memory = memory;
          fill_values(values, count, l.size, scale);
          run(m->context, &cases[i], &l, values, result, result + count * l.size);
          printf("%s\t%s %d, %zu-byte floats, memory %d, scale %d\toutputs %016llx, gradients %016llx\n", m->isa, name,
                 i, l.size, memory, scale, (unsigned long long)digest(result + count * l.size, outputs * l.size),
                 (unsigned long long)digest(result, count * l.size));
        }
      }
      free(values);
      free(result);
    }
  }
}

static void test_errors(void) {
  rnn_engine_context* context = NULL;
  expect_error(rnn_engine_context_create(0, NULL, &context), "threads");
  expect_error(rnn_engine_context_create(1, "sse9", &context), "sse9");
  CHECK(rnn_engine_context_create(1, NULL, &context) == 0, "context: %s", rnn_engine_last_error());
  const Case good = {RNN_ENGINE_LSTM, 3, 2, 4, {5}, 0, 1, 1, 1, 0, {0}, 0, {0}};
  const rnn_engine_problem right = make_layout(&good, RNN_ENGINE_FLOAT32).problem;
  rnn_engine_plan* plan = NULL;
  const int64_t none[] = {0}, huge[] = {(int64_t)1 << 40}, growing[] = {2, 1, 2};
  rnn_engine_problem p = right;
  p.hidden_sizes = none;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "hidden_sizes[0]");
  p.hidden_sizes = huge;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "less than 1e15 values");
  p = right;
  p.cell = 9;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "cell");
  p = right;
  p.projection = 5;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "projection");
  p = right;
  p.memory = 4;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "memory");
  p = right;
  p.schedule = 4;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "schedule");
  p = right;
  p.prepacked = 1;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "prepacked");
  p = right;
  p.batch_sizes = growing;
  expect_error(rnn_engine_plan_create(context, &p, &plan), "batch_sizes[2]");
  CHECK(rnn_engine_plan_create(context, &right, &plan) == 0, "plan: %s", rnn_engine_last_error());
  const rnn_engine_forward_args nothing = {0};
  expect_error(rnn_engine_forward(plan, &nothing), "weights");
  size_t count = 0;
  CHECK(rnn_engine_plan_buffers(plan, NULL, 0, &count) == 0 && count > 5, "plan_buffers: %zu rows", count);
  rnn_engine_tile tile;
  rnn_engine_plan_facts facts;
  CHECK(rnn_engine_plan_describe(plan, &facts) == 0, "describe: %s", rnn_engine_last_error());
  expect_error(rnn_engine_plan_tile(plan, facts.tiles, &tile, NULL, 0, &count), "index");
  rnn_engine_plan_destroy(plan);
  rnn_engine_context_destroy(context);
}

static void all_digests(const Machine* machines, int count) {
  for (int m = 0; m < count; m += 2) { /* on one thread */
    print_digests(&machines[m], kCases, sizeof kCases / sizeof kCases[0], "case");
    print_digests(&machines[m], kLargeCases, sizeof kLargeCases / sizeof kLargeCases[0], "large case");
  }
}

static void all_tests(const Machine* machines, int count) {
  test_errors();
  const int cases = (int)(sizeof kCases / sizeof kCases[0]);
  for (int i = 0; i < cases; ++i) {
    for (int m = i % 2; m < count; m += 2) { /* one of each instruction set's two numbers of threads */
      test_gradients(machines[m].context, &kCases[i], i);
      test_forward_only(machines[m].context, &kCases[i], i);
    }
    test_same_bits(machines, count, &kCases[i], i, RNN_ENGINE_FLOAT32);
    test_same_bits(machines, count, &kCases[i], i, RNN_ENGINE_FLOAT64);
  }
  printf("%d cases, %d failures\n", cases, failures);
}

/* Without arguments, the tests; `test_capi digests` prints digests of what every instruction set gives. */
int main(int argc, char** argv) {
  Machine machines[MACHINES];
  const int count = make_machines(machines);
  if (argc == 2 && strcmp(argv[1], "digests") == 0)
    all_digests(machines, count);
  else
    all_tests(machines, count);
  release_machines(machines, count);
  return failures != 0;
}
