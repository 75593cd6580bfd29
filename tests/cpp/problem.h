/* A problem of the tests of the C API: its shape, its values, and a run of it in memory that is watched. */
#ifndef RNN_ENGINE_TESTS_PROBLEM_H_
#define RNN_ENGINE_TESTS_PROBLEM_H_

#include "support.h"

enum { RED_ZONE = 4096, MAX_LAYERS = 3, MAX_PSEUDO_LAYERS = 6, MAX_STEPS = 8, VECTORS = 10 };

typedef struct {
  int cell, T, B, I;
  int64_t H[MAX_LAYERS];
  int P, L, D, bias;
  double dropout;
  int64_t batch_sizes[MAX_STEPS]; /* first 0: all B */
  double recurrent_dropout, zoneout[2];
  int residual, dropout_per_sentence;
} Case;

/* A block of NaN with red zones on both sides of `bytes` aligned bytes. */
typedef struct {
  unsigned char *whole, *data;
  size_t bytes;
} Block;

static inline Block make_block(size_t bytes) {
  Block block = {aligned_alloc(64, (bytes + 63) / 64 * 64 + 2 * RED_ZONE), NULL, bytes};
  block.data = block.whole + RED_ZONE;
  memset(block.whole, 0xA5, (bytes + 63) / 64 * 64 + 2 * RED_ZONE);
  memset(block.data, 0xFF, bytes);
  return block;
}

static inline void release_block(Block block, const char* name) {
  int touched = 0;
  for (size_t i = 0; i < RED_ZONE; ++i) touched |= block.whole[i] != 0xA5 || block.data[block.bytes + i] != 0xA5;
  CHECK(!touched, "%s: wrote outside its %zu bytes", name, block.bytes);
  free(block.whole);
}

/* All values of a case in one array of `size`-byte floats: parameters first, then x, h0, c0; the same for
 * gradients. Outputs: y, cells, hn, cn. */
typedef struct {
  rnn_engine_problem problem;
  size_t size; /* of a value */
  size_t parameters, x, h, c, outputs, cells, rows;
  size_t pseudo_first[MAX_PSEUDO_LAYERS];
} Layout;

static inline size_t inputs_of(const Layout* l) { return l->parameters + l->x + l->h + l->c; }
static inline size_t outputs_of(const Layout* l) { return l->outputs + l->cells + l->h + l->c; }
static inline size_t state_of(const Case* c, int layer) { return (size_t)(c->P ? c->P : c->H[layer]); }
static inline size_t input_of(const Case* c, int layer) {
  return layer ? (size_t)c->D * state_of(c, layer - 1) : (size_t)c->I;
}

static inline Layout make_layout(const Case* c, int dtype) {
  Layout l;
  memset(&l, 0, sizeof l);
  l.size = dtype == RNN_ENGINE_FLOAT32 ? 4 : 8;
  l.problem = (rnn_engine_problem){.cell = c->cell,
                                   .dtype = dtype,
                                   .steps = c->T,
                                   .batch = c->B,
                                   .input_size = c->I,
                                   .hidden_sizes = c->H,
                                   .layers = c->L,
                                   .projection = c->P,
                                   .directions = c->D,
                                   .bias = c->bias,
                                   .training = 1,
                                   .output = 1,
                                   .cell_output = 1,
                                   .input_gradient = 1,
                                   .batch_sizes = c->batch_sizes[0] ? c->batch_sizes : NULL,
                                   .dropout = c->dropout,
                                   .recurrent_dropout = c->recurrent_dropout,
                                   .zoneout = {c->zoneout[0], c->zoneout[1]},
                                   .zoneout_masks = 1,
                                   .residual = c->residual,
                                   .dropout_per_sentence = c->dropout_per_sentence};
  for (int t = 0; t < c->T; ++t) l.rows += (size_t)(c->batch_sizes[0] ? c->batch_sizes[t] : c->B);
  for (int pseudo = 0; pseudo < c->L * c->D; ++pseudo) {
    const int layer = pseudo / c->D;
    const size_t H = (size_t)c->H[layer], R = state_of(c, layer);
    l.pseudo_first[pseudo] = l.parameters;
    l.parameters += 4 * H * (input_of(c, layer) + R + VECTORS) + (size_t)c->P * H;
    l.h += (size_t)c->B * R;
    l.c += (size_t)c->B * H;
  }
  l.x = l.rows * (size_t)c->I;
  l.outputs = l.rows * (size_t)c->D * state_of(c, c->L - 1);
  l.cells = l.rows * (size_t)c->D * (size_t)c->H[c->L - 1];
  return l;
}

static inline void set_weights(const Case* c, const Layout* l, char* base, rnn_engine_weights* weights) {
  for (int pseudo = 0; pseudo < c->L * c->D; ++pseudo) {
    const int layer = pseudo / c->D;
    const size_t H = (size_t)c->H[layer], gates = 4 * H, input = input_of(c, layer), R = state_of(c, layer);
    char* p = base + l->pseudo_first[pseudo] * l->size;
    rnn_engine_weights* w = &weights[pseudo];
    memset(w, 0, sizeof *w);
    w->weight_ih = p;
    w->weight_hh = p + gates * input * l->size;
    char* vectors = p + gates * (input + R) * l->size;
    if (c->P) w->weight_hr = vectors + gates * VECTORS * l->size;
    if (c->bias) {
      w->bias_ih = vectors;
      w->bias_hh = vectors + gates * l->size;
    }
    for (int e = 0; rnn_engine_vector_width(c->cell, e) > 0; ++e)
      w->vector_params[e] = vectors + (2 + e) * gates * l->size;
    if (c->bias) continue;
    if (c->cell == RNN_ENGINE_MI_LSTM) w->vector_params[3] = NULL;
    if (c->cell == RNN_ENGINE_LAYER_NORM_LSTM) w->vector_params[3] = NULL;
  }
}

/* What a plan of steps asks before each: that they come in their order. */
typedef struct {
  int64_t next, by;
} Steps;

static inline int count_step(void* user, int64_t step) {
  Steps* steps = (Steps*)user;
  CHECK(step == steps->next, "step %d came for %d", (int)step, (int)steps->next);
  steps->next += steps->by;
  return 0;
}

/* Runs forward, and backward if `gradients`; returns the sum of all outputs times fixed upstream gradients.
 */
static inline double run(rnn_engine_context* context, const Case* c, const Layout* l, char* values, char* gradients,
                         char* outputs) {
  rnn_engine_weights weights[MAX_PSEUDO_LAYERS], dweights[MAX_PSEUDO_LAYERS];
  set_weights(c, l, values, weights);
  char *x = values + l->parameters * l->size, *h0 = x + l->x * l->size, *c0 = h0 + l->h * l->size;
  char *y = outputs, *cy = y + l->outputs * l->size, *hn = cy + l->cells * l->size, *cn = hn + l->h * l->size;
  rnn_engine_plan* plan = NULL;
  CHECK(rnn_engine_plan_create(context, &l->problem, &plan) == 0, "plan: %s", rnn_engine_last_error());
  rnn_engine_sizes sizes;
  CHECK(rnn_engine_plan_sizes(plan, &sizes) == 0, "sizes: %s", rnn_engine_last_error());
  CHECK(
      sizes.workspace_bytes >= sizes.forward_workspace_bytes && sizes.workspace_bytes >= sizes.backward_workspace_bytes,
      "workspace: %zu bytes", (size_t)sizes.workspace_bytes);
  const Block reserve = make_block(sizes.reserve_bytes), forward = make_block(sizes.forward_workspace_bytes);
  Steps steps = {0, 1};
  const rnn_engine_forward_args f = {.weights = weights,
                                     .x = x,
                                     .h0 = h0,
                                     .c0 = c0,
                                     .y = y,
                                     .cy = cy,
                                     .hn = hn,
                                     .cn = cn,
                                     .masks = {.seed = 77},
                                     .reserve = reserve.data,
                                     .workspace = forward.data,
                                     .before_step = l->problem.schedule == RNN_ENGINE_STEPS ? count_step : NULL,
                                     .before_step_user = &steps};
  CHECK(rnn_engine_forward(plan, &f) == 0, "forward: %s", rnn_engine_last_error());
  release_block(forward, "forward workspace");

  const size_t total = outputs_of(l);
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
    memset(gradients, 0, inputs_of(l) * l->size);
    set_weights(c, l, gradients, dweights);
    char* dx = gradients + l->parameters * l->size;
    char* dcy = upstream + l->outputs * l->size;
    const Block backward = make_block(sizes.backward_workspace_bytes);
    const rnn_engine_backward_args b = {.weights = weights,
                                        .x = x,
                                        .h0 = h0,
                                        .c0 = c0,
                                        .y = y,
                                        .dy = upstream,
                                        .dcy = dcy,
                                        .dhn = dcy + l->cells * l->size,
                                        .dcn = dcy + (l->cells + l->h) * l->size,
                                        .dx = dx,
                                        .dh0 = dx + l->x * l->size,
                                        .dc0 = dx + (l->x + l->h) * l->size,
                                        .gradients = dweights,
                                        .masks = {.seed = 77},
                                        .reserve = reserve.data,
                                        .workspace = backward.data,
                                        .before_step = f.before_step,
                                        .before_step_user = &steps};
    steps.next = l->problem.steps - 1;
    steps.by = -1;
    CHECK(rnn_engine_backward(plan, &b) == 0, "backward: %s", rnn_engine_last_error());
    release_block(backward, "backward workspace");
  }
  release_block(reserve, "reserve");
  rnn_engine_plan_destroy(plan);
  free(upstream);
  return loss;
}

#endif
