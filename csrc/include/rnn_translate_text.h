/* The C API for text: a model file that translates UTF-8. It stands on rnn_translate_file.h and on the SentencePiece
 * library, and is a library of its own, librnn_translate_text.
 *
 * A line is taken for a sentence, or what else a line of the model's training text was. What nobody sees in it is taken
 * out (docs/model_file.md says what, and what `nmt translate` does beyond that).
 *
 * Every function that can fail returns 0 or an error code of rnn_engine.h; rnn_engine_last_error() then holds the
 * message. */
#ifndef RNN_TRANSLATE_TEXT_H_
#define RNN_TRANSLATE_TEXT_H_

#include "rnn_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rnn_translate_text rnn_translate_text;

/* Zeros, and a length_penalty below zero, stand for what the file says; NULL stands for all of that. */
typedef struct {
  int64_t beam_size;
  double length_penalty;
  int64_t batch_size; /* lines that a thread has in work at a time, at most */
  int32_t threads;    /* 0: one */
  /* 0: any word may come. N: the N best translations of each subword of a line alone, and the N most frequent subwords,
   * of a file that `nmt export --shortlist` wrote: faster. */
  int64_t shortlist;
  /* What the translation of each line begins with, as when somebody corrects it from left to right; of a line that is
   * cut, that of its first piece. What follows begins with a new subword. NULL, and of a line NULL or "": nothing. */
  const char* const* prefixes;
  /* Code of the language to translate to, such as "de"; upper and lower case, - and _ are the same. NULL for models
   * that know one only. */
  const char* to;
} rnn_translate_text_options;

/* Opens a file that `nmt export` wrote. What is opened never changes: threads may share it. `isa` as for
 * rnn_engine_context_create. */
RNN_ENGINE_API int rnn_translate_text_open(const char* path, const char* isa, rnn_translate_text** text);
RNN_ENGINE_API void rnn_translate_text_close(rnn_translate_text* text);

/* Translates `count` lines of UTF-8 that end with NUL. `translations` gets as many, without line breaks, in the order
 * of the lines: empty for a line that shows nothing, and the line itself if the model can read none of it. Free them
 * all by rnn_translate_text_free. */
RNN_ENGINE_API int rnn_translate_text_lines(const rnn_translate_text* text, const rnn_translate_text_options* options,
                                            const char* const* lines, int64_t count, char*** translations);
RNN_ENGINE_API void rnn_translate_text_free(char** translations);

#ifdef __cplusplus
}
#endif
#endif
