/* A small network with random weights, and sentences for it, the same on every machine. */
#ifndef RNN_ENGINE_TESTS_NETWORK_H_
#define RNN_ENGINE_TESTS_NETWORK_H_

#include "rnn_translate.h"
#include "support.h"

enum { SOURCE = 23, TARGET = 70, E = 5, H = 9, SENTENCES = 13, MOST_TENSORS = 128 };

typedef struct {
  char names[MOST_TENSORS][64];
  rnn_translate_tensor list[MOST_TENSORS];
  int count;
} Tensors;

static inline rnn_translate_shape shape_of(int cell, int attention, int precision, int layers) {
  const rnn_translate_shape shape = {cell,
                                     attention,
                                     precision,
                                     SOURCE,
                                     TARGET,
                                     E,
                                     H,
                                     layers,
                                     layers,
                                     attention == RNN_TRANSLATE_GENERAL ? 1 : 3,
                                     cell % 2 ? RNN_TRANSLATE_UPPER : RNN_TRANSLATE_READOUT,
                                     cell == RNN_ENGINE_GRU ? 100000 : 0,
                                     cell == RNN_ENGINE_LAYER_NORM_LSTM || cell == RNN_ENGINE_GRU,
                                     attention == RNN_TRANSLATE_GENERAL && cell != RNN_ENGINE_LSTM};
  return shape;
}

static inline void add(Tensors* t, const char* prefix, const char* name, const char* ending, int64_t count) {
  float* values = (float*)malloc(sizeof(float) * (size_t)count);
  for (int64_t i = 0; i < count; ++i) values[i] = (float)(1.6 * uniform());
  char* place = t->names[t->count];
  snprintf(place, sizeof t->names[0], "%s%s%s", prefix, name, ending);
  const rnn_translate_tensor tensor = {place, values, count};
  t->list[t->count++] = tensor;
}

static inline void add_layer(Tensors* t, int cell, const char* prefix, const char* ending, int input) {
  static const char* const kVectors[][9] = {
      {NULL},
      {"alpha", "beta1", "beta2", "bias", NULL},
      {"gamma_ih", "gamma_hh", "gamma_c", "beta_c", NULL},
      {"gamma_ih", "gamma_hh", "alpha", "beta1", "beta2", "bias", "gamma_c", "beta_c", NULL},
      {NULL},
  };
  const int gates = cell == RNN_ENGINE_GRU ? 3 : 4;
  add(t, prefix, "weight_ih", ending, gates * H * input);
  add(t, prefix, "weight_hh", ending, gates * H * H);
  add(t, prefix, "bias_ih", ending, gates * H);
  add(t, prefix, "bias_hh", ending, gates * H);
  for (int v = 0; kVectors[cell][v]; ++v)
    add(t, prefix, kVectors[cell][v], ending, H * rnn_engine_vector_width(cell, v));
}

static inline void make_tensors(Tensors* t, const rnn_translate_shape* shape) {
  random_state = 4711;
  t->count = 0;
  const int C = shape->attend_embeddings ? 2 * H + E : 2 * H;
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
    const int first = shape->input_feeding ? E + H : E;
    add_layer(t, shape->cell, prefix, "_l0", !layer ? first : shape->context == RNN_TRANSLATE_UPPER ? C + H : H);
  }
  const int states = shape->cell == RNN_ENGINE_GRU ? 1 : 2;
  add(t, "", "decoder.initial.weight", "", states * shape->decoder_layers * H * C);
  add(t, "", "decoder.initial.bias", "", states * shape->decoder_layers * H);
  add(t, "", "decoder.attention.key_projection.weight", "", H * C);
  add(t, "", "decoder.attention.query_projection.weight", "", H * H);
  add(t, "", "decoder.attention.vector", "", H);
  add(t, "", "decoder.combine.weight", "", H * (C + H));
  add(t, "", "decoder.combine.bias", "", H);
  add(t, "", "decoder.project.weight", "", E * H);
  add(t, "", "decoder.project.bias", "", E);
}

static inline void release_tensors(Tensors* t) {
  for (int i = 0; i < t->count; ++i) free((void*)t->list[i].values);
}

static const int32_t kForbidden[] = {0, 1, 2};

static inline rnn_translate_options options_of(int beam, int threads, int batch) {
  rnn_translate_options options;
  memset(&options, 0, sizeof options);
  options.beam_size = options.n_best = beam;
  options.length_penalty = 0.9;
  options.no_repeat_ngram = beam > 3 ? 3 : 0;
  options.bos = 2;
  options.eos = 3;
  options.forbidden = kForbidden;
  options.forbidden_count = 3;
  options.batch_size = batch;
  options.threads = threads;
  options.min_length = 3;
  options.attention = 1;
  return options;
}

static int32_t ids[SENTENCES][SENTENCES];
static rnn_translate_sentence sentences[SENTENCES];

static inline void make_sentences(void) {
  random_state = 99;
  for (int i = 0; i < SENTENCES; ++i) {
    const rnn_translate_sentence sentence = {ids[i], 1 + i * 5 % SENTENCES, 4 + i, ids[(i + 5) % SENTENCES],
                                             i % 3 == 1 ? 1 + i % 4 : 0};
    sentences[i] = sentence;
    for (int j = 0; j < sentence.length; ++j) ids[i][j] = 4 + (int)((uniform() + 0.5) * (SOURCE - 4));
  }
}

static inline uint64_t digest_of(const rnn_translate_results* results) {
  uint64_t hash = 0;
  for (int i = 0; i < SENTENCES; ++i)
    for (int64_t h = results->first[i]; h < results->first[i + 1]; ++h) {
      const rnn_translate_hypothesis* each = &results->hypotheses[h];
      const int64_t S = sentences[i].length + 1;
      hash = hash * 31 + digest(each->tokens, sizeof(int32_t) * (size_t)each->length);
      hash = hash * 31 + digest(&each->log_probability, sizeof(double));
      hash = hash * 31 + digest(&each->score, sizeof(double));
      hash = hash * 31 + digest(each->coverage, sizeof(float) * (size_t)S);
      hash = hash * 31 + digest(each->attention, sizeof(float) * (size_t)((each->length + 1) * S));
      CHECK(each->length < sentences[i].max_length, "sentence %d: longer than allowed", i);
      CHECK(each->length >= 3 || each->length + 1 == sentences[i].max_length, "sentence %d: too short", i);
      CHECK(memcmp(each->tokens, sentences[i].prefix, sizeof(int32_t) * (size_t)sentences[i].prefix_length) == 0,
            "sentence %d: begins otherwise", i);
      for (int64_t s = 0; s < S; ++s) {
        float sum = 0;
        for (int64_t t = 0; t < each->length; ++t) sum += each->attention[t * S + s];
        CHECK(sum == each->coverage[s], "sentence %d: coverage is the sum of the attention", i);
      }
    }
  return hash;
}

#endif
