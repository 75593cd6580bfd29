#include "translate/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "translate/decoding.h"
#include "translate/sampling.h"
#include "translate/sharing.h"

namespace rnn_engine::translate {
namespace {

struct Shared {
  const Ensemble& networks;
  const Shortlists& shortlists;
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

// The tokens that a sentence may use: all of them, or some, in ascending order, with products of their own.
struct Words {
  std::vector<std::int32_t> ids;
  Products products;  // none: all tokens

  std::int32_t token(std::int64_t place) const {
    return products.empty() ? static_cast<std::int32_t>(place) : ids[static_cast<std::size_t>(place)];
  }
  // Where a token stands, -1 if it is none of them.
  std::int64_t place(std::int32_t token) const {
    if (products.empty()) return token;
    const auto found = std::lower_bound(ids.begin(), ids.end(), token);
    return found != ids.end() && *found == token ? found - ids.begin() : -1;
  }
};

class Searching final : public Worker {
 public:
  Searching(Shared& shared, std::int64_t capacity)
      : shared_(shared),
        capacity_(capacity),
        decoding_(shared.networks),
        sampler_(shared.options, decoding_.kernels()) {}

  bool step() override {
    refill();
    if (active_.empty()) return false;
    advance();
    return true;
  }

 private:
  struct Active {
    std::int64_t sentence;
    std::unique_ptr<Sources> source;
    std::int64_t length;  // S
    std::unique_ptr<Beam> beam;
    std::vector<std::int32_t> parents, tokens;  // of the hypotheses that live on
    PhiloxKey key;                              // for drawing
    Words words;
  };

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
    std::vector<Sources> sources = decoding_.encode(ids);
    const std::int64_t living = shared_.options.sample ? shared_.options.n_best : 1;
    decoding_.append(sources, living);
    for (std::size_t i = 0; i < taken.size(); ++i) {
      const rnn_translate_sentence& sentence = shared_.sentences[taken[i]];
      const std::int64_t length = sources[i].front()->length;
      active_.push_back({taken[i],
                         std::make_unique<Sources>(std::move(sources[i])),
                         length,
                         std::make_unique<Beam>(shared_.options, sentence, length),
                         {},
                         std::vector<std::int32_t>(static_cast<std::size_t>(living), shared_.options.bos),
                         key_of(shared_.options.seed, sentence),
                         words_of(sentence)});
    }
  }

  Words words_of(const rnn_translate_sentence& sentence) {
    Words words;
    if (!shared_.options.shortlist) return words;
    if (!spare_.empty()) {
      words = std::move(spare_.back());
      spare_.pop_back();
    }
    words.ids = translate::words_of(shared_.shortlists, sentence, shared_.options.shortlist, shared_.options.eos);
    words.products.resize(shared_.networks.size());
    for (std::size_t m = 0; m < words.products.size(); ++m)
      shared_.networks[m]->output().pick(words.ids, words.products[m]);
    return words;
  }

  void advance() {
    std::vector<Rows> groups;
    std::vector<std::int32_t> tokens;
    std::int64_t weights = 0;
    for (const Active& each : active_) {
      groups.push_back({each.source.get(), each.beam->living()});
      tokens.insert(tokens.end(), each.tokens.begin(), each.tokens.end());
      weights += groups.back().count * each.length;
    }
    attention_.resize(static_cast<std::size_t>(weights));
    decoding_.step(groups, tokens, attention_.data());
    find_candidates(groups);
    choose();
  }

  // Of every row the best K + 1 tokens: at most one of them is eos, so that K live on.
  void find_candidates(const std::vector<Rows>& groups) {
    candidates_.resize(active_.size());
    for (auto& each : candidates_) each.clear();
    if (shared_.options.shortlist) return find_among_words(groups);
    std::size_t sentence = 0;
    std::int64_t place = 0;
    for (std::int64_t begin = 0; begin < decoding_.rows(); begin += kLogitRows) {
      const std::int64_t rows = std::min(kLogitRows, decoding_.rows() - begin);
      float* scores = decoding_.scores(begin, rows);
      for (std::int64_t row = 0; row < rows; ++row, ++place) {
        while (place == groups[sentence].count) ++sentence, place = 0;
        collect(sentence, place, scores + row * decoding_.vocabulary(), decoding_.vocabulary());
      }
    }
  }

  // The same where every sentence has words of its own.
  void find_among_words(const std::vector<Rows>& groups) {
    std::int64_t first = 0;
    for (std::size_t sentence = 0; sentence < groups.size(); first += groups[sentence++].count) {
      const Words& words = active_[sentence].words;
      const auto size = static_cast<std::int64_t>(words.ids.size());
      float* scores = decoding_.scores(first, groups[sentence].count, words.products, size);
      for (std::int64_t row = 0; row < groups[sentence].count; ++row) collect(sentence, row, scores + row * size, size);
    }
  }

  // `count`: of the words that the sentence may use.
  void collect(std::size_t sentence, std::int64_t place, float* logits, std::int64_t count) {
    const rnn_translate_options& options = shared_.options;
    const Beam& beam = *active_[sentence].beam;
    const Words& words = active_[sentence].words;
    tops_.resize(static_cast<std::size_t>((count + kChunk - 1) / kChunk));
    const RowTotal<float> row = decoding_.kernels().total_row(logits, count, tops_.data());
    const double base = beam.log_probability(place);
    const double shift = decoding_.log_total(row);
    const auto add = [&](float logit, std::int64_t found) {
      const double value = static_cast<double>(logit) - shift;
      const bool possible = value > -std::numeric_limits<double>::infinity();  // what is not a number is no candidate
      candidates_[sentence].push_back({possible ? base + value : -std::numeric_limits<double>::infinity(),
                                       static_cast<std::int32_t>(place), words.token(found)});
    };
    if (const std::int32_t token = beam.required(); token != kFree)
      return add(logits[words.place(token)], words.place(token));
    forbid(beam, words, place, logits);
    if (options.sample) {
      const std::int32_t drawn = sampler_.draw(logits, count, active_[sentence].key, beam.number(place), beam.length());
      if (drawn != kFree) add(logits[drawn], drawn);
      return;
    }
    Best best(static_cast<std::size_t>(options.beam_size + 1), found_);
    for (std::int64_t first = 0; first < count; first += kChunk) {
      if (!(tops_[static_cast<std::size_t>(first / kChunk)] > best.bar())) continue;
      const std::int64_t last = std::min(count, first + kChunk);
      for (std::int64_t each = first; each < last; ++each) best.offer(logits[each], static_cast<std::int32_t>(each));
    }
    for (const auto& [logit, found] : found_) add(logit, found);
  }

  // Rules out what may not come next.
  void forbid(const Beam& beam, const Words& words, std::int64_t place, float* logits) const {
    const rnn_translate_options& options = shared_.options;
    const auto rule_out = [&](std::int32_t token) {
      if (const std::int64_t at = words.place(token); at >= 0) logits[at] = -std::numeric_limits<float>::infinity();
    };
    for (std::int64_t i = 0; i < options.forbidden_count; ++i) rule_out(options.forbidden[i]);
    if (!beam.may_end()) rule_out(options.eos);
    const auto n = static_cast<std::size_t>(options.no_repeat_ngram);
    if (n == 0) return;
    const std::vector<std::int32_t> tokens = beam.tokens(place);
    for (std::size_t start = 0; start + n <= tokens.size(); ++start)
      if (std::equal(tokens.begin() + static_cast<std::ptrdiff_t>(start),
                     tokens.begin() + static_cast<std::ptrdiff_t>(start + n - 1),
                     tokens.end() - static_cast<std::ptrdiff_t>(n - 1)))
        rule_out(tokens[start + n - 1]);
  }

  // Lets the best live on, and done sentences go.
  void choose() {
    std::vector<std::int64_t> rows;  // where the states of those that live on are now
    std::vector<Active> going_on;
    std::int64_t row = 0;
    const float* attention = attention_.data();
    for (std::size_t i = 0; i < active_.size(); ++i) {
      Active& each = active_[i];
      const std::int64_t living = each.beam->living();
      if (each.beam->advance(candidates_[i], attention, each.parents, each.tokens)) {
        shared_.results[static_cast<std::size_t>(each.sentence)] = each.beam->best();
        ++shared_.progress.done;
        if (!each.words.products.empty()) spare_.push_back(std::move(each.words));
      } else {
        for (const std::int32_t parent : each.parents) rows.push_back(row + parent);
        going_on.push_back(std::move(each));
      }
      row += living;
      attention += living * active_[i].length;
    }
    active_ = std::move(going_on);
    decoding_.select(rows);
  }

  Shared& shared_;
  std::int64_t capacity_;
  std::vector<Active> active_;
  Decoding decoding_;
  Sampler sampler_;
  std::vector<float> attention_, tops_;
  std::vector<Words> spare_;                        // of sentences that are done, for their memory
  std::vector<std::vector<Candidate>> candidates_;  // of each sentence
  std::vector<std::pair<float, std::int32_t>> found_;
};

}  // namespace

std::vector<std::vector<Finished>> search(const Ensemble& networks, const Shortlists& shortlists,
                                          const rnn_translate_options& options, const rnn_translate_sentence* sentences,
                                          std::int64_t count, const Poll& poll) {
  // The longest first: like lengths are encoded together, and the last to be begun are short.
  Shared shared{networks,
                shortlists,
                options,
                sentences,
                Queue(count, [&](std::int64_t a, std::int64_t b) { return sentences[a].length > sentences[b].length; }),
                std::vector<std::vector<Finished>>(static_cast<std::size_t>(count))};
  const std::int64_t threads = std::clamp<std::int64_t>(count, 1, options.threads);
  const std::int64_t capacity = capacity_of(count, threads, options.batch_size);
  const auto make = [&] { return std::make_unique<Searching>(shared, capacity); };
  const Sharing sharing(networks.front()->helpers(), count == 1 ? options.threads : 1);
  if (!run_workers(threads, shared.progress, make, poll)) return {};
  return std::move(shared.results);
}

}  // namespace rnn_engine::translate
