/* The translator through its C API alone: the same hypotheses and scores, to the bit, from every instruction set,
 * number of threads and batch size; a search that is given up; and errors that say what was expected. */
#include "network.h"

static rnn_translate_pair pair_of(int i) {
  const int other = (i + 1) % SENTENCES; /* ids of sources are ids of targets, too */
  return (rnn_translate_pair){ids[i], i % 5 ? sentences[i].length : 0, ids[other], i % 3 ? sentences[other].length : 0};
}

/* Two words for every other source, and all words by frequency. */
static void set_shortlist(rnn_translate_model* model) {
  int64_t first[SOURCE + 1] = {0};
  int32_t candidates[2 * SOURCE], frequent[TARGET];
  for (int i = 0; i < SOURCE; ++i) {
    first[i + 1] = first[i];
    for (int j = 0; i % 2 && j < 2; ++j) candidates[first[i + 1]++] = (5 * i + 3 * j) % TARGET;
  }
  for (int i = 0; i < TARGET; ++i) frequent[i] = TARGET - 1 - i;
  const rnn_translate_shortlist lists = {SOURCE, first, candidates, first[SOURCE], frequent, TARGET};
  CHECK(rnn_translate_model_set_shortlist(model, &lists) == 0, "shortlist: %s", rnn_engine_last_error());
}

static uint64_t digest_among(const rnn_translate_model* model, int most, int beam, int threads, int batch) {
  rnn_translate_options options = options_of(beam, threads, batch);
  options.shortlist = most;
  rnn_translate_results* results = NULL;
  CHECK(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results) == 0, "search: %s",
        rnn_engine_last_error());
  if (!results) return 0;
  const uint64_t digest = digest_of(results);
  rnn_translate_results_destroy(results);
  return digest;
}

/* Scores all pairs; the digest of what was found. */
static uint64_t scores_of(const rnn_translate_model* model, int threads, int batch, int attention) {
  rnn_translate_pair pairs[SENTENCES];
  for (int i = 0; i < SENTENCES; ++i) pairs[i] = pair_of(i);
  const rnn_translate_scoring options = {2, 3, attention, batch, threads};
  rnn_translate_scores* scores = NULL;
  CHECK(rnn_translate_score(model, &options, pairs, SENTENCES, NULL, NULL, &scores) == 0, "score: %s",
        rnn_engine_last_error());
  if (!scores) return 0;
  uint64_t hash = 0;
  for (int i = 0; i < SENTENCES; ++i) {
    const int64_t S = pairs[i].source_length + 1, T = pairs[i].target_length + 1;
    hash = hash * 31 + digest(scores->pairs[i].log_probabilities, sizeof(double) * (size_t)T);
    const float* weights = scores->pairs[i].attention;
    CHECK((weights != NULL) == attention, "pair %d: attention is there if it is wanted", i);
    for (int64_t t = 0; weights && t < T; ++t) {
      float sum = 0;
      for (int64_t s = 0; s < S; ++s) sum += weights[t * S + s];
      CHECK(sum > 0.9999f && sum < 1.0001f, "pair %d, token %d: attention sums to %g", i, (int)t, (double)sum);
    }
    if (weights) hash = hash * 31 + digest(weights, sizeof(float) * (size_t)(T * S));
  }
  rnn_translate_scores_destroy(scores);
  return hash;
}

static void test_same_bits(int cell, int attention, int precision) {
  const rnn_translate_shape shape = shape_of(cell, attention, precision, 2);
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  uint64_t expected[7] = {0}, expected_among[7] = {0}, expected_scores = 0;
  int first = 0;
  if (BEST_ISA_ALONE)
    for (first = ISAS - 1; !rnn_engine_has_isa(kIsas[first]);) --first;
  for (int isa = first; isa < ISAS; ++isa) {
    if (!rnn_engine_has_isa(kIsas[isa])) continue;
    rnn_translate_model* model = NULL;
    CHECK(rnn_translate_model_create(&shape, tensors.list, tensors.count, kIsas[isa], &model) == 0, "model: %s",
          rnn_engine_last_error());
    int number = isa + cell + precision; /* of a combination */
    for (int beam = 1; beam < 7; ++beam) /* even ones draw */
      for (int threads = 1; threads <= 3; threads += 2)
        for (int batch = 1; batch <= 16; batch += beam % 2 ? 5 : 10) {
          if (!wanted(number++ + threads / 2)) continue;
          rnn_translate_options options = options_of(beam, threads, batch);
          options.sample = beam % 2 == 0;
          options.temperature = 0.7;
          options.top_k = beam == 2 ? 0 : 9;
          options.top_p = beam == 6 ? 0.8 : 1.0;
          options.seed = 11;
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
    set_shortlist(model);
    for (int beam = 1; beam < 7; beam += 2)
      for (int threads = 1; threads <= 3; threads += 2)
        for (int batch = 1; batch <= 16; batch += 10) {
          if (!wanted(number++ + threads / 2)) continue;
          const uint64_t found = digest_among(model, 2, beam, threads, batch);
          if (!expected_among[beam]) expected_among[beam] = found;
          CHECK(found == expected_among[beam],
                "cell %d, %s, beam %d, %d threads, batches of %d: other bits among words", cell, kIsas[isa], beam,
                threads, batch);
          CHECK(found != expected[beam], "cell %d, beam %d: a shortlist leaves out no word", cell, beam);
          CHECK(digest_among(model, TARGET, beam, threads, batch) == expected[beam],
                "cell %d, %s, beam %d: other bits among all words", cell, kIsas[isa], beam);
        }
    for (int threads = 1; threads <= 3; threads += 2)
      for (int batch = 1; batch <= 16; batch += 5) {
        if (!wanted(number++ + threads / 2)) continue;
        const uint64_t found = scores_of(model, threads, batch, 1);
        if (!expected_scores) expected_scores = found;
        CHECK(found == expected_scores, "cell %d, %s, %d threads, batches of %d: other scores", cell, kIsas[isa],
              threads, batch);
      }
    CHECK(scores_of(model, 1, 4, 0) != 0, "scores without attention");
    rnn_translate_model_destroy(model);
  }
  release_tensors(&tensors);
}

/* Networks of other sizes, cells and precisions as one; parts are gone before it is asked. It has their shortlists. */
static void test_ensembles(void) {
  static Tensors tensors;
  uint64_t expected = 0, expected_scores = 0, expected_among = 0;
  for (int isa = 0; isa < ISAS; ++isa) {
    if (!rnn_engine_has_isa(kIsas[isa])) continue;
    rnn_translate_model *parts[3] = {NULL}, *pair = NULL, *all = NULL;
    for (int i = 0; i < 3; ++i) {
      const rnn_translate_shape shape = shape_of(i == 1 ? RNN_ENGINE_MI_LSTM : RNN_ENGINE_LSTM, RNN_TRANSLATE_DOT,
                                                 i == 2 ? RNN_TRANSLATE_INT8 : RNN_TRANSLATE_FLOAT32, 1 + i % 2);
      make_tensors(&tensors, &shape);
      CHECK(rnn_translate_model_create(&shape, tensors.list, tensors.count, kIsas[isa], &parts[i]) == 0, "part: %s",
            rnn_engine_last_error());
      release_tensors(&tensors);
      set_shortlist(parts[i]);
    }
    CHECK(rnn_translate_model_join((const rnn_translate_model* const*)parts, 2, &pair) == 0, "join: %s",
          rnn_engine_last_error());
    const rnn_translate_model* both[] = {pair, parts[2]};
    CHECK(rnn_translate_model_join(both, 2, &all) == 0, "join: %s", rnn_engine_last_error());
    for (int i = 0; i < 3; ++i) rnn_translate_model_destroy(parts[i]);
    rnn_translate_model_destroy(pair);
    for (int threads = 1; threads <= 3; threads += 2) {
      const rnn_translate_options options = options_of(3, threads, 1 + 3 * threads);
      rnn_translate_results* results = NULL;
      CHECK(rnn_translate_search(all, &options, sentences, SENTENCES, NULL, NULL, &results) == 0, "search: %s",
            rnn_engine_last_error());
      const uint64_t found = digest_of(results), scores = scores_of(all, threads, 4, 1);
      if (!expected) expected = found, expected_scores = scores;
      CHECK(found == expected && scores == expected_scores, "ensemble, %s, %d threads: other bits", kIsas[isa],
            threads);
      rnn_translate_results_destroy(results);
      const uint64_t among = digest_among(all, 2, 3, threads, 1 + 3 * threads);
      if (!expected_among) expected_among = among;
      CHECK(among == expected_among, "ensemble, %s, %d threads: other bits among words", kIsas[isa], threads);
      CHECK(among != expected, "ensemble: a shortlist leaves out no word");
      CHECK(digest_among(all, TARGET, 3, threads, 2) == expected, "ensemble, %s: other bits among all words",
            kIsas[isa]);
    }
    rnn_translate_model_destroy(all);
  }
}

static int give_up(void* user, int64_t done) {
  ++*(int*)user;
  return done > 0;
}

static void test_errors(void) {
  const rnn_translate_shape shape = shape_of(RNN_ENGINE_LSTM, RNN_TRANSLATE_DOT, RNN_TRANSLATE_FLOAT32, 1);
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  rnn_translate_model* model = NULL;
  expect_error(rnn_translate_model_create(NULL, tensors.list, tensors.count, NULL, &model), "shape");
  expect_error(rnn_translate_model_create(&shape, NULL, tensors.count, NULL, &model), "tensors");
  expect_error(rnn_translate_model_create(&shape, tensors.list, tensors.count, NULL, NULL), "model");
  expect_error(rnn_translate_model_create(&shape, tensors.list, tensors.count - 1, NULL, &model), "missing");
  expect_error(rnn_translate_model_create(&shape, tensors.list, tensors.count, "abacus", &model), "abacus");
  rnn_translate_shape wrong = shape;
  wrong.cell = 5;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "cell");
  wrong = shape;
  wrong.precision = 7;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "precision");
  wrong = shape;
  wrong.attention_heads = 2;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "attention_heads");
  wrong.attention_heads = 17;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "attention_heads");
  wrong = shape;
  wrong.zoneout = 1000001;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "zoneout");
  wrong = shape;
  wrong.attend_embeddings = 2;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "attend_embeddings");
  wrong = shape;
  wrong.context = 2;
  expect_error(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &model), "context");
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
  rnn_translate_model *other = NULL, *joined = NULL;
  wrong = shape;
  wrong.source_vocabulary = SOURCE - 1;
  tensors.list[0].count -= E;
  CHECK(rnn_translate_model_create(&wrong, tensors.list, tensors.count, NULL, &other) == 0, "other model: %s",
        rnn_engine_last_error());
  const rnn_translate_model* unlike[] = {model, other, NULL};
  expect_error(rnn_translate_model_join(unlike, 2, &joined), "model 1: source_vocabulary: expected 23 to 23, got 22");
  expect_error(rnn_translate_model_join(unlike + 1, 2, &joined), "model 1");
  expect_error(rnn_translate_model_join(unlike, 0, &joined), "count");
  expect_error(rnn_translate_model_join(NULL, 1, &joined), "models");
  expect_error(rnn_translate_model_join(unlike, 1, NULL), "model");
  rnn_translate_model_destroy(other);
  rnn_translate_results* results = NULL;
  rnn_translate_options options = options_of(3, 1, 4);
  options.shortlist = 1;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "shortlist");
  options.shortlist = -1;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "shortlist");
  const int64_t firsts[SOURCE + 1] = {0};
  rnn_translate_shortlist lists = {SOURCE, firsts, NULL, 0, NULL, 1};
  expect_error(rnn_translate_model_set_shortlist(NULL, &lists), "model");
  expect_error(rnn_translate_model_set_shortlist(model, NULL), "shortlist");
  expect_error(rnn_translate_model_set_shortlist(model, &lists), "frequent");
  lists = (rnn_translate_shortlist){SOURCE, firsts, kForbidden, 1, NULL, 0};
  expect_error(rnn_translate_model_set_shortlist(model, &lists), "end at 1");
  lists = (rnn_translate_shortlist){SOURCE - 1, firsts, NULL, 0, NULL, 0};
  expect_error(rnn_translate_model_set_shortlist(model, &lists), "lists for");
  options = options_of(3, 1, 4);
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
  options.sample = 1;
  options.temperature = 1.0;
  options.n_best = 2;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "beam_size");
  options.n_best = 3;
  options.temperature = 0.0;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "temperature");
  options.temperature = 1.0;
  options.top_p = 1.5;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "top_p");
  options.top_p = 0.0 / 0.0;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "top_p");
  options.top_p = 0.5;
  options.top_k = -1;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "top_k");
  options = options_of(3, 1, 4);
  options.min_length = -1;
  expect_error(rnn_translate_search(model, &options, sentences, SENTENCES, NULL, NULL, &results), "min_length");
  options = options_of(3, 1, 4);
  rnn_translate_sentence wrong_one = {(const int32_t[]){SOURCE}, 1, 5, NULL, 0};
  expect_error(rnn_translate_search(model, &options, &wrong_one, 1, NULL, NULL, &results), "sentence 0: id");
  wrong_one = (rnn_translate_sentence){ids[0], 1, 5, NULL, 1};
  expect_error(rnn_translate_search(model, &options, &wrong_one, 1, NULL, NULL, &results), "prefix");
  wrong_one.prefix = (const int32_t[]){5, TARGET};
  wrong_one.prefix_length = 2;
  expect_error(rnn_translate_search(model, &options, &wrong_one, 1, NULL, NULL, &results), "prefix: id");
  wrong_one.prefix = (const int32_t[]){5, 3};
  expect_error(rnn_translate_search(model, &options, &wrong_one, 1, NULL, NULL, &results), "other than eos");
  wrong_one.max_length = 2;
  expect_error(rnn_translate_search(model, &options, &wrong_one, 1, NULL, NULL, &results), "prefix: length");

  options.attention = 0;
  CHECK(rnn_translate_search(model, &options, sentences, 1, NULL, NULL, &results) == 0, "without attention: %s",
        rnn_engine_last_error());
  CHECK(results->hypotheses[0].attention == NULL, "attention that was not wanted");
  rnn_translate_results_destroy(results);

  CHECK(rnn_translate_search(model, &options, NULL, 0, NULL, NULL, &results) == 0, "nothing to do: %s",
        rnn_engine_last_error());
  rnn_translate_results_destroy(results);
  int calls = 0;
  CHECK(
      rnn_translate_search(model, &options, sentences, SENTENCES, give_up, &calls, &results) == RNN_ENGINE_INTERRUPTED,
      "a search that is given up reports it");
  CHECK(calls > 1, "the caller is asked between steps");

  rnn_translate_scores* scores = NULL;
  const rnn_translate_scoring how = {2, 3, 1, 4, 1};
  rnn_translate_pair pair = pair_of(1);
  expect_error(rnn_translate_score(NULL, &how, &pair, 1, NULL, NULL, &scores), "model");
  expect_error(rnn_translate_score(model, NULL, &pair, 1, NULL, NULL, &scores), "options");
  expect_error(rnn_translate_score(model, &how, NULL, 1, NULL, NULL, &scores), "pairs");
  expect_error(rnn_translate_score(model, &how, &pair, -1, NULL, NULL, &scores), "count");
  expect_error(rnn_translate_score(model, &how, &pair, 1, NULL, NULL, NULL), "scores");
  rnn_translate_scoring bad = how;
  bad.bos = TARGET;
  expect_error(rnn_translate_score(model, &bad, &pair, 1, NULL, NULL, &scores), "bos");
  bad = how;
  bad.batch_size = 0;
  expect_error(rnn_translate_score(model, &bad, &pair, 1, NULL, NULL, &scores), "batch_size");
  pair.source_length = -1;
  expect_error(rnn_translate_score(model, &how, &pair, 1, NULL, NULL, &scores), "pair 0: source: length");
  pair = pair_of(1);
  pair.target = (const int32_t[]){TARGET};
  pair.target_length = 1;
  expect_error(rnn_translate_score(model, &how, &pair, 1, NULL, NULL, &scores), "pair 0: target: id");
  pair.target = NULL;
  expect_error(rnn_translate_score(model, &how, &pair, 1, NULL, NULL, &scores), "target");
  CHECK(rnn_translate_score(model, &how, NULL, 0, NULL, NULL, &scores) == 0, "nothing to score: %s",
        rnn_engine_last_error());
  rnn_translate_scores_destroy(scores);
  pair = pair_of(1);
  CHECK(rnn_translate_score(model, &how, &pair, 1, give_up, &calls, &scores) == RNN_ENGINE_INTERRUPTED,
        "scoring that is given up reports it");
  rnn_translate_model_destroy(model);
  rnn_translate_model_destroy(NULL);
  rnn_translate_scores_destroy(NULL);
  rnn_translate_results_destroy(NULL);
  release_tensors(&tensors);
}

int main(void) {
  make_sentences();
  for (int cell = RNN_ENGINE_LSTM; cell <= RNN_ENGINE_GRU; ++cell)
    for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_BFLOAT16; ++precision)
      test_same_bits(cell, cell % 3, precision);
  test_ensembles();
  test_errors();
  printf("%d failures\n", failures);
  return failures != 0;
}
