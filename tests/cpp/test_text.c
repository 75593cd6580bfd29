/* Text through the C API: test_text MODEL. The model is that of tests/data: it turns the order of words around. */
#include "rnn_translate_text.h"

#include "support.h"

enum { LONG = 240 };

static const char* const kLines[][2] = {
    {"red dog sees old cat", "pe mi so nu ka"},
    {"big cat has red sun", "ra ka ti pe lo"},
    {"  red\tdog\xC2\xA0sees old\xE3\x80\x80"
     "cat\xE2\x80\x8B\r",
     "pe mi so nu ka"}, /* spaces, and what nobody sees */
    {"re\xC2\xAD"
     "d d\xE2\x80\x8Dog sees old cat",
     "pe mi so nu ka"}, /* a joiner says nothing between Latin letters */
    {"", ""},
    {" \xEF\xBB\xBF ", ""},
    {"...", "..."}, /* nothing that the model can read */
    {"\xE2\x98\x83", "\xE2\x98\x83"},
    {"old sun has big dog", "nu lo ti ra mi"},
};
enum { LINES = sizeof kLines / sizeof *kLines };

static void test_lines(const char* path) {
  const char* lines[LINES];
  for (int i = 0; i < LINES; ++i) lines[i] = kLines[i][0];
  for (int isa = 0; isa < ISAS; ++isa) {
    if (!rnn_engine_has_isa(kIsas[isa])) continue;
    rnn_translate_text* text = NULL;
    CHECK(rnn_translate_text_open(path, kIsas[isa], &text) == 0, "open: %s", rnn_engine_last_error());
    if (!text) return;
    for (int beam = 0; beam < 5; beam += 2) {
      const rnn_translate_text_options options = {beam, -1, beam, beam, 0, NULL, NULL};
      char** found = NULL;
      CHECK(rnn_translate_text_lines(text, beam ? &options : NULL, lines, LINES, &found) == 0, "lines: %s",
            rnn_engine_last_error());
      for (int i = 0; found && i < LINES; ++i)
        CHECK(strcmp(found[i], kLines[i][1]) == 0, "%s: expected \"%s\" for \"%s\", got \"%s\"", kIsas[isa],
              kLines[i][1], kLines[i][0], found[i]);
      rnn_translate_text_free(found);
    }
    rnn_translate_text_close(text);
  }
}

/* Longer lines than the model was trained on are cut, and bytes that are no UTF-8 are bytes like others, in prefixes,
 * too. */
static void test_any_bytes(const char* path) {
  static char line[5 * LONG + 1];
  for (int i = 0; i < LONG; ++i) memcpy(line + 5 * i, "dog  ", 5);
  rnn_translate_text* text = NULL;
  CHECK(rnn_translate_text_open(path, NULL, &text) == 0, "open: %s", rnn_engine_last_error());
  const char* lines[] = {line};
  char** found = NULL;
  CHECK(rnn_translate_text_lines(text, NULL, lines, 1, &found) == 0, "a long line: %s", rnn_engine_last_error());
  CHECK(found && strlen(found[0]) > 3, "nothing of a long line");
  rnn_translate_text_free(found);
  static char prefix[41];
  const char* const prefixes[] = {prefix};
  const rnn_translate_text_options begun = {0, -1, 0, 0, 0, prefixes, NULL};
  random_state = 7;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 40; ++i) line[i] = (char)(1 + (int)((uniform() + 0.5) * 255));
    line[round % 40 + 1] = 0;
    for (int i = 0; i < 40; ++i) prefix[i] = (char)(1 + (int)((uniform() + 0.5) * 255));
    prefix[round * 7 % 41] = 0;
    found = NULL;
    CHECK(rnn_translate_text_lines(text, round % 2 ? &begun : NULL, lines, 1, &found) == 0, "any bytes: %s",
          rnn_engine_last_error());
    CHECK(found && !strchr(found[0], '\n'), "a line break within a line");
    rnn_translate_text_free(found);
  }
  rnn_translate_text_close(text);
}

static void test_errors(const char* path) {
  rnn_translate_text* text = NULL;
  expect_error(rnn_translate_text_open(NULL, NULL, &text), "path");
  expect_error(rnn_translate_text_open(path, NULL, NULL), "text");
  expect_error(rnn_translate_text_open("/nowhere/model.nmt", NULL, &text), "/nowhere/model.nmt");
  expect_error(rnn_translate_text_open(path, "abacus", &text), "abacus");
  CHECK(!text, "an error, and a model");
  CHECK(rnn_translate_text_open(path, NULL, &text) == 0, "open: %s", rnn_engine_last_error());
  const char* lines[] = {"red dog", NULL};
  char** found = NULL;
  expect_error(rnn_translate_text_lines(NULL, NULL, lines, 1, &found), "text");
  expect_error(rnn_translate_text_lines(text, NULL, NULL, 1, &found), "lines");
  expect_error(rnn_translate_text_lines(text, NULL, lines, 2, &found), "lines");
  expect_error(rnn_translate_text_lines(text, NULL, lines, -1, &found), "count");
  expect_error(rnn_translate_text_lines(text, NULL, lines, 1, NULL), "translations");
  const rnn_translate_text_options wrong = {-3, -1, 0, 0, 0, NULL, NULL};
  expect_error(rnn_translate_text_lines(text, &wrong, lines, 1, &found), "beam_size");
  CHECK(!found, "an error, and translations");
  CHECK(rnn_translate_text_lines(text, NULL, NULL, 0, &found) == 0, "no lines: %s", rnn_engine_last_error());
  rnn_translate_text_free(found);
  rnn_translate_text_close(text);
  rnn_translate_text_close(NULL);
  rnn_translate_text_free(NULL);
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  test_lines(arguments[1]);
  test_any_bytes(arguments[1]);
  test_errors(arguments[1]);
  printf("%d failures\n", failures);
  return failures != 0;
}
