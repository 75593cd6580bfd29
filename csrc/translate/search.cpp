#include "translate/search.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <string>

#include "translate/sampling.h"

namespace rnn_engine::translate {
namespace {

struct Shared {
  const Network& network;
  const rnn_translate_options& options;
  const rnn_translate_sentence* sentences;
  Queue queue;
  std::vector<std::vector<Finished>> results;
  Progress progress{};
};

// The best allowed tokens of a row of logits, of equal ones the lower first.
class Best {
 public:
  Best(std::size_t most, std::vector<std::pair<float, std::int32_t>>& found) : most_(most), found_(found) {
    found_.clear();
  }
  float bar() const { return found_.size() < most_ ? -std::numeric_limits<float>::infinity() : found_.back().first; }
  void offer(float value, std::int32_t token) {
    if (!(value > bar())) return;
    if (found_.size() == most_) found_.pop_back();
    const auto place = std::upper_bound(found_.begin(), found_.end(), value,
                                        [](float mine, const auto& other) { return mine > other.first; });
    found_.insert(place, {value, token});
  }

 private:
  std::size_t most_;
  std::vector<std::pair<float, std::int32_t>>& found_;
};

class Searching final : public Worker {
 public:
  Searching(Shared& shared, std::int64_t capacity)
      : shared_(shared),
        capacity_(capacity),
        states_(layers()),
        next_(layers()),
        sampler_(shared.options, shared.network.kernels()) {}

  bool step() override {
    refill();
    if (active_.empty()) return false;
    advance();
    return true;
  }

 private:
  struct Active {
    std::int64_t sentence;
    std::unique_ptr<Source> source;
    std::unique_ptr<Beam> beam;
    std::vector<std::int32_t> parents, tokens;  // of the hypotheses that live on
    PhiloxKey key;                              // for drawing
  };

  std::int64_t layers() const { return shared_.network.shape().decoder_layers; }
  std::int64_t width() const { return shared_.network.shape().hidden_size; }

  // Begins more sentences once a quarter of the places is free: they are encoded together.
  void refill() {
    const auto in_work = static_cast<std::int64_t>(active_.size());
    const std::int64_t free = capacity_ - in_work;
    if (free < std::max<std::int64_t>(1, capacity_ / 4)) return;
    const std::vector<std::int64_t> taken = shared_.queue.take(free);
    if (taken.empty()) return;
    std::vector<std::vector<std::int32_t>> ids;
    for (const std::int64_t sentence : taken) {
      const rnn_translate_sentence& each = shared_.sentences[sentence];
      ids.emplace_back(each.source, each.source + each.length).push_back(shared_.options.eos);
    }
    std::vector<std::unique_ptr<Source>> sources = shared_.network.encode(ids);
    // The states of those in work make room at the end for the hypotheses of each new sentence: one, unless they are
    // drawn.
    const std::int64_t each_has = shared_.options.sample ? shared_.options.n_best : 1;
    std::int64_t rows = 0;
    for (const Active& each : active_) rows += each.beam->living();
    const auto count = static_cast<std::int64_t>(taken.size()), H = width();
    for (std::size_t layer = 0; layer < states_.hidden.size(); ++layer)
      for (const auto both : {&States::hidden, &States::cell}) {
        Buffer& now = (states_.*both)[layer];
        float* grown = (next_.*both)[layer].at_least((rows + count * each_has) * H);
        if (rows) std::memcpy(grown, now.data(), sizeof(float) * rows * H);
        for (std::int64_t i = 0; i < count * each_has; ++i) {
          const Source& source = *sources[static_cast<std::size_t>(i / each_has)];
          const std::vector<float>& initial = both == &States::hidden ? source.hidden : source.cell;
          std::memcpy(grown + (rows + i) * H, initial.data() + static_cast<std::int64_t>(layer) * H, sizeof(float) * H);
        }
        std::swap(now, (next_.*both)[layer]);
      }
    for (std::size_t i = 0; i < taken.size(); ++i) {
      const std::int64_t length = sources[i]->length;
      active_.push_back({taken[i],
                         std::move(sources[i]),
                         std::make_unique<Beam>(shared_.options, shared_.sentences[taken[i]], length),
                         {},
                         std::vector<std::int32_t>(static_cast<std::size_t>(each_has), shared_.options.bos),
                         key_of(shared_.options.seed, shared_.sentences[taken[i]])});
    }
  }

  void advance() {
    std::vector<Group> groups;
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> first;  // attention weights of each row
    std::int64_t weights = 0;
    for (const Active& each : active_) {
      groups.push_back({each.source.get(), each.beam->living()});
      tokens.insert(tokens.end(), each.tokens.begin(), each.tokens.end());
      for (std::int64_t k = 0; k < groups.back().rows; ++k, weights += each.source->length) first.push_back(weights);
    }
    attention_.resize(static_cast<std::size_t>(weights));
    std::size_t group = 0;
    std::int64_t until = groups.front().rows;
    const float* features =
        shared_.network.step(groups, tokens, states_, scratch_, [&](std::int64_t row, const float* values) {
          while (row >= until) until += groups[++group].rows;
          std::copy_n(values, groups[group].source->length, attention_.data() + first[static_cast<std::size_t>(row)]);
        });
    find_candidates(groups, features);
    choose(first);
  }

  // Of every row the best K + 1 tokens: at most one of them is eos, so that K live on.
  void find_candidates(const std::vector<Group>& groups, const float* features) {
    const std::int64_t V = shared_.network.shape().target_vocabulary, E = shared_.network.shape().embedding_size;
    const auto N = std::accumulate(groups.begin(), groups.end(), std::int64_t{0},
                                   [](std::int64_t sum, const Group& each) { return sum + each.rows; });
    candidates_.resize(active_.size());
    for (auto& each : candidates_) each.clear();
    float* logits = logits_.at_least(std::min(N, kLogitRows) * V);
    std::size_t sentence = 0;
    std::int64_t place = 0;
    for (std::int64_t begin = 0; begin < N; begin += kLogitRows) {
      const std::int64_t rows = std::min(kLogitRows, N - begin);
      shared_.network.logits(rows, features + begin * E, logits);
      for (std::int64_t row = 0; row < rows; ++row, ++place) {
        while (place == groups[sentence].rows) ++sentence, place = 0;
        collect(sentence, place, logits + row * V);
      }
    }
  }

  void collect(std::size_t sentence, std::int64_t place, float* logits) {
    const std::int64_t V = shared_.network.shape().target_vocabulary;
    const rnn_translate_options& options = shared_.options;
    const Beam& beam = *active_[sentence].beam;
    tops_.resize(static_cast<std::size_t>((V + kChunk - 1) / kChunk));
    const RowTotal<float> row = shared_.network.kernels().total_row(logits, V, tops_.data());
    const double base = beam.log_probability(place);
    const double shift = log_total(row);
    const auto add = [&](float logit, std::int32_t token) {
      const double value = static_cast<double>(logit) - shift;
      const bool possible = value > -std::numeric_limits<double>::infinity();  // what is not a number is no candidate
      candidates_[sentence].push_back({possible ? base + value : -std::numeric_limits<double>::infinity(),
                                       static_cast<std::int32_t>(place), token});
    };
    if (const std::int32_t token = beam.required(); token != kFree) return add(logits[token], token);
    forbid(beam, place, logits);
    if (options.sample) {
      const std::int32_t token = sampler_.draw(logits, V, active_[sentence].key, beam.number(place), beam.length());
      if (token != kFree) add(logits[token], token);
      return;
    }
    Best best(static_cast<std::size_t>(options.beam_size + 1), found_);
    for (std::int64_t first = 0; first < V; first += kChunk) {
      if (!(tops_[static_cast<std::size_t>(first / kChunk)] > best.bar())) continue;
      const std::int64_t last = std::min(V, first + kChunk);
      for (std::int64_t token = first; token < last; ++token)
        best.offer(logits[token], static_cast<std::int32_t>(token));
    }
    for (const auto& [logit, token] : found_) add(logit, token);
  }

  // Rules out what may not come next.
  void forbid(const Beam& beam, std::int64_t place, float* logits) const {
    const rnn_translate_options& options = shared_.options;
    const float impossible = -std::numeric_limits<float>::infinity();
    for (std::int64_t i = 0; i < options.forbidden_count; ++i) logits[options.forbidden[i]] = impossible;
    if (!beam.may_end()) logits[options.eos] = impossible;
    const auto n = static_cast<std::size_t>(options.no_repeat_ngram);
    if (n == 0) return;
    const std::vector<std::int32_t> tokens = beam.tokens(place);
    for (std::size_t start = 0; start + n <= tokens.size(); ++start)
      if (std::equal(tokens.begin() + static_cast<std::ptrdiff_t>(start),
                     tokens.begin() + static_cast<std::ptrdiff_t>(start + n - 1),
                     tokens.end() - static_cast<std::ptrdiff_t>(n - 1)))
        logits[tokens[start + n - 1]] = impossible;
  }

  // Lets the best live on, and done sentences go.
  void choose(const std::vector<std::int64_t>& attention_of_row) {
    std::vector<std::int64_t> rows;  // where the states of those that live on are now
    std::vector<Active> going_on;
    std::int64_t row = 0;
    for (std::size_t i = 0; i < active_.size(); ++i) {
      Active& each = active_[i];
      const std::int64_t living = each.beam->living();
      const float* attention = attention_.data() + attention_of_row[static_cast<std::size_t>(row)];
      if (each.beam->advance(candidates_[i], attention, each.parents, each.tokens)) {
        shared_.results[static_cast<std::size_t>(each.sentence)] = each.beam->best();
        ++shared_.progress.done;
      } else {
        for (const std::int32_t parent : each.parents) rows.push_back(row + parent);
        going_on.push_back(std::move(each));
      }
      row += living;
    }
    active_ = std::move(going_on);
    const std::int64_t H = width();
    for (std::size_t layer = 0; layer < states_.hidden.size(); ++layer)
      for (const auto both : {&States::hidden, &States::cell}) {
        Buffer& now = (states_.*both)[layer];
        float* gathered = (next_.*both)[layer].at_least(static_cast<std::int64_t>(rows.size()) * H);
        for (std::size_t n = 0; n < rows.size(); ++n)
          std::memcpy(gathered + static_cast<std::int64_t>(n) * H, now.data() + rows[n] * H, sizeof(float) * H);
        std::swap(now, (next_.*both)[layer]);
      }
  }

  Shared& shared_;
  std::int64_t capacity_;
  std::vector<Active> active_;
  States states_, next_;
  Scratch scratch_;
  Sampler sampler_;
  Buffer logits_;
  std::vector<float> attention_, tops_;
  std::vector<std::vector<Candidate>> candidates_;  // of each sentence
  std::vector<std::pair<float, std::int32_t>> found_;
};

}  // namespace

std::vector<std::vector<Finished>> search(const Network& network, const rnn_translate_options& options,
                                          const rnn_translate_sentence* sentences, std::int64_t count,
                                          const Poll& poll) {
  // The longest first: like lengths are encoded together, and the last to be begun are short.
  Shared shared{network, options, sentences,
                Queue(count, [&](std::int64_t a, std::int64_t b) { return sentences[a].length > sentences[b].length; }),
                std::vector<std::vector<Finished>>(static_cast<std::size_t>(count))};
  const std::int64_t threads = std::clamp<std::int64_t>(count, 1, options.threads);
  const std::int64_t capacity = capacity_of(count, threads, options.batch_size);
  const auto make = [&] { return std::make_unique<Searching>(shared, capacity); };
  if (!run_workers(threads, shared.progress, make, poll)) return {};
  return std::move(shared.results);
}

}  // namespace rnn_engine::translate
