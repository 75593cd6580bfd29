// Which words a translation may use, so that the others need no scores: those that its source's subwords are most often
// translated by, and the most frequent ones. What they are depends on the sentence alone.
#pragma once

#include <cstdint>
#include <vector>

#include "rnn_translate.h"

namespace rnn_engine::translate {

class Shortlist {
 public:
  // Copies; throws InvalidArgument where the lists do not fit a network of these vocabularies.
  Shortlist(const rnn_translate_shortlist& lists, const rnn_translate_shape& shape);

  // Ascending and each once: the `most` best of every subword of a source, the `most` most frequent, and those that
  // are needed whatever the source.
  std::vector<std::int32_t> words_of(const rnn_translate_sentence& sentence, std::int64_t most, std::int32_t eos) const;

 private:
  std::int64_t target_vocabulary_;
  std::vector<std::int64_t> first_;
  std::vector<std::int32_t> candidates_, frequent_;
};

}  // namespace rnn_engine::translate
