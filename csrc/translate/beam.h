// The hypotheses of one sentence, living and finished. It knows scores and ids alone.
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
  std::vector<float> coverage;  // [S]
};

class Beam {
 public:
  Beam(const rnn_translate_options& options, std::int64_t max_length, std::int64_t source_length);

  std::int64_t living() const { return static_cast<std::int64_t>(totals_.size()); }
  bool at_limit() const { return length_ + 1 == max_length_; }
  double log_probability(std::int64_t place) const { return totals_[static_cast<std::size_t>(place)]; }
  // The ids so far of a living hypothesis.
  std::vector<std::int32_t> tokens(std::int64_t place) const;

  // Goes on with the best candidates, [living x some], in the order of their parents, and best first of each of them;
  // `attention` [living, S] is what the step looked at. Returns whether the sentence is done; if not, `parents` and
  // `tokens` get those of the hypotheses that live on, K of them.
  bool advance(std::vector<Candidate>& candidates, const float* attention, std::vector<std::int32_t>& parents,
               std::vector<std::int32_t>& tokens);

  // The best, best first; of equal ones the first to finish.
  std::vector<Finished> best() const;

 private:
  struct Node {
    std::int32_t parent, token;
  };

  void finish(const Candidate& candidate);
  bool is_done(double best_living) const;

  const rnn_translate_options& options_;
  std::int64_t max_length_, source_length_, length_ = 0;
  std::vector<double> totals_;
  std::vector<std::vector<Node>> steps_;
  std::vector<float> coverage_;  // [living, S]
  std::vector<Finished> finished_;
};

}  // namespace rnn_engine::translate
