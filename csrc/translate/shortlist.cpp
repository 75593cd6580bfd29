#include "translate/shortlist.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/error.h"

namespace rnn_engine::translate {
namespace {

std::vector<std::int32_t> checked(const char* name, const std::int32_t* ids, std::int64_t count, std::int64_t below) {
  for (std::int64_t i = 0; i < count; ++i)
    require(ids[i] >= 0 && ids[i] < below, std::string(name) + ": expected ids of 0 to " + std::to_string(below - 1) +
                                               ", got " + std::to_string(ids[i]));
  return {ids, ids + count};
}

}  // namespace

Shortlist::Shortlist(const rnn_translate_shortlist& lists, const rnn_translate_shape& shape)
    : target_vocabulary_(shape.target_vocabulary) {
  require(lists.sources == shape.source_vocabulary, "shortlist: expected lists for " +
                                                        std::to_string(shape.source_vocabulary) + " subwords, got " +
                                                        std::to_string(lists.sources));
  first_.assign(lists.first, lists.first + lists.sources + 1);
  require(first_.front() == 0 && std::is_sorted(first_.begin(), first_.end()) && first_.back() == lists.count,
          "shortlist: expected lists that begin at 0, follow each other and end at " + std::to_string(lists.count));
  candidates_ = checked("shortlist", lists.candidates, lists.count, shape.target_vocabulary);
  frequent_ = checked("shortlist: frequent", lists.frequent, lists.frequent_count, shape.target_vocabulary);
}

template <class Add>
void Shortlist::for_each(const rnn_translate_sentence& sentence, std::int64_t most, const Add& add) const {
  add(frequent_.data(), std::min(most, static_cast<std::int64_t>(frequent_.size())));
  for (std::int64_t i = 0; i < sentence.length; ++i) {
    const auto source = static_cast<std::size_t>(sentence.source[i]);
    add(candidates_.data() + first_[source], std::min(most, first_[source + 1] - first_[source]));
  }
}

std::vector<std::int32_t> words_of(const Shortlists& lists, const rnn_translate_sentence& sentence, std::int64_t most,
                                   std::int32_t eos) {
  const auto vocabulary = static_cast<std::size_t>(lists.front()->target_vocabulary());
  std::vector<std::uint64_t> chosen((vocabulary + 63) / 64);  // a bit for each word
  const auto add = [&](const std::int32_t* ids, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      chosen[static_cast<std::size_t>(ids[i] / 64)] |= std::uint64_t{1} << ids[i] % 64;
  };
  add(&eos, 1);
  add(sentence.prefix, sentence.prefix_length);
  for (const auto& list : lists) list->for_each(sentence, most, add);
  std::vector<std::int32_t> words;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    for (std::uint64_t left = chosen[i]; left; left &= left - 1)
      words.push_back(static_cast<std::int32_t>(64 * i) + std::countr_zero(left));
  return words;
}

}  // namespace rnn_engine::translate
