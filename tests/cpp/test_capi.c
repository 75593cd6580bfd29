/* The engine through its C API alone: gradients against central differences, the same bits from every
 * instruction set and number of threads, no byte outside the planned arenas touched, and errors that say what
 * was expected. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rnn_engine.h"

enum { RED_ZONE = 4096, MAX_LANES = 6, MAX_STEPS = 8, VECTORS = 8 };

static int failures = 0;

#define CHECK(condition, ...)                         \
  do {                                                \
    if (!(condition)) {                               \
      ++failures;                                     \
      fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
      fprintf(stderr, __VA_ARGS__);                   \
      fputc('\n', stderr);                            \
    }                                                 \
  } while (0)

typedef struct {
  int cell, T, B, I, H, L, D, bias;
  double dropout;
  int64_t batch_sizes[MAX_STEPS]; /* first 0: all B */
} Case;

static const Case kCases[] = {
    {RNN_ENGINE_LSTM, 1, 1, 1, 1, 1, 1, 1, 0, {0}},
    {RNN_ENGINE_LSTM, 5, 3, 4, 9, 2, 2, 1, 0.3, {3, 3, 2, 1, 1}},
    {RNN_ENGINE_LSTM, 3, 13, 7, 17, 2, 1, 0, 0, {0}},
    {RNN_ENGINE_LSTM, 2, 7, 16, 65, 1, 1, 1, 0, {0}},
    {RNN_ENGINE_MI_LSTM, 1, 1, 1, 1, 1, 2, 1, 0, {0}},
    {RNN_ENGINE_MI_LSTM, 5, 3, 4, 9, 2, 2, 1, 0.3, {3, 3, 2, 1, 1}},
    {RNN_ENGINE_MI_LSTM, 3, 13, 7, 17, 2, 1, 0, 0, {0}},
    {RNN_ENGINE_MI_LSTM, 2, 7, 16, 33, 1, 1, 1, 0, {0}},
};

static uint64_t random_state;
static double uniform(void) { /* xorshift64*, in [-0.5, 0.5) */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (double)((random_state * 2685821657736338717ull) >> 11) / 9007199254740992.0 - 0.5;
}

/* A block with red zones on both sides of `bytes` aligned bytes. */
typedef struct {
  unsigned char *whole, *data;
  size_t bytes;
} Block;

static Block make_block(size_t bytes) {
  Block block = {aligned_alloc(64, (bytes + 63) / 64 * 64 + 2 * RED_ZONE), NULL, bytes};
  block.data = block.whole + RED_ZONE;
  memset(block.whole, 0xA5, (bytes + 63) / 64 * 64 + 2 * RED_ZONE);
  return block;
}

static void release_block(Block block, const char* name) {
  int touched = 0;
  for (size_t i = 0; i < RED_ZONE; ++i)
    touched |= block.whole[i] != 0xA5 || block.data[block.bytes + i] != 0xA5;
  CHECK(!touched, "%s: wrote outside its %zu bytes", name, block.bytes);
  free(block.whole);
}

/* All values of a case in one array of `size`-byte floats: parameters first, then x, h0, c0; the same for
 * gradients. */
typedef struct {
  rnn_engine_problem problem;
  size_t size; /* of a value */
  size_t parameters, x, states, outputs, rows;
  size_t lane_first[MAX_LANES];
} Layout;

static Layout make_layout(const Case* c, int dtype) {
  Layout l;
  memset(&l, 0, sizeof l);
  l.size = dtype == RNN_ENGINE_FLOAT32 ? 4 : 8;
  l.problem = (rnn_engine_problem){c->cell,
                                   dtype,
                                   c->T,
                                   c->B,
                                   c->I,
                                   c->H,
                                   c->L,
                                   c->D,
                                   c->bias,
                                   1,
                                   c->batch_sizes[0] ? c->batch_sizes : NULL,
                                   c->dropout,
                                   77,
                                   NULL};
  for (int t = 0; t < c->T; ++t) l.rows += (size_t)(c->batch_sizes[0] ? c->batch_sizes[t] : c->B);
  for (int lane = 0; lane < c->L * c->D; ++lane) {
    l.lane_first[lane] = l.parameters;
    l.parameters += (size_t)4 * c->H * ((lane < c->D ? c->I : c->D * c->H) + c->H + VECTORS);
  }
  l.x = l.rows * (size_t)c->I;
  l.states = (size_t)c->L * c->D * c->B * c->H;
  l.outputs = l.rows * (size_t)c->D * c->H;
  return l;
}

static void set_weights(const Case* c, const Layout* l, char* base, rnn_engine_weights* weights) {
  for (int lane = 0; lane < c->L * c->D; ++lane) {
    const size_t gates = (size_t)4 * c->H, input = lane < c->D ? c->I : c->D * c->H;
    char* p = base + l->lane_first[lane] * l->size;
    rnn_engine_weights* w = &weights[lane];
    memset(w, 0, sizeof *w);
    w->weight_ih = p;
    w->weight_hh = p + gates * input * l->size;
    char* vectors = p + gates * (input + c->H) * l->size;
    if (c->bias) {
      w->bias_ih = vectors;
      w->bias_hh = vectors + gates * l->size;
    }
    if (c->cell == RNN_ENGINE_MI_LSTM)
      for (int e = 0; e < (c->bias ? 4 : 3); ++e) w->extra[e] = vectors + (2 + e) * gates * l->size;
  }
}

/* Runs forward, and backward if `gradients`; returns sum(y*dy) + sum(hn*dhn) + sum(cn*dcn) for fixed dy, dhn,
 * dcn. */
static double run(rnn_engine_context* context, const Case* c, const Layout* l, char* values, char* gradients,
                  char* outputs) {
  rnn_engine_weights weights[MAX_LANES], dweights[MAX_LANES];
  set_weights(c, l, values, weights);
  char *x = values + l->parameters * l->size, *h0 = x + l->x * l->size, *c0 = h0 + l->states * l->size;
  char *y = outputs, *hn = y + l->outputs * l->size, *cn = hn + l->states * l->size;
  rnn_engine_sizes sizes;
  CHECK(rnn_engine_plan(context, &l->problem, &sizes) == 0, "plan: %s", rnn_engine_last_error());
  const Block kept = make_block(sizes.kept_bytes), forward = make_block(sizes.forward_scratch_bytes);
  const rnn_engine_forward_args f = {weights, x, h0, c0, y, hn, cn, kept.data, forward.data};
  CHECK(rnn_engine_forward(context, &l->problem, &f) == 0, "forward: %s", rnn_engine_last_error());
  release_block(forward, "forward scratch");

  const size_t total = l->outputs + 2 * l->states;
  char* upstream = malloc(total * l->size);
  double loss = 0;
  random_state = 4242;
  for (size_t i = 0; i < total; ++i) {
    const double d = uniform();
    if (l->size == 4) {
      ((float*)upstream)[i] = (float)d;
      loss += (double)((float*)outputs)[i] * (float)d;
    } else {
      ((double*)upstream)[i] = d;
      loss += ((double*)outputs)[i] * d;
    }
  }
  if (gradients) {
    memset(gradients, 0, (l->parameters + l->x + 2 * l->states) * l->size);
    set_weights(c, l, gradients, dweights);
    char* dx = gradients + l->parameters * l->size;
    const Block backward = make_block(sizes.backward_scratch_bytes);
    const rnn_engine_backward_args b = {weights,
                                        x,
                                        h0,
                                        c0,
                                        y,
                                        upstream,
                                        upstream + l->outputs * l->size,
                                        upstream + (l->outputs + l->states) * l->size,
                                        dx,
                                        dx + l->x * l->size,
                                        dx + (l->x + l->states) * l->size,
                                        dweights,
                                        kept.data,
                                        backward.data};
    CHECK(rnn_engine_backward(context, &l->problem, &b) == 0, "backward: %s", rnn_engine_last_error());
    release_block(backward, "backward scratch");
  }
  release_block(kept, "kept");
  free(upstream);
  return loss;
}

static void fill(const Layout* l, char* values) {
  random_state = 12345;
  for (size_t i = 0; i < l->parameters + l->x + 2 * l->states; ++i) {
    const double v = uniform();
    if (l->size == 4)
      ((float*)values)[i] = (float)v;
    else
      ((double*)values)[i] = v;
  }
}

static void test_gradients(rnn_engine_context* context, const Case* c, int number) {
  const Layout l = make_layout(c, RNN_ENGINE_FLOAT64);
  const size_t count = l.parameters + l.x + 2 * l.states, outputs = l.outputs + 2 * l.states;
  double *values = malloc(count * 8), *gradients = malloc(count * 8), *out = malloc(outputs * 8);
  fill(&l, (char*)values);
  run(context, c, &l, (char*)values, (char*)gradients, (char*)out);
  const double step = 1e-5;
  for (size_t i = 0; i < count; i += 1 + count / 150) {
    const double before = values[i];
    values[i] = before + step;
    const double above = run(context, c, &l, (char*)values, NULL, (char*)out);
    values[i] = before - step;
    const double below = run(context, c, &l, (char*)values, NULL, (char*)out);
    values[i] = before;
    const double expected = (above - below) / (2 * step);
    CHECK(fabs(gradients[i] - expected) <= 1e-8 * (1 + fabs(expected)),
          "case %d, %s, value %zu: gradient %.12g, expected %.12g", number, rnn_engine_context_isa(context),
          i, gradients[i], expected);
  }
  free(values);
  free(gradients);
  free(out);
}

/* Outputs and gradients of every instruction set on 1 and 3 threads are those of the first, bit for bit. */
static void test_same_bits(const Case* c, int number, int dtype) {
  static const char* const kIsas[] = {"generic", "avx2", "avx512"};
  const Layout l = make_layout(c, dtype);
  const size_t count = l.parameters + l.x + 2 * l.states, outputs = l.outputs + 2 * l.states;
  char *values = malloc(count * l.size), *result = calloc(count + outputs, l.size), *first = NULL;
  fill(&l, values);
  for (int i = 0; i < 3; ++i) {
    if (!rnn_engine_has_isa(kIsas[i])) continue;
    for (int threads = 1; threads <= 3; threads += 2) {
      rnn_engine_context* context = NULL;
      CHECK(rnn_engine_context_create(threads, kIsas[i], &context) == 0, "context: %s",
            rnn_engine_last_error());
      run(context, c, &l, values, result, result + count * l.size);
      rnn_engine_context_destroy(context);
      if (!first) {
        first = malloc((count + outputs) * l.size);
        memcpy(first, result, (count + outputs) * l.size);
      }
      CHECK(memcmp(first, result, (count + outputs) * l.size) == 0,
            "case %d, %zu-byte floats: %s on %d threads differs from %s", number, l.size, kIsas[i], threads,
            kIsas[0]);
    }
  }
  free(values);
  free(result);
  free(first);
}

static void expect_error(int code, const char* part) {
  CHECK(code == RNN_ENGINE_INVALID, "expected an error about %s, got code %d", part, code);
  CHECK(strstr(rnn_engine_last_error(), part) != NULL, "expected a message with \"%s\", got \"%s\"", part,
        rnn_engine_last_error());
}

static void test_errors(void) {
  rnn_engine_context* context = NULL;
  expect_error(rnn_engine_context_create(0, NULL, &context), "threads");
  expect_error(rnn_engine_context_create(1, "sse9", &context), "sse9");
  CHECK(rnn_engine_context_create(1, NULL, &context) == 0, "context: %s", rnn_engine_last_error());
  const Case good = {RNN_ENGINE_LSTM, 3, 2, 4, 5, 1, 1, 1, 0, {0}};
  rnn_engine_sizes sizes;
  rnn_engine_problem p = make_layout(&good, RNN_ENGINE_FLOAT32).problem;
  p.hidden_size = 0;
  expect_error(rnn_engine_plan(context, &p, &sizes), "hidden_size");
  p = make_layout(&good, RNN_ENGINE_FLOAT32).problem;
  p.hidden_size = (int64_t)1 << 40;
  expect_error(rnn_engine_plan(context, &p, &sizes), "less than 1e15 values");
  p = make_layout(&good, RNN_ENGINE_FLOAT32).problem;
  p.cell = 9;
  expect_error(rnn_engine_plan(context, &p, &sizes), "cell");
  p = make_layout(&good, RNN_ENGINE_FLOAT32).problem;
  const int64_t growing[] = {2, 1, 2};
  p.batch_sizes = growing;
  expect_error(rnn_engine_plan(context, &p, &sizes), "batch_sizes[2]");
  p = make_layout(&good, RNN_ENGINE_FLOAT32).problem;
  const rnn_engine_forward_args nothing = {0};
  expect_error(rnn_engine_forward(context, &p, &nothing), "weights");
  size_t count = 0;
  CHECK(rnn_engine_plan_buffers(context, &p, NULL, 0, &count) == 0 && count > 5, "plan_buffers: %zu rows",
        count);
  rnn_engine_context_destroy(context);
}

int main(void) {
  test_errors();
  const int cases = (int)(sizeof kCases / sizeof kCases[0]);
  for (int i = 0; i < cases; ++i) {
    static const char* const kIsas[] = {"generic", "avx2", "avx512"};
    for (int isa = 0; isa < 3; ++isa) {
      if (!rnn_engine_has_isa(kIsas[isa])) continue;
      rnn_engine_context* context = NULL;
      CHECK(rnn_engine_context_create(1 + i % 2, kIsas[isa], &context) == 0, "context: %s",
            rnn_engine_last_error());
      test_gradients(context, &kCases[i], i);
      rnn_engine_context_destroy(context);
    }
    test_same_bits(&kCases[i], i, RNN_ENGINE_FLOAT32);
    test_same_bits(&kCases[i], i, RNN_ENGINE_FLOAT64);
  }
  printf("%d cases, %d failures\n", cases, failures);
  return failures != 0;
}
