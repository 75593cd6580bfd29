// Lines of text to lines of text: SentencePiece on both sides of a model file's network.
#pragma once

#include <sentencepiece_processor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rnn_translate_file.h"
#include "rnn_translate_text.h"

namespace rnn_engine::text {

struct FileCloser {
  void operator()(rnn_translate_file* file) const { rnn_translate_file_close(file); }
};
struct ModelDestroyer {
  void operator()(rnn_translate_model* model) const { rnn_translate_model_destroy(model); }
};

class Translator {
 public:
  Translator(const char* path, const char* isa);

  std::vector<std::string> translate(const rnn_translate_text_options& options,
                                     const std::vector<std::string_view>& lines) const;

 private:
  using Ids = std::vector<int>;
  // How the file says that translations are searched.
  struct Search {
    double beam_size, length_penalty, max_length_factor, max_length_extra, longest;
  };

  // nullptr: there is none.
  const rnn_translate_section* find(std::string_view name, int type) const;
  void read_subwords(const std::string& path);
  // Tells whether there is one.
  bool read_shortlist(const std::string& path) const;
  rnn_translate_options options_of(const rnn_translate_text_options& wanted) const;
  std::vector<Ids> pieces_of(std::string_view line) const;
  // What every source begins with: the tag of a language, where the model knows several, or nothing.
  Ids beginning_for(const char* language) const;

  std::unique_ptr<rnn_translate_file, FileCloser> file_;
  std::unique_ptr<rnn_translate_model, ModelDestroyer> model_;
  Search search_{};
  bool has_shortlist_ = false;
  sentencepiece::SentencePieceProcessor source_, target_;
  std::map<std::string, int> tags_;  // of target languages, by the folded code; of several, or none
  std::vector<std::int32_t> forbidden_;
  std::vector<bool> says_something_, begins_word_;  // of each piece of the source
};

}  // namespace rnn_engine::text
