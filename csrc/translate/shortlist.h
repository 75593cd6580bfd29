// Which words a translation may use, so that the others need no scores: those that its source's subwords are most often
// translated by, and the most frequent ones. What they are depends on the sentence alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "rnn_translate.h"

namespace rnn_engine::translate {

class Shortlist {
 public:
  // Copies; throws InvalidArgument where the lists do not fit a network of these vocabularies.
  Shortlist(const rnn_translate_shortlist& lists, const rnn_translate_shape& shape);

  std::int64_t target_vocabulary() const { return target_vocabulary_; }
  // Calls add(ids, count) with the `most` best of every subword of a source, and with the `most` most frequent.
  template <class Add>
  void for_each(const rnn_translate_sentence& sentence, std::int64_t most, const Add& add) const;

 private:
  std::int64_t target_vocabulary_;
  std::vector<std::int64_t> first_;
  std::vector<std::int32_t> candidates_, frequent_;
};

// Those of the networks of an ensemble; none: there is no shortlist.
using Shortlists = std::vector<std::shared_ptr<const Shortlist>>;

// What any of the lists has for a sentence, and what is needed whatever the source; ascending and each once.
std::vector<std::int32_t> words_of(const Shortlists& lists, const rnn_translate_sentence& sentence, std::int64_t most,
                                   std::int32_t eos);

}  // namespace rnn_engine::translate
