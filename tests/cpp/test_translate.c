/* The translator through its C API alone: the same hypotheses, to the bit, from every instruction set, number of
 * threads and batch size; a search that is given up; and errors that say what was expected. */
#include "rnn_translate.h"

#include "support.h"

enum { SOURCE = 23, TARGET = 70, E = 5, H = 9, SENTENCES = 13, MOST_TENSORS = 128 };

typedef struct {
  char names[MOST_TENSORS][64];
  rnn_translate_tensor list[MOST_TENSORS];
  int count;
} Tensors;

static void add(Tensors* t, const char* prefix, const char* name, const char* ending, int64_t count) {
  float* values = malloc(sizeof(float) * (size_t)count);
  for (int64_t i = 0; i < count; ++i) values[i] = (float)(1.6 * uniform());
  char* place = t->names[t->count];
  snprintf(place, sizeof t->names[0], "%s%s%s", prefix, name, ending);
  t->list[t->count++] = (rnn_translate_tensor){place, values, count};
}

static void add_layer(Tensors* t, int cell, const char* prefix, const char* ending, int input) {
  static const char* const kVectors[][9] = {
      {NULL},
      {"alpha", "beta1", "beta2", "bias", NULL},
      {"gamma_ih", "gamma_hh", "gamma_c", "beta_c", NULL},
      {"gamma_ih", "gamma_hh", "alpha", "beta1", "beta2", "bias", "gamma_c", "beta_c", NULL},
  };
  add(t, prefix, "weight_ih", ending, 4 * H * input);
  add(t, prefix, "weight_hh", ending, 4 * H * H);
  add(t, prefix, "bias_ih", ending, 4 * H);
  add(t, prefix, "bias_hh", ending, 4 * H);
  for (int v = 0; kVectors[cell][v]; ++v)
    add(t, prefix, kVectors[cell][v], ending, H * rnn_engine_vector_width(cell, v));
}

static void make_tensors(Tensors* t, const rnn_translate_shape* shape) {
  random_state = 4711;
  t->count = 0;
  add(t, "", "source_embedding.table.weight", "", SOURCE * E);
  add(t, "", "target_embedding.table.weight", "", TARGET * E);
  add(t, "", "output_bias", "", TARGET);
  for (int layer = 0; layer < shape->encoder_layers; ++layer)
    for (int direction = 0; direction < 2; ++direction) {
      char ending[32];
      snprintf(ending, sizeof ending, "_l%d%s", layer, direction ? "_reverse" : "");
      add_layer(t, shape->cell, "encoder.layers.", ending, layer ? 2 * H : E);
    }
  for (int layer = 0; layer < shape->decoder_layers; ++layer) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "decoder.layers.%d.", layer);
    add_layer(t, shape->cell, prefix, "_l0", layer ? H : E);
  }
  add(t, "", "decoder.initial.weight", "", 2 * shape->decoder_layers * H * 2 * H);
  add(t, "", "decoder.initial.bias", "", 2 * shape->decoder_layers * H);
  add(t, "", "decoder.attention.key_projection.weight", "", H * 2 * H);
  add(t, "", "decoder.attention.query_projection.weight", "", H * H);
  add(t, "", "decoder.combine.weight", "", H * 3 * H);
  add(t, "", "decoder.combine.bias", "", H);
  add(t, "", "decoder.project.weight", "", E * H);
  add(t, "", "decoder.project.bias", "", E);
}

static void release_tensors(Tensors* t) {
  for (int i = 0; i < t->count; ++i) free((void*)t->list[i].values);
}

static const int32_t kForbidden[] = {0, 1, 2};

static rnn_translate_options options_of(int beam, int threads, int batch) {
  return (rnn_translate_options){beam, beam, 0.9, beam > 3 ? 3 : 0, 2, 3, kForbidden, 3, batch, threads};
}

static int32_t ids[SENTENCES][SENTENCES];
static rnn_translate_sentence sentences[SENTENCES];

static void make_sentences(void) {
  random_state = 99;
  for (int i = 0; i < SENTENCES; ++i) {
    sentences[i] = (rnn_translate_sentence){ids[i], 1 + i * 5 % SENTENCES, 4 + i};
    for (int j = 0; j < sentences[i].length; ++j) ids[i][j] = 4 + (int)((uniform() + 0.5) * (SOURCE - 4));
  }
}

static uint64_t digest_of(const rnn_translate_results* results) {
  uint64_t hash = 0;
  for (int i = 0; i < SENTENCES; ++i)
    for (int64_t h = results->first[i]; h < results->first[i + 1]; ++h) {
      const rnn_translate_hypothesis* each = &results->hypotheses[h];
      hash = hash * 31 + digest(each->tokens, sizeof(int32_t) * (size_t)each->length);
      hash = hash * 31 + digest(&each->log_probability, sizeof(double));
      hash = hash * 31 + digest(&each->score, sizeof(double));
      hash = hash * 31 + digest(each->coverage, sizeof(float) * (size_t)(sentences[i].length + 1));
      CHECK(each->length < sentences[i].max_length, "sentence %d: longer than allowed", i);
    }
  return hash;
}

static void test_same_bits(int cell, int attention, int precision) {
  const rnn_translate_shape shape = {cell, attention, precision, SOURCE, TARGET, E, H, 2, 2};
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  uint64_t expected[7] = {0};
  int first = 0;
  if (BEST_ISA_ALONE)
    for (first = ISAS - 1; !rnn_engine_has_isa(kIsas[first]);) --first;
  for (int isa = first; isa < ISAS; ++isa) {
    if (!rnn_engine_has_isa(kIsas[isa])) continue;
    rnn_translate_model* model = NULL;
    CHECK(rnn_translate_model_create(&shape, tensors.list, tensors.count, kIsas[isa], &model) == 0, "model: %s",
          rnn_engine_last_error());
    for (int beam = 1; beam < 7; beam += 2)
      for (int threads = 1; threads <= 3; threads += 2)
        for (int batch = 1; batch <= 16; batch += 5) {
          const rnn_translate_options options = options_of(beam, threads, batch);
          rnn_translate_results* results = NULL;
          CHECK(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results) == 0, "search: %s",
                rnn_engine_last_error());
          if (!results) continue;
          const uint64_t found = digest_of(results);
          if (!expected[beam]) expected[beam] = found;
          CHECK(found == expected[beam], "cell %d, %s, beam %d, %d threads, batches of %d: other bits", cell,
                kIsas[isa], beam, threads, batch);
          CHECK(results->first[SENTENCES] >= SENTENCES, "fewer hypotheses than sentences");
          rnn_translate_results_destroy(results);
        }
    rnn_translate_model_destroy(model);
  }
  release_tensors(&tensors);
}

static int give_up(void* user, int64_t done) {
  ++*(int*)user;
  return done > 0;
}

static void test_errors(void) {
  const rnn_translate_shape shape = {
      RNN_ENGINE_LSTM, RNN_TRANSLATE_DOT, RNN_TRANSLATE_FLOAT32, SOURCE, TARGET, E, H, 1, 1};
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  rnn_translate_model* model = NULL;
  expect_error(rnn_translate_model_create(NULL, tensors.list, tensors.count, NULL, &model), "shape");
  expect_error(rnn_translate_model_create(&shape, NULL, tensors.count, NULL, &model), "tensors");
  expect_error(rnn_translate_model_create(&shape, tensors.list, tensors.count, NULL, NULL), "model");
  expect_error(rnn_translate_model_create(&shape, tensors.list, tensors.count - 1, NULL, &model), "missing");
  expect_error(rnn_translate_model_create(&shape, tensors.list, tensors.count, "abacus", &model), "abacus");
  rnn_translate_shape wrong = shape;
  wrong.cell = RNN_ENGINE_GRU;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "cell");
  wrong = shape;
  wrong.precision = 7;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "precision");
  wrong = shape;
  wrong.attention = 7;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "attention");
  wrong = shape;
  wrong.hidden_size = INT64_MAX;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "hidden_size");
  wrong = shape;
  wrong.hidden_size = H + 1;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "expected");

  CHECK(rnn_translate_model_create(&shape, tensors.list, tensors.count, NULL, &model) == 0, "model: %s",
        rnn_engine_last_error());
  rnn_translate_results* results = NULL;
  rnn_translate_options options = options_of(3, 1, 4);
  expect_error(rnn_translate_search(NULL, &options, sentences, SENTENCES, NULL, NULL, &results), "model");
  expect_error(rnn_translate_search(model, NULL, sentences, SENTENCES, NULL, NULL, &results), "options");
  expect_error(rnn_translate_search(model, &options, NULL, SENTENCES, NULL, NULL, &results), "sentences");
  expect_error(rnn_translate_search(model, &options, sentences, -1, NULL, NULL, &results), "count");
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, NULL), "results");
  options.threads = 0;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "threads");
  options = options_of(3, 1, 4);
  options.n_best = 4;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "n_best");
  options = options_of(3, 1, 4);
  rnn_translate_sentence unknown = {(const int32_t[]){SOURCE}, 1, 5};
  expect_error(rnn_translate_search(model, &options, &unknown, 1, NULL, NULL, &results), "id");

  CHECK(rnn_translate_search(model, &options, NULL, 0, NULL, NULL, &results) == 0, "nothing to do: %s",
        rnn_engine_last_error());
  rnn_translate_results_destroy(results);
  int calls = 0;
  CHECK(
      rnn_translate_search(model, &options, sentences, SENTENCES, give_up, &calls, &results) == RNN_ENGINE_INTERRUPTED,
      "a search that is given up reports it");
  CHECK(calls > 1, "the caller is asked between steps");
  rnn_translate_model_destroy(model);
  rnn_translate_model_destroy(NULL);
  rnn_translate_results_destroy(NULL);
  release_tensors(&tensors);
}

int main(void) {
  make_sentences();
  for (int cell = RNN_ENGINE_LSTM; cell <= RNN_ENGINE_LAYER_NORM_MI_LSTM; ++cell)
    for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_INT8; ++precision)
      test_same_bits(cell, cell % 2 ? RNN_TRANSLATE_GENERAL : RNN_TRANSLATE_DOT, precision);
  test_errors();
  printf("%d failures\n", failures);
  return failures != 0;
}
