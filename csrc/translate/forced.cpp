#include "translate/forced.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "translate/sharing.h"

namespace rnn_engine::translate {
namespace {

struct Shared {
  const Ensemble& networks;
  const rnn_translate_scoring& options;
  const rnn_translate_pair* pairs;
  Queue queue;
  std::vector<Forced> results;
  Progress progress{};
};

// A batch of pairs at a time, the longest target first: those that are done are the last rows.
class Forcing final : public Worker {
 public:
  Forcing(Shared& shared, std::int64_t capacity) : shared_(shared), capacity_(capacity), decoding_(shared.networks) {}

  bool step() override {
    if (batch_.empty() && !begin()) return false;
    advance();
    if (batch_.empty()) sources_.clear();
    return true;
  }

 private:
  const rnn_translate_pair& pair(std::size_t row) const { return shared_.pairs[batch_[row]]; }
  std::int64_t length(std::size_t row) const { return sources_[row].front()->length; }
  Forced& result(std::size_t row) { return shared_.results[static_cast<std::size_t>(batch_[row])]; }

  bool begin() {
    batch_ = shared_.queue.take(capacity_);
    if (batch_.empty()) return false;
    position_ = 0;
    encode();
    decoding_.keep_first(0);
    decoding_.append(sources_, 1);
    for (std::size_t row = 0; row < batch_.size(); ++row) {
      const auto T = static_cast<std::size_t>(pair(row).target_length + 1);
      result(row).log_probabilities.resize(T);
      if (shared_.options.attention) result(row).attention.resize(T * static_cast<std::size_t>(length(row)));
    }
    return true;
  }

  // The network reads the longest source first.
  void encode() {
    std::vector<std::size_t> order(batch_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return pair(a).source_length > pair(b).source_length; });
    std::vector<std::vector<std::int32_t>> ids;
    for (const std::size_t row : order) {
      const rnn_translate_pair& each = pair(row);
      ids.emplace_back(each.source, each.source + each.source_length).push_back(shared_.options.eos);
    }
    std::vector<Sources> encoded = decoding_.encode(ids);
    sources_.resize(batch_.size());
    for (std::size_t i = 0; i < order.size(); ++i) sources_[order[i]] = std::move(encoded[i]);
  }

  void advance() {
    std::vector<Rows> groups;
    std::vector<std::int32_t> inputs, answers;
    std::int64_t weights = 0;
    for (std::size_t row = 0; row < batch_.size(); ++row) {
      const rnn_translate_pair& each = pair(row);
      groups.push_back({&sources_[row], 1});
      inputs.push_back(position_ ? each.target[position_ - 1] : shared_.options.bos);
      answers.push_back(position_ < each.target_length ? each.target[position_] : shared_.options.eos);
      weights += length(row);
    }
    attention_.resize(static_cast<std::size_t>(weights));
    decoding_.step(groups, inputs, attention_.data());
    const float* from = attention_.data();
    for (std::size_t row = 0; row < batch_.size(); from += length(row), ++row)
      if (shared_.options.attention)
        std::copy_n(from, length(row), result(row).attention.data() + position_ * length(row));
    judge(answers);
    ++position_;
    while (!batch_.empty() && position_ > pair(batch_.size() - 1).target_length) {
      batch_.pop_back();
      ++shared_.progress.done;
    }
    decoding_.keep_first(static_cast<std::int64_t>(batch_.size()));
  }

  // Writes down the log-probability of each answer.
  void judge(const std::vector<std::int32_t>& answers) {
    const std::int64_t V = decoding_.vocabulary();
    float* tops = tops_.at_least((V + kChunk - 1) / kChunk);
    for (std::int64_t begin = 0; begin < decoding_.rows(); begin += kLogitRows) {
      const std::int64_t rows = std::min(kLogitRows, decoding_.rows() - begin);
      const float* scores = decoding_.scores(begin, rows);
      for (std::int64_t i = 0; i < rows; ++i, scores += V) {
        const auto row = static_cast<std::size_t>(begin + i);
        result(row).log_probabilities[static_cast<std::size_t>(position_)] =
            static_cast<double>(scores[answers[row]]) -
            decoding_.log_total(decoding_.kernels().total_row(scores, V, tops));
      }
    }
  }

  Shared& shared_;
  std::int64_t capacity_;
  std::vector<std::int64_t> batch_;  // pairs in work
  std::vector<Sources> sources_;
  std::int64_t position_ = 0;
  Decoding decoding_;
  std::vector<float> attention_;
  Buffer tops_;
};

}  // namespace

std::vector<Forced> force(const Ensemble& networks, const rnn_translate_scoring& options,
                          const rnn_translate_pair* pairs, std::int64_t count, const Poll& poll) {
  const auto sizes = [&](std::int64_t i) { return std::pair(pairs[i].target_length, pairs[i].source_length); };
  Shared shared{networks, options, pairs,
                Queue(count, [&](std::int64_t a, std::int64_t b) { return sizes(a) > sizes(b); }),
                std::vector<Forced>(static_cast<std::size_t>(count))};
  const std::int64_t threads = std::clamp<std::int64_t>(count, 1, options.threads);
  const std::int64_t capacity = capacity_of(count, threads, options.batch_size);
  const auto make = [&] { return std::make_unique<Forcing>(shared, capacity); };
  const Sharing sharing(networks.front()->helpers(), count == 1 ? options.threads : 1);
  if (!run_workers(threads, shared.progress, make, poll)) return {};
  return std::move(shared.results);
}

}  // namespace rnn_engine::translate
