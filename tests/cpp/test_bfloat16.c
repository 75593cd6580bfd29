/* bfloat16 through the C API: conversions; and that threads, policies and schedules change no bit, nor do
 * instruction sets, but for avx512_bf16, which rounds in its own way. */
#include <math.h>

#include "support.h"

enum { MOST_PSEUDO_LAYERS = 4, MOST_STEPS = 9, RUN_BYTES = 1 << 20 };

typedef struct {
  int cell;
  int64_t T, B, I, H, P;
  int32_t L, D;
  int64_t batch_sizes[MOST_STEPS]; /* 0: B at every step */
} Case;

static const Case kCases[] = {
    {RNN_ENGINE_LSTM, 9, 5, 7, 35, 0, 2, 2, {5, 5, 4, 4, 4, 3, 3, 1, 1}},
    {RNN_ENGINE_LSTM, 4, 3, 5, 20, 9, 2, 1, {0}},
    {RNN_ENGINE_MI_LSTM, 5, 7, 16, 32, 0, 2, 1, {0}},
    {RNN_ENGINE_LAYER_NORM_LSTM, 6, 9, 3, 33, 0, 1, 2, {9, 9, 7, 7, 2, 1}},
    {RNN_ENGINE_GRU, 7, 2, 6, 21, 0, 3, 1, {0}},
};
enum { CASES = sizeof kCases / sizeof kCases[0] };

/* Arrays of one run, one after the other; the results come last, and are compared. */
typedef struct {
  char* memory;
  size_t used;
} Pile;

static void* take(Pile* pile, int64_t count, size_t bytes) {
  void* place = pile->memory + pile->used;
  pile->used += ((size_t)count * bytes + 63) / 64 * 64;
  CHECK(pile->used <= RUN_BYTES, "a case needs more than %d bytes", RUN_BYTES);
  return place;
}

static void* filled(Pile* pile, int64_t count, size_t bytes) {
  void* place = take(pile, count, bytes);
  for (int64_t i = 0; i < count; ++i) {
    const float x = (float)uniform();
    if (bytes == 2)
      ((uint16_t*)place)[i] = nearest(x);
    else
      ((float*)place)[i] = x;
  }
  return place;
}

typedef void* (*Maker)(Pile*, int64_t, size_t);

static void make_weights(const Case* c, Pile* pile, Maker make, size_t matrix, rnn_engine_weights* weights) {
  const int64_t gates = (c->cell == RNN_ENGINE_GRU ? 3 : 4) * c->H, R = c->P ? c->P : c->H;
  for (int pseudo = 0; pseudo < c->L * c->D; ++pseudo) {
    rnn_engine_weights* w = &weights[pseudo];
    memset(w, 0, sizeof *w);
    w->weight_ih = make(pile, gates * (pseudo < c->D ? c->I : c->D * R), matrix);
    w->weight_hh = make(pile, gates * R, matrix);
    w->bias_ih = make(pile, gates, 4);
    w->bias_hh = make(pile, gates, 4);
    if (c->P) w->weight_hr = make(pile, c->P * c->H, matrix);
    for (int e = 0; rnn_engine_vector_width(c->cell, e) > 0; ++e)
      w->vector_params[e] = make(pile, rnn_engine_vector_width(c->cell, e) * c->H, 4);
  }
}

static void* block_of(size_t bytes) {
  void* block = aligned_alloc(64, (bytes + 64) / 64 * 64);
  memset(block, 0xFF, bytes);
  return block;
}

/* Forward and backward into `memory`, whose results begin at the offset that is returned. */
static size_t run(rnn_engine_context* context, const Case* c, const rnn_engine_problem* problem, Pile* pile) {
  const int64_t R = c->P ? c->P : c->H, pseudo_layers = c->L * c->D;
  int64_t rows = c->T * c->B;
  if (c->batch_sizes[0]) {
    rows = 0;
    for (int t = 0; t < c->T; ++t) rows += c->batch_sizes[t];
  }
  rnn_engine_plan* plan = NULL;
  CHECK(rnn_engine_plan_create(context, problem, &plan) == 0, "plan: %s", rnn_engine_last_error());
  rnn_engine_sizes sizes;
  CHECK(rnn_engine_plan_sizes(plan, &sizes) == 0, "sizes: %s", rnn_engine_last_error());
  void *reserve = block_of(sizes.reserve_bytes), *workspace = block_of(sizes.workspace_bytes);
  rnn_engine_weights weights[MOST_PSEUDO_LAYERS], gradients[MOST_PSEUDO_LAYERS];
  random_state = 4242;
  memset(pile->memory, 0, RUN_BYTES);
  pile->used = 0;
  make_weights(c, pile, filled, 2, weights);
  rnn_engine_forward_args f = {.weights = weights, .reserve = reserve, .workspace = workspace};
  f.x = filled(pile, rows * c->I, 2);
  f.h0 = filled(pile, pseudo_layers * c->B * R, 2);
  f.c0 = filled(pile, pseudo_layers * c->B * c->H, 4);
  rnn_engine_backward_args b = {.weights = weights, .gradients = gradients, .reserve = reserve, .workspace = workspace};
  b.dy = filled(pile, rows * c->D * R, 2);
  b.dhn = filled(pile, pseudo_layers * c->B * R, 2);
  b.dcn = filled(pile, pseudo_layers * c->B * c->H, 4);
  const size_t results = pile->used;
  b.y = f.y = take(pile, rows * c->D * R, 2);
  f.hn = take(pile, pseudo_layers * c->B * R, 2);
  f.cn = take(pile, pseudo_layers * c->B * c->H, 4);
  b.x = f.x;
  b.h0 = f.h0;
  b.c0 = f.c0;
  b.dx = take(pile, rows * c->I, 2);
  b.dh0 = take(pile, pseudo_layers * c->B * R, 2);
  b.dc0 = take(pile, pseudo_layers * c->B * c->H, 4);
  make_weights(c, pile, take, 4, gradients);
  CHECK(rnn_engine_forward(plan, &f) == 0, "forward: %s", rnn_engine_last_error());
  CHECK(rnn_engine_backward(plan, &b) == 0, "backward: %s", rnn_engine_last_error());
  rnn_engine_plan_destroy(plan);
  free(reserve);
  free(workspace);
  return results;
}

static void test_same_bits(const Machine* machines, int count, int number) {
  const Case* c = &kCases[number];
  int64_t hidden[] = {c->H, c->H, c->H};
  rnn_engine_problem problem = {.cell = c->cell,
                                .dtype = RNN_ENGINE_BFLOAT16,
                                .steps = c->T,
                                .batch = c->B,
                                .input_size = c->I,
                                .hidden_sizes = hidden,
                                .layers = c->L,
                                .projection = c->P,
                                .directions = c->D,
                                .bias = 1,
                                .training = 1,
                                .output = 1,
                                .input_gradient = 1,
                                .batch_sizes = c->batch_sizes[0] ? c->batch_sizes : NULL};
  Pile pile = {malloc(RUN_BYTES), 0};
  char* first[KINDS] = {NULL}; /* of each kind */
  for (const Machine* m = machines; m < machines + count; ++m) {
    for (int i = 0; i < 2 * RNN_ENGINE_BUDGET; ++i) {
      problem.memory = i / 2;
      problem.schedule = i % 2 ? RNN_ENGINE_WAVEFRONT : RNN_ENGINE_LAYERS;
      if (!wanted(i + problem.memory + (int)(m - machines) + number)) continue;
      const size_t results = run(m->context, c, &problem, &pile);
      char** expected = &first[kind_of(m)];
      if (!*expected) {
        *expected = malloc(RUN_BYTES);
        memcpy(*expected, pile.memory, RUN_BYTES);
      }
      CHECK(memcmp(*expected + results, pile.memory + results, pile.used - results) == 0,
            "case %d, memory %d, schedule %d: %s on %d threads differs", number, problem.memory, problem.schedule,
            m->isa, m->threads);
    }
  }
  free(pile.memory);
  for (int i = 0; i < KINDS; ++i) free(first[i]);
}

/* More values than one thread takes, and no whole number of vectors of them. */
static void test_conversions(const Machine* m) {
  enum { COUNT = 70001 };
  static const float kSpecial[] = {0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -3.3e38f, 1e-40f, INFINITY};
  float *values = malloc(COUNT * sizeof *values), *back = malloc(COUNT * sizeof *back);
  uint16_t* rounded = malloc(COUNT * sizeof *rounded);
  random_state = 99;
  for (int i = 0; i < COUNT; ++i) values[i] = i < 8 ? kSpecial[i] : (float)(1000 * uniform());
  CHECK(rnn_engine_round(m->context, COUNT, values, rounded) == 0, "round: %s", rnn_engine_last_error());
  CHECK(rnn_engine_widen(m->context, COUNT, rounded, back) == 0, "widen: %s", rnn_engine_last_error());
  int wrong = 0;
  for (int i = 0; i < COUNT; ++i) {
    const uint32_t bits = (uint32_t)nearest(values[i]) << 16;
    wrong += rounded[i] != nearest(values[i]) || memcmp(&bits, &back[i], sizeof bits) != 0;
  }
  CHECK(wrong == 0, "%s: %d of %d values are not the nearest", m->isa, wrong, COUNT);
  CHECK(rnn_engine_round(m->context, 0, NULL, NULL) == 0, "no values: %s", rnn_engine_last_error());
  expect_error(rnn_engine_round(m->context, 1, NULL, rounded), "in");
  expect_error(rnn_engine_widen(m->context, -1, rounded, back), "count");
  expect_error(rnn_engine_calibrate(m->context, RNN_ENGINE_BFLOAT16 + 1), "dtype");
  free(values);
  free(back);
  free(rounded);
}

int main(void) {
  Machine machines[ALL_MACHINES];
  const int count = add_odd_ones(machines, make_machines(machines));
  for (int m = 0; m < count; ++m) test_conversions(&machines[m]);
  for (int i = 0; i < CASES; ++i) test_same_bits(machines, count, i);
  printf("%d cases, %d failures\n", CASES, failures);
  release_machines(machines, count);
  return failures != 0;
}
