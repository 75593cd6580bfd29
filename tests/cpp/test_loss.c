/* The loss through the C API alone: gradients against central differences, the same bits from every
 * instruction set and number of threads, no byte outside the planned scratch touched, none kept from before,
 * and errors that say what was expected. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rnn_engine.h"

enum { RED_ZONE = 4096, ALL = RNN_ENGINE_LOSS_HIDDEN | RNN_ENGINE_LOSS_WEIGHT | RNN_ENGINE_LOSS_BIAS };

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
  int M, E, V, bias, ignore; /* every ignore-th token is left out; 0: none */
  double smoothing;
} Case;

static const Case kCases[] = {
    {1, 1, 1, 1, 0, 0.1}, {0, 3, 2, 1, 0, 0.1},     {5, 3, 7, 1, 0, 0},      {17, 9, 33, 0, 3, 0.1},
    {9, 4, 97, 1, 1, 0},  {35, 18, 193, 1, 2, 0.2}, {300, 5, 20, 1, 7, 0.1},
};

static uint64_t random_state;
static double uniform(void) { /* xorshift64*, in [-0.5, 0.5) */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (double)((random_state * 2685821657736338717ull) >> 11) / 9007199254740992.0 - 0.5;
}

/* hidden, weight, bias one after the other, and the same for their gradients; values of `size` bytes. */
typedef struct {
  rnn_engine_loss_problem problem;
  size_t size, hidden, weight, count;
} Layout;

static Layout make_layout(const Case* c, int dtype, int gradients) {
  Layout l;
  l.problem = (rnn_engine_loss_problem){dtype, gradients, c->M, c->E, c->V, -7, c->smoothing};
  l.size = dtype == RNN_ENGINE_FLOAT32 ? 4 : 8;
  l.hidden = (size_t)c->M * c->E;
  l.weight = (size_t)c->V * c->E;
  l.count = l.hidden + l.weight + (size_t)c->V;
  return l;
}

static rnn_engine_loss_result run(rnn_engine_context* context, const Case* c, const Layout* l, char* values,
                                  char* gradients, unsigned char dirt) {
  int64_t* targets = malloc(sizeof(int64_t) * (size_t)(c->M + 1));
  for (int i = 0; i < c->M; ++i) targets[i] = c->ignore && i % c->ignore == 0 ? -7 : (i * 31) % c->V;
  uint64_t bytes = 0;
  CHECK(rnn_engine_loss_scratch(context, &l->problem, &bytes) == 0, "scratch: %s", rnn_engine_last_error());
  const size_t whole = (bytes + 63) / 64 * 64 + 2 * RED_ZONE;
  unsigned char* block = aligned_alloc(64, whole);
  memset(block, dirt, whole);
  rnn_engine_loss_args args = {
      values, values + l->hidden * l->size, NULL, targets, 0.5, NULL, NULL, NULL, block + RED_ZONE};
  if (c->bias) args.bias = values + (l->hidden + l->weight) * l->size;
  if (gradients) {
    memset(gradients, 0, l->count * l->size);
    memset(gradients, dirt, l->hidden * l->size); /* overwritten */
    args.d_hidden = gradients;
    args.d_weight = gradients + l->hidden * l->size;
    args.d_bias = gradients + (l->hidden + l->weight) * l->size;
  }
  rnn_engine_loss_result result;
  memset(&result, 0, sizeof result);
  CHECK(rnn_engine_linear_cross_entropy(context, &l->problem, &args, &result) == 0, "loss: %s",
        rnn_engine_last_error());
  int touched = 0;
  for (size_t i = 0; i < RED_ZONE; ++i) touched |= block[i] != dirt || block[RED_ZONE + bytes + i] != dirt;
  CHECK(!touched, "scratch: wrote outside its %zu bytes", (size_t)bytes);
  free(block);
  free(targets);
  return result;
}

static void fill(const Layout* l, char* values) {
  random_state = 12345;
  for (size_t i = 0; i < l->count; ++i) {
    const double v = 4 * uniform();
    if (l->size == 4)
      ((float*)values)[i] = (float)v;
    else
      ((double*)values)[i] = v;
  }
}

static void test_gradients(rnn_engine_context* context, const Case* c, int number) {
  const Layout l = make_layout(c, RNN_ENGINE_FLOAT64, ALL), plain = make_layout(c, RNN_ENGINE_FLOAT64, 0);
  double *values = malloc(l.count * 8), *gradients = malloc(l.count * 8);
  fill(&l, (char*)values);
  const rnn_engine_loss_result with = run(context, c, &l, (char*)values, (char*)gradients, 0xA5);
  const rnn_engine_loss_result without = run(context, c, &plain, (char*)values, NULL, 0xA5);
  CHECK(memcmp(&with, &without, sizeof with) == 0, "case %d: another result without gradients", number);
  const double step = 1e-5;
  const size_t count = c->bias ? l.count : l.hidden + l.weight;
  for (size_t i = 0; i < count; i += 1 + count / 100) {
    const double before = values[i];
    values[i] = before + step;
    const double above = run(context, c, &plain, (char*)values, NULL, 0xA5).loss;
    values[i] = before - step;
    const double below = run(context, c, &plain, (char*)values, NULL, 0xA5).loss;
    values[i] = before;
    const double expected = 0.5 * (above - below) / (2 * step); /* args.scale is 0.5 */
    CHECK(fabs(gradients[i] - expected) <= 1e-7 * (1 + fabs(expected)),
          "case %d, %s, value %zu: gradient %.12g, expected %.12g", number, rnn_engine_context_isa(context),
          i, gradients[i], expected);
  }
  free(values);
  free(gradients);
}

/* Results and gradients of every instruction set on 1 and 3 threads are those of the first, bit for bit,
 * whatever the scratch held before. */
static void test_same_bits(const Case* c, int number, int dtype) {
  static const char* const kIsas[] = {"generic", "avx2", "avx512"};
  const Layout l = make_layout(c, dtype, ALL);
  char *values = malloc(l.count * l.size), *gradients = malloc(l.count * l.size), *first = NULL;
  rnn_engine_loss_result first_result;
  fill(&l, values);
  for (int i = 0; i < 3; ++i) {
    if (!rnn_engine_has_isa(kIsas[i])) continue;
    for (int threads = 1; threads <= 3; threads += 2) {
      rnn_engine_context* context = NULL;
      CHECK(rnn_engine_context_create(threads, kIsas[i], &context) == 0, "context: %s",
            rnn_engine_last_error());
      /* 0xFF: a scratch of NaN */
      const rnn_engine_loss_result result =
          run(context, c, &l, values, gradients, threads == 1 ? 0xA5 : 0xFF);
      rnn_engine_context_destroy(context);
      if (!first) {
        first = malloc(l.count * l.size);
        memcpy(first, gradients, l.count * l.size);
        first_result = result;
      }
      CHECK(memcmp(first, gradients, l.count * l.size) == 0 &&
                memcmp(&first_result, &result, sizeof result) == 0,
            "case %d, %zu-byte floats: %s on %d threads differs from %s", number, l.size, kIsas[i], threads,
            kIsas[0]);
    }
  }
  free(values);
  free(gradients);
  free(first);
}

static void expect_error(int code, const char* part) {
  CHECK(code == RNN_ENGINE_INVALID, "expected an error about %s, got code %d", part, code);
  CHECK(strstr(rnn_engine_last_error(), part) != NULL, "expected a message with \"%s\", got \"%s\"", part,
        rnn_engine_last_error());
}

static void test_errors(void) {
  rnn_engine_context* context = NULL;
  CHECK(rnn_engine_context_create(1, NULL, &context) == 0, "context: %s", rnn_engine_last_error());
  const rnn_engine_loss_problem good = {RNN_ENGINE_FLOAT32, 0, 2, 3, 4, -7, 0.1};
  uint64_t bytes = 0;
  rnn_engine_loss_problem p = good;
  p.dtype = 5;
  expect_error(rnn_engine_loss_scratch(context, &p, &bytes), "dtype");
  p = good;
  p.tokens = -1;
  expect_error(rnn_engine_loss_scratch(context, &p, &bytes), "tokens");
  p = good;
  p.features = 0;
  expect_error(rnn_engine_loss_scratch(context, &p, &bytes), "features");
  p = good;
  p.vocabulary = (int64_t)1 << 50;
  expect_error(rnn_engine_loss_scratch(context, &p, &bytes), "less than 1e15 values");
  p = good;
  p.smoothing = NAN;
  expect_error(rnn_engine_loss_scratch(context, &p, &bytes), "smoothing");
  p = good;
  p.gradients = 8;
  expect_error(rnn_engine_loss_scratch(context, &p, &bytes), "gradients");

  rnn_engine_loss_result result;
  CHECK(rnn_engine_loss_scratch(context, &good, &bytes) == 0, "scratch: %s", rnn_engine_last_error());
  void* scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
  float values[12] = {0};
  int64_t targets[2] = {3, 4};
  rnn_engine_loss_args args = {NULL, values, NULL, targets, 1, NULL, NULL, NULL, scratch};
  expect_error(rnn_engine_linear_cross_entropy(context, &good, &args, &result), "hidden");
  args.hidden = values;
  expect_error(rnn_engine_linear_cross_entropy(context, &good, &args, &result),
               "targets[1]: expected 0 to V - 1 = 3 or ignore_index = -7, got 4");
  targets[1] = -7;
  CHECK(rnn_engine_linear_cross_entropy(context, &good, &args, &result) == 0, "loss: %s",
        rnn_engine_last_error());
  CHECK(result.tokens == 1 && result.right == 0 && fabs(result.nll - log(4)) < 1e-6, "nll %g", result.nll);
  p = good;
  p.gradients = RNN_ENGINE_LOSS_WEIGHT;
  expect_error(rnn_engine_linear_cross_entropy(context, &p, &args, &result), "d_weight");
  args.scratch = (char*)scratch + 4;
  expect_error(rnn_engine_linear_cross_entropy(context, &good, &args, &result), "scratch");
  free(scratch);
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
