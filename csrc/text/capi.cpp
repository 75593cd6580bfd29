#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/arguments.h"
#include "rnn_translate_text.h"
#include "text/translator.h"

using namespace rnn_engine;

struct rnn_translate_text {
  text::Translator translator;
};

extern "C" {

int rnn_translate_text_open(const char* path, const char* isa, rnn_translate_text** text) {
  return guarded([&] {
    require_pointer(path, "path");
    require_pointer(text, "text");
    *text = new rnn_translate_text{{path, isa}};
  });
}

void rnn_translate_text_close(rnn_translate_text* text) { delete text; }

int rnn_translate_text_lines(const rnn_translate_text* text, const rnn_translate_text_options* options,
                             const char* const* lines, int64_t count, char*** translations) {
  return guarded([&] {
    require_pointer(text, "text");
    require_pointer(translations, "translations");
    require(count >= 0 && count <= int64_t{1} << 32, "count: expected 0 to 2^32, got " + std::to_string(count));
    if (count) require_pointer(lines, "lines");
    for (int64_t i = 0; i < count; ++i) require(lines[i], "lines: expected a text for each, got NULL");
    const rnn_translate_text_options as_in_file{0, -1, 0, 0, 0, nullptr, nullptr};
    const std::vector<std::string> found = text->translator.translate(
        options ? *options : as_in_file, std::vector<std::string_view>(lines, lines + count));
    // One block: the pointers, and what they point to.
    std::size_t bytes = sizeof(char*) * (found.size() + 1);
    for (const std::string& each : found) bytes += each.size() + 1;
    auto block = std::make_unique<char*[]>((bytes + sizeof(char*) - 1) / sizeof(char*));
    char* place = reinterpret_cast<char*>(block.get() + found.size() + 1);
    for (std::size_t i = 0; i < found.size(); ++i) {
      block[i] = place;
      std::memcpy(place, found[i].c_str(), found[i].size() + 1);
      place += found[i].size() + 1;
    }
    *translations = block.release();
  });
}

void rnn_translate_text_free(char** translations) { delete[] translations; }

}  // extern "C"
