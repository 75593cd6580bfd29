/* Translates stdin to stdout, line by line, with a file that `nmt export` wrote:
 * translate_lines FILE [BEAM_SIZE [SHORTLIST]].
 *
 *   cmake -S . -B build/library && cmake --build build/library --target translate_lines
 *   echo 'Guten Tag.' | build/library/translate_lines model.nmt
 */
#define _GNU_SOURCE /* getline */
#include <stdio.h>
#include <stdlib.h>

#include "rnn_translate_text.h"

static int complain(void) {
  fprintf(stderr, "translate_lines: %s\n", rnn_engine_last_error());
  return 1;
}

int main(int count, char** arguments) {
  if (count < 2 || count > 4) {
    fputs("usage: translate_lines FILE [BEAM_SIZE [SHORTLIST]] < text\n", stderr);
    return 2;
  }
  rnn_translate_text* model = NULL;
  if (rnn_translate_text_open(arguments[1], NULL, &model)) return complain();
  const rnn_translate_text_options options = {.beam_size = count > 2 ? atoi(arguments[2]) : 0,
                                              .length_penalty = -1,
                                              .shortlist = count > 3 ? atoi(arguments[3]) : 0};

  int failed = 0;
  char* line = NULL;
  size_t room = 0;
  ssize_t length;
  while (!failed && (length = getline(&line, &room, stdin)) >= 0) {
    if (length > 0 && line[length - 1] == '\n') line[length - 1] = 0;
    const char* const lines[] = {line};
    char** translations = NULL;
    failed = rnn_translate_text_lines(model, &options, lines, 1, &translations);
    if (!failed) {
      puts(translations[0]);
      fflush(stdout);
    }
    rnn_translate_text_free(translations);
  }
  if (failed) complain();
  free(line);
  rnn_translate_text_close(model);
  return failed;
}
