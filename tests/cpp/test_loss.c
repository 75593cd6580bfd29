/* The loss through the C API alone: gradients against central differences, the same bits from every
 * instruction set and number of threads, no byte outside the planned workspace touched, none kept from
 * before, and errors that say what was expected. */
#include <math.h>

#include "support.h"

enum { RED_ZONE = 4096, ALL = RNN_ENGINE_LOSS_HIDDEN | RNN_ENGINE_LOSS_WEIGHT | RNN_ENGINE_LOSS_BIAS };

typedef struct {
  int M, E, V, bias, ignore;    /* every ignore-th token is left out; 0: none */
  double smoothing, divergence; /* with one, tokens come twice */
} Case;

static const Case kCases[] = {
    {1, 1, 1, 1, 0, 0.1, 0}, {0, 3, 2, 1, 0, 0.1, 0},     {5, 3, 7, 1, 0, 0, 0},       {17, 9, 33, 0, 3, 0.1, 0},
    {9, 4, 97, 1, 1, 0, 0},  {35, 18, 193, 1, 2, 0.2, 0}, {300, 5, 20, 1, 7, 0.1, 0},  {2, 1, 1, 1, 0, 0.1, 2},
    {0, 3, 2, 1, 0, 0.1, 2}, {10, 3, 7, 0, 0, 0, 0.5},    {70, 18, 193, 1, 3, 0.2, 2}, {300, 5, 20, 1, 7, 0.1, 1},
};

/* hidden, weight, bias one after the other, and the same for their gradients: numbers of bytes. Values of
 * hidden, d_hidden and weight take `stored`, all others `value`. */
typedef struct {
  rnn_engine_loss_problem problem;
  size_t stored, value;
  size_t weight, bias, values; /* where the first two begin; of all */
  size_t d_weight, d_bias, gradients;
} Layout;

/* To where values of 4 bytes may begin, after values of 2. */
static size_t aligned(size_t bytes) { return (bytes + 3) / 4 * 4; }

static Layout make_layout(const Case* c, int dtype, int gradients) {
  Layout l;
  l.problem = (rnn_engine_loss_problem){dtype, gradients, c->M, c->E, c->V, -7, c->smoothing, 0, c->divergence};
  l.value = dtype == RNN_ENGINE_FLOAT64 ? 8 : 4;
  l.stored = dtype == RNN_ENGINE_BFLOAT16 ? 2 : l.value;
  const size_t hidden = (size_t)c->M * c->E, weight = (size_t)c->V * c->E;
  l.weight = hidden * l.stored;
  l.bias = aligned(l.weight + weight * l.stored);
  l.values = l.bias + (size_t)c->V * l.value;
  l.d_weight = aligned(hidden * l.stored);
  l.d_bias = l.d_weight + weight * l.value;
  l.gradients = l.d_bias + (size_t)c->V * l.value;
  return l;
}

static void fill(const Layout* l, char* values, double scale) {
  memset(values, 0, l->values);
  fill_values(values, (l->bias / l->stored), l->stored, scale);
  fill_values(values + l->bias, (l->values - l->bias) / l->value, l->value, scale);
}

static rnn_engine_loss_result run(rnn_engine_context* context, const Case* c, const Layout* l, char* values,
                                  char* gradients, unsigned char dirt) {
  int64_t* targets = malloc(sizeof(int64_t) * (size_t)(c->M + 1));
  for (int row = 0; row < c->M; ++row) {
    const int i = c->divergence > 0 ? row / 2 : row;
    targets[row] = c->ignore && i % c->ignore == 0 ? -7 : (i * 31) % c->V;
  }
  uint64_t bytes = 0;
  CHECK(rnn_engine_loss_workspace(context, &l->problem, &bytes) == 0, "workspace: %s", rnn_engine_last_error());
  const size_t whole = (bytes + 63) / 64 * 64 + 2 * RED_ZONE;
  unsigned char* block = aligned_alloc(64, whole);
  memset(block, dirt, whole);
  rnn_engine_loss_args args = {
      .hidden = values, .weight = values + l->weight, .targets = targets, .scale = 0.5, .workspace = block + RED_ZONE};
  if (c->bias) args.bias = values + l->bias;
  if (gradients) {
    memset(gradients, 0, l->gradients);
    memset(gradients, dirt, (size_t)c->M * c->E * l->stored); /* overwritten */
    args.d_hidden = gradients;
    args.d_weight = gradients + l->d_weight;
    args.d_bias = gradients + l->d_bias;
  }
  rnn_engine_loss_result result;
  memset(&result, 0, sizeof result);
  CHECK(rnn_engine_linear_cross_entropy(context, &l->problem, &args, &result) == 0, "loss: %s",
        rnn_engine_last_error());
  int touched = 0;
  for (size_t i = 0; i < RED_ZONE; ++i) touched |= block[i] != dirt || block[RED_ZONE + bytes + i] != dirt;
  CHECK(!touched, "workspace: wrote outside its %zu bytes", (size_t)bytes);
  free(block);
  free(targets);
  return result;
}

static void test_gradients(rnn_engine_context* context, const Case* c, int number) {
  const Layout l = make_layout(c, RNN_ENGINE_FLOAT64, ALL), plain = make_layout(c, RNN_ENGINE_FLOAT64, 0);
  double *values = malloc(l.values), *gradients = malloc(l.gradients);
  fill(&l, (char*)values, 4);
  const rnn_engine_loss_result with = run(context, c, &l, (char*)values, (char*)gradients, 0xA5);
  const rnn_engine_loss_result without = run(context, c, &plain, (char*)values, NULL, 0xA5);
  CHECK(memcmp(&with, &without, sizeof with) == 0, "case %d: another result without gradients", number);
  const double step = 1e-5;
  const size_t count = (c->bias ? l.values : l.bias) / sizeof *values;
  for (size_t i = 0; i < count; i += 1 + count / DIFFERENCES) {
    const double before = values[i];
    values[i] = before + step;
    const double above = run(context, c, &plain, (char*)values, NULL, 0xA5).loss;
    values[i] = before - step;
    const double below = run(context, c, &plain, (char*)values, NULL, 0xA5).loss;
    values[i] = before;
    const double expected = 0.5 * (above - below) / (2 * step); /* args.scale is 0.5 */
    CHECK(fabs(gradients[i] - expected) <= 1e-7 * (1 + fabs(expected)),
          "case %d, %s, value %zu: gradient %.12g, expected %.12g", number, name_of_isa(context), i, gradients[i],
          expected);
  }
  free(values);
  free(gradients);
}

/* Results and gradients of every instruction set on 1 and 4 threads are those of the first, bit for bit,
 * whatever the workspace held before; those of an odd one agree with one another. */
static void test_same_bits(const Machine* machines, int machine_count, const Case* c, int number, int dtype) {
  const Layout l = make_layout(c, dtype, ALL);
  char *values = malloc(l.values), *gradients = malloc(l.gradients), *first[KINDS] = {NULL};
  rnn_engine_loss_result first_result[KINDS];
  fill(&l, values, 4);
  for (const Machine* m = machines; m < machines + machine_count; ++m) {
    /* 0xFF: a workspace of NaN */
    const rnn_engine_loss_result result = run(m->context, c, &l, values, gradients, m->threads == 1 ? 0xA5 : 0xFF);
    const int kind = kind_of(m);
    if (!first[kind]) {
      first[kind] = malloc(l.gradients);
      memcpy(first[kind], gradients, l.gradients);
      first_result[kind] = result;
    }
    CHECK(memcmp(first[kind], gradients, l.gradients) == 0 && memcmp(&first_result[kind], &result, sizeof result) == 0,
          "case %d, %zu-byte floats: %s on %d threads differs from the first", number, l.stored, m->isa, m->threads);
  }
  free(values);
  free(gradients);
  for (int i = 0; i < KINDS; ++i) free(first[i]);
}

/* A line for each case, type and size of the values (the larger ones make probabilities of almost 0 and 1):
 * instruction set, what it is of, and what others must print too. */
static void print_digests(const Machine* m) {
  for (int i = 0; i < (int)(sizeof kCases / sizeof kCases[0]); ++i) {
    for (int dtype = RNN_ENGINE_FLOAT32; dtype <= RNN_ENGINE_BFLOAT16; ++dtype) {
      const Layout l = make_layout(&kCases[i], dtype, ALL);
      char *values = malloc(l.values), *gradients = malloc(l.gradients);
      for (int scale = 1; scale <= 25; scale += 8) {
        fill(&l, values, scale);
        const rnn_engine_loss_result r = run(m->context, &kCases[i], &l, values, gradients, 0xA5);
        printf(
            "%s\tloss case %d, %zu-byte floats, scale %d\tloss %a, nll %a, apart %a, right %lld, gradients %016llx\n",
            m->isa, i, l.stored, scale, r.loss, r.nll, r.divergence, (long long)r.target_is_argmax,
            (unsigned long long)digest(gradients, l.gradients));
      }
      free(values);
      free(gradients);
    }
  }
}

static void test_errors(void) {
  rnn_engine_context* context = NULL;
  CHECK(rnn_engine_context_create(1, NULL, &context) == 0, "context: %s", rnn_engine_last_error());
  const rnn_engine_loss_problem good = {RNN_ENGINE_FLOAT32, 0, 2, 3, 4, -7, 0.1, 0, 0};
  uint64_t bytes = 0;
  rnn_engine_loss_problem p = good;
  p.dtype = 5;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "float64 (1) or bfloat16 (2), got 5");
  p.dtype = RNN_ENGINE_FLOAT16;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "got float16 (3), which needs CUDA");
  p = good;
  p.tokens = -1;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "tokens");
  p = good;
  p.features = 0;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "features");
  p = good;
  p.vocabulary = (int64_t)1 << 50;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "less than 1e15 values");
  p = good;
  p.smoothing = NAN;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "smoothing");
  p = good;
  p.divergence = -1;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "divergence: expected a finite weight");
  p.divergence = INFINITY;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "divergence: expected a finite weight");
  p.divergence = 1;
  p.tokens = 3;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "tokens: expected an even number");
  p = good;
  p.gradients = 8;
  expect_error(rnn_engine_loss_workspace(context, &p, &bytes), "gradients");

  rnn_engine_loss_result result;
  CHECK(rnn_engine_loss_workspace(context, &good, &bytes) == 0, "workspace: %s", rnn_engine_last_error());
  void* workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
  float values[12] = {0};
  int64_t targets[2] = {3, 4};
  rnn_engine_loss_args args = {.weight = values, .targets = targets, .scale = 1, .workspace = workspace};
  expect_error(rnn_engine_linear_cross_entropy(context, &good, &args, &result), "hidden");
  args.hidden = values;
  expect_error(rnn_engine_linear_cross_entropy(context, &good, &args, &result),
               "targets[1]: expected 0 to V - 1 = 3 or ignore_index = -7, got 4");
  targets[1] = -7;
  CHECK(rnn_engine_linear_cross_entropy(context, &good, &args, &result) == 0, "loss: %s", rnn_engine_last_error());
  CHECK(result.tokens == 1 && result.target_is_argmax == 0 && fabs(result.nll - log(4)) < 1e-6, "nll %g", result.nll);
  p = good;
  p.divergence = 1;
  uint64_t more = 0;
  CHECK(rnn_engine_loss_workspace(context, &p, &more) == 0 && more > bytes, "workspace: %s", rnn_engine_last_error());
  void* larger = aligned_alloc(64, (more + 63) / 64 * 64);
  args.workspace = larger;
  expect_error(rnn_engine_linear_cross_entropy(context, &p, &args, &result),
               "targets[1]: expected 3 as the token before");
  args.workspace = workspace;
  free(larger);
  p = good;
  p.gradients = RNN_ENGINE_LOSS_WEIGHT;
  expect_error(rnn_engine_linear_cross_entropy(context, &p, &args, &result), "d_weight");
  args.workspace = (char*)workspace + 4;
  expect_error(rnn_engine_linear_cross_entropy(context, &good, &args, &result), "workspace");
  free(workspace);
  rnn_engine_context_destroy(context);
}

/* The first `same` machines agree in every type. */
static void all_tests(const Machine* machines, int same, int count) {
  test_errors();
  const int cases = (int)(sizeof kCases / sizeof kCases[0]);
  for (int i = 0; i < cases; ++i) {
    for (int m = i % 2; m < same; m += 2) /* one of each instruction set's two numbers of threads */
      test_gradients(machines[m].context, &kCases[i], i);
    test_same_bits(machines, same, &kCases[i], i, RNN_ENGINE_FLOAT32);
    test_same_bits(machines, same, &kCases[i], i, RNN_ENGINE_FLOAT64);
    test_same_bits(machines, count, &kCases[i], i, RNN_ENGINE_BFLOAT16);
  }
  printf("%d cases, %d failures\n", cases, failures);
}

/* Without arguments, the tests; `test_loss digests` prints digests of what every instruction set gives. */
int main(int argc, char** argv) {
  Machine machines[ALL_MACHINES];
  const int same = make_machines(machines), count = add_odd_ones(machines, same);
  if (argc == 2 && strcmp(argv[1], "digests") == 0)
    for (int m = 0; m < same; m += 2) print_digests(&machines[m]); /* on one thread */
  else
    all_tests(machines, same, count);
  release_machines(machines, count);
  return failures != 0;
}
