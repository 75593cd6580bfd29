#include "translate/beam.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace rnn_engine::translate {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();

void sort_best_first(std::vector<Candidate>& candidates) {
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.log_probability > b.log_probability; });
}

}  // namespace

Beam::Beam(const rnn_translate_options& options, const rnn_translate_sentence& sentence, std::int64_t source_length)
    : options_(options),
      sentence_(sentence),
      source_length_(source_length),
      totals_(static_cast<std::size_t>(options.sample ? options.n_best : 1)),
      numbers_(totals_.size()),
      coverage_(totals_.size() * static_cast<std::size_t>(source_length)) {
  std::iota(numbers_.begin(), numbers_.end(), 0);
}

std::vector<std::int32_t> Beam::tokens(std::int64_t place) const {
  std::vector<std::int32_t> result(steps_.size());
  auto here = static_cast<std::size_t>(place);
  for (std::size_t t = steps_.size(); t-- > 0; here = static_cast<std::size_t>(steps_[t][here].parent))
    result[t] = steps_[t][here].token;
  return result;
}

void Beam::finish(const Candidate& candidate, const float* attention) {
  Finished& finished = finished_.emplace_back();
  finished.tokens = tokens(candidate.parent);
  finished.log_probability = candidate.log_probability;
  finished.number = number(candidate.parent);
  finished.score = candidate.log_probability / std::pow(static_cast<double>(length_), options_.length_penalty);
  const auto S = static_cast<std::size_t>(source_length_);
  const auto from = coverage_.begin() + candidate.parent * source_length_;
  finished.coverage.assign(from, from + source_length_);
  if (!options_.attention) return;
  finished.attention.resize((steps_.size() + 1) * S);
  auto here = static_cast<std::size_t>(candidate.parent);
  std::copy_n(attention + here * S, S, finished.attention.data() + steps_.size() * S);
  for (std::size_t t = steps_.size(); t-- > 0;) {
    here = static_cast<std::size_t>(steps_[t][here].parent);
    std::copy_n(attention_[t].data() + here * S, S, finished.attention.data() + t * S);
  }
}

// Keeps the candidates that live on, and finishes those that end.
void Beam::choose(std::vector<Candidate>& candidates, const float* attention) {
  const auto K = static_cast<std::size_t>(options_.beam_size);
  const auto impossible = [](const Candidate& each) { return each.log_probability == kImpossible; };
  std::erase_if(candidates, impossible);
  if (!options_.sample) sort_best_first(candidates);
  for (std::size_t rank = 0; rank < candidates.size(); ++rank) {
    Candidate& candidate = candidates[rank];
    if (candidate.token != options_.eos) continue;
    if (rank < K) finish(candidate, attention);
    candidate.log_probability = kImpossible;
  }
  std::erase_if(candidates, impossible);
  if (candidates.size() > K) candidates.resize(K);
}

bool Beam::advance(std::vector<Candidate>& candidates, const float* attention, std::vector<std::int32_t>& parents,
                   std::vector<std::int32_t>& tokens) {
  ++length_;
  choose(candidates, attention);
  if (candidates.empty() || (!options_.sample && is_done(candidates.front().log_probability))) return true;

  const auto S = static_cast<std::size_t>(source_length_);
  if (options_.attention) attention_.emplace_back(attention, attention + totals_.size() * S);
  std::vector<float> coverage(candidates.size() * S);
  std::vector<Node>& nodes = steps_.emplace_back();
  std::vector<std::int32_t> numbers;
  totals_.clear();
  parents.clear();
  tokens.clear();
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    const Candidate& candidate = candidates[k];
    const auto parent = static_cast<std::size_t>(candidate.parent);
    for (std::size_t s = 0; s < S; ++s) coverage[k * S + s] = coverage_[parent * S + s] + attention[parent * S + s];
    nodes.push_back({candidate.parent, candidate.token});
    totals_.push_back(candidate.log_probability);
    numbers.push_back(numbers_[options_.sample ? parent : 0]);
    parents.push_back(candidate.parent);
    tokens.push_back(candidate.token);
  }
  coverage_ = std::move(coverage);
  numbers_ = std::move(numbers);
  return false;
}

bool Beam::is_done(double best_living) const {
  if (static_cast<std::int64_t>(finished_.size()) < options_.n_best) return false;
  // Log-probabilities only fall: at the longest length, this is the best score that a living hypothesis can reach. When
  // enough are finished, it is what the best living one has so far.
  const bool enough = static_cast<std::int64_t>(finished_.size()) >= options_.beam_size;
  const auto length = static_cast<double>(enough ? length_ : sentence_.max_length);
  std::vector<double> scores;
  for (const Finished& finished : finished_) scores.push_back(finished.score);
  std::nth_element(scores.begin(), scores.begin() + options_.n_best - 1, scores.end(), std::greater<>());
  return scores[static_cast<std::size_t>(options_.n_best - 1)] >=
         best_living / std::pow(length, options_.length_penalty);
}

std::vector<Finished> Beam::best() const {
  std::vector<Finished> result = finished_;
  std::stable_sort(result.begin(), result.end(), [&](const Finished& a, const Finished& b) {
    return options_.sample ? a.number < b.number : a.score > b.score;
  });
  result.resize(std::min(result.size(), static_cast<std::size_t>(options_.n_best)));
  return result;
}

}  // namespace rnn_engine::translate
