/* The C API of the translator: a whole attention network, and the search for its best translations, on the CPU.
 *
 * It knows ids alone: what text they stand for is the caller's. Symbols: V vocabulary, E embedding, H hidden size, S
 * subwords of a source with its eos, K beam size.
 *
 * A model is made of named float32 tensors, named as in the files of the nmt package, and copies or packs all of them.
 * It may be shared by threads. What a sentence becomes depends on nothing but the model, the sentence and the options,
 * to the bit: not on its neighbours, nor on threads or the instruction set. (Between processors with C libraries of
 * their own, log-probabilities may differ in the last bit.)
 *
 * Every function that can fail returns 0 or an error code of rnn_engine.h; rnn_engine_last_error() then holds the
 * message. */
#ifndef RNN_TRANSLATE_H_
#define RNN_TRANSLATE_H_

#include "rnn_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* dot: the query as it is; general: the query through a matrix of its own; additive: that, and a vector . tanh(query +
 * key). */
enum { RNN_TRANSLATE_DOT = 0, RNN_TRANSLATE_GENERAL = 1, RNN_TRANSLATE_ADDITIVE = 2 };

/* Where the decoder reads what attention gives. readout: behind its layers, whose last asks; upper: the first layer
 * asks, and those above read it, too. */
enum { RNN_TRANSLATE_READOUT = 0, RNN_TRANSLATE_UPPER = 1 };

/* What weights are packed to. int8: integers of -127 to 127 with a scale for each row of a matrix; what they are
 * multiplied by is rounded to the same, with a scale for each vector, and sums are exact. bfloat16: the upper halves of
 * the weights alone, to the nearest; products are what they would be in float32 with these. Cells, attention and
 * softmax are computed in float32 in all of them. */
enum { RNN_TRANSLATE_FLOAT32 = 0, RNN_TRANSLATE_INT8 = 1, RNN_TRANSLATE_BFLOAT16 = 2 };

typedef struct {
  int32_t cell; /* RNN_ENGINE_LSTM, ... */
  int32_t attention;
  int32_t precision;
  int64_t source_vocabulary, target_vocabulary, embedding_size, hidden_size, encoder_layers, decoder_layers;
  int64_t attention_heads; /* 1 to 16, in equal parts of the hidden size */
  int32_t context;
  int64_t zoneout; /* how much of a layer's states stays at each step what it was, in millionths */
  /* 1: the decoder's first layer reads, beside a word, the attentional vector of the step before; with the context
   * readout */
  int64_t input_feeding;
  /* 1: the encoder's states have the embeddings that it read behind them, and attention gives the average of both */
  int64_t attend_embeddings;
} rnn_translate_shape;

typedef struct {
  const char* name;
  const float* values;
  int64_t count;
} rnn_translate_tensor;

typedef struct {
  int64_t beam_size;        /* K; 1 is greedy search */
  int64_t n_best;           /* hypotheses wanted of each sentence, at most K */
  double length_penalty;    /* the log-probability is divided by the length, eos included, to this power */
  int64_t no_repeat_ngram;  /* n-grams of this size come once in a hypothesis; 0: any may come again */
  int32_t bos, eos;         /* ids before the first and after the last */
  const int32_t* forbidden; /* ids that are never chosen */
  int64_t forbidden_count;
  int64_t batch_size; /* sentences that a thread has in work at a time, at most */
  int32_t threads;    /* sentences are shared out among them */
  int64_t min_length; /* of a hypothesis, without eos, at least; where max_length comes first, that holds */
  int32_t attention;  /* whether the attention of hypotheses is wanted */
  /* 0: any token may come. N: those alone that rnn_translate_model_set_shortlist has set as the N best of each subword
   * of the source or the N most frequent, and eos, and the sentence's prefix; probabilities are among these. Of an
   * ensemble, those that are so for any of its models. */
  int64_t shortlist;
  /* Whether to draw n_best translations, each by itself, token by token as the model's probabilities say, instead of
   * searching the best; beam_size is then n_best, too. What follows is not looked at otherwise. Probabilities are taken
   * to the power of 1 / temperature; then those of the top_k best tokens (0: of all), and of these as many of the best
   * as together have top_p of the rest (at least one), are drawn from. What is drawn for a sentence depends on the
   * seed, its ids, its prefix and its number among the n_best. */
  int32_t sample;
  double temperature;
  int64_t top_k;
  double top_p;
  uint64_t seed;
} rnn_translate_options;

typedef struct {
  const int32_t* source; /* ids, without eos; at least one */
  int64_t length;
  int64_t max_length;    /* of a hypothesis, eos included */
  const int32_t* prefix; /* ids that every hypothesis begins with, whatever the options say; none of them eos */
  int64_t prefix_length; /* less than max_length; 0: none */
} rnn_translate_sentence;

typedef struct {
  const int32_t* tokens; /* without bos and eos */
  int64_t length;
  double log_probability; /* natural logarithm, eos included */
  double score;           /* after length normalisation */
  const float* coverage;  /* [S] attention that each source subword got, summed over the tokens but for eos */
  const float* attention; /* [length + 1, S] weights from which each token, then eos, came; NULL unless wanted */
} rnn_translate_hypothesis;

/* The hypotheses of sentence i are first[i] to first[i + 1] - 1, best first, or as they were drawn; there may be none.
 */
typedef struct {
  const rnn_translate_hypothesis* hypotheses;
  const int64_t* first;
} rnn_translate_results;

typedef struct {
  const int32_t* source; /* ids, without eos; there may be none */
  int64_t source_length;
  const int32_t* target; /* the same */
  int64_t target_length;
} rnn_translate_pair;

typedef struct {
  int32_t bos, eos;   /* ids before the first and after the last */
  int32_t attention;  /* whether weights are wanted */
  int64_t batch_size; /* pairs that a thread has in work at a time, at most */
  int32_t threads;    /* pairs are shared out among them */
} rnn_translate_scoring;

/* Of a pair, T = target_length + 1. */
typedef struct {
  const double* log_probabilities; /* [T] natural logarithms: of the target's tokens, then eos */
  const float* attention;          /* [T, S] weights from which each token came; NULL unless wanted */
} rnn_translate_score_of;

typedef struct {
  const rnn_translate_score_of* pairs;
} rnn_translate_scores;

/* For every id of the source's vocabulary the ids that it is most often translated by, the best first; and the most
 * frequent ids of the target. */
typedef struct {
  int64_t sources;           /* source vocabulary */
  const int64_t* first;      /* [sources + 1]: those of id s are candidates[first[s]] to candidates[first[s + 1] - 1] */
  const int32_t* candidates; /* [count] */
  int64_t count;
  const int32_t* frequent; /* [frequent_count] */
  int64_t frequent_count;
} rnn_translate_shortlist;

typedef struct rnn_translate_model rnn_translate_model;

/* Called between steps by the thread that called, with the number of sentences that are done; not 0: give up. */
typedef int (*rnn_translate_poll)(void* user, int64_t done);

/* `isa` as for rnn_engine_context_create. */
RNN_ENGINE_API int rnn_translate_model_create(const rnn_translate_shape* shape, const rnn_translate_tensor* tensors,
                                              int64_t count, const char* isa, rnn_translate_model** model);
/* Makes an ensemble: its log-probabilities are the mean of those of the models, token by token, and so is its
 * attention. The models are of the same vocabularies (of as many ids, at least; what they stand for is the caller's to
 * compare), may be ensembles, and may be destroyed before it. It has their shortlists, if all of them have one. */
RNN_ENGINE_API int rnn_translate_model_join(const rnn_translate_model* const* models, int64_t count,
                                            rnn_translate_model** model);
RNN_ENGINE_API void rnn_translate_model_destroy(rnn_translate_model* model);

/* Sets what a search with `shortlist` takes, instead of what there was; copied. To be called before the model is used
 * by any other thread. */
RNN_ENGINE_API int rnn_translate_model_set_shortlist(rnn_translate_model* model,
                                                     const rnn_translate_shortlist* shortlist);

/* Searches the best translations of all sentences. `poll` may be NULL. */
RNN_ENGINE_API int rnn_translate_search(const rnn_translate_model* model, const rnn_translate_options* options,
                                        const rnn_translate_sentence* sentences, int64_t count, rnn_translate_poll poll,
                                        void* user, rnn_translate_results** results);
RNN_ENGINE_API void rnn_translate_results_destroy(rnn_translate_results* results);

/* Tells how probable given translations are, and what their tokens looked at. `poll` may be NULL. */
RNN_ENGINE_API int rnn_translate_score(const rnn_translate_model* model, const rnn_translate_scoring* options,
                                       const rnn_translate_pair* pairs, int64_t count, rnn_translate_poll poll,
                                       void* user, rnn_translate_scores** scores);
RNN_ENGINE_API void rnn_translate_scores_destroy(rnn_translate_scores* scores);

#ifdef __cplusplus
}
#endif
#endif
