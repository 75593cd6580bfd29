// The hypotheses of one sentence, living and finished: the best that are found, or each for itself as it is drawn. It
// knows scores and ids alone.
#pragma once

#include <cstdint>
#include <vector>

#include "rnn_translate.h"

namespace rnn_engine::translate {

// A continuation of a living hypothesis.
struct Candidate {
  double log_probability;  // of all its tokens
  std::int32_t parent;     // place of the living hypothesis
  std::int32_t token;
};

struct Finished {
  std::vector<std::int32_t> tokens;  // without eos
  double log_probability, score;
  std::int32_t number;           // of one that was drawn, among those of its sentence
  std::vector<float> coverage;   // [S]
  std::vector<float> attention;  // [T, S]; empty unless wanted
};

inline constexpr std::int32_t kFree = -1;  // no token in particular

class Beam {
 public:
  // `source_length`: S, with eos.
  Beam(const rnn_translate_options& options, const rnn_translate_sentence& sentence, std::int64_t source_length);

  std::int64_t living() const { return static_cast<std::int64_t>(totals_.size()); }
  // The only token that may come next, or kFree.
  std::int32_t required() const {
    if (length_ < sentence_.prefix_length) return sentence_.prefix[length_];
    return length_ + 1 == sentence_.max_length ? options_.eos : kFree;
  }
  std::int64_t length() const { return length_; }
  // Among those that are drawn.
  std::int32_t number(std::int64_t place) const { return numbers_[static_cast<std::size_t>(place)]; }
  bool may_end() const { return length_ >= options_.min_length; }
  double log_probability(std::int64_t place) const { return totals_[static_cast<std::size_t>(place)]; }
  // The ids so far of a living hypothesis.
  std::vector<std::int32_t> tokens(std::int64_t place) const;

  // Goes on with the best candidates, or where they are drawn, of which there is one for each living, with all of them:
  // [living x some], in the order of their parents, and best first of each of them; `attention` [living, S] is what the
  // step looked at. Returns whether the sentence is done; if not, `parents` and `tokens` get those of the hypotheses
  // that live on, at most K of them.
  bool advance(std::vector<Candidate>& candidates, const float* attention, std::vector<std::int32_t>& parents,
               std::vector<std::int32_t>& tokens);

  // The best, best first; of equal ones the first to finish. Those that were drawn, in the order of their numbers.
  std::vector<Finished> best() const;

 private:
  struct Node {
    std::int32_t parent, token;
  };

  void finish(const Candidate& candidate, const float* attention);
  void choose(std::vector<Candidate>& candidates, const float* attention);
  bool is_done(double best_living) const;

  const rnn_translate_options& options_;
  const rnn_translate_sentence& sentence_;
  std::int64_t source_length_, length_ = 0;
  std::vector<double> totals_;
  std::vector<std::int32_t> numbers_;
  std::vector<std::vector<Node>> steps_;
  std::vector<float> coverage_;                // [living, S]
  std::vector<std::vector<float>> attention_;  // of each step, [living, S]; empty unless wanted
  std::vector<Finished> finished_;
};

}  // namespace rnn_engine::translate
