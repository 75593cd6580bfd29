#include "translate/forced.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>

namespace rnn_engine::translate {
namespace {

struct Shared {
  const Network& network;
  const rnn_translate_scoring& options;
  const rnn_translate_pair* pairs;
  Queue queue;
  std::vector<Forced> results;
  Progress progress{};
};

// A batch of pairs at a time, the longest target first: those that are done are the last rows.
class Forcing final : public Worker {
 public:
  Forcing(Shared& shared, std::int64_t capacity)
      : shared_(shared), capacity_(capacity), states_(shared.network.shape().decoder_layers) {}

  bool step() override {
    if (batch_.empty() && !begin()) return false;
    advance();
    if (batch_.empty()) sources_.clear();
    return true;
  }

 private:
  const rnn_translate_pair& pair(std::size_t row) const { return shared_.pairs[batch_[row]]; }
  Forced& result(std::size_t row) { return shared_.results[static_cast<std::size_t>(batch_[row])]; }

  bool begin() {
    batch_ = shared_.queue.take(capacity_);
    if (batch_.empty()) return false;
    position_ = 0;
    encode();
    const std::int64_t H = shared_.network.shape().hidden_size;
    for (std::size_t layer = 0; layer < states_.hidden.size(); ++layer)
      for (const auto hidden : {true, false}) {
        Buffer& buffer = (hidden ? states_.hidden : states_.cell)[layer];
        float* state = buffer.at_least(static_cast<std::int64_t>(batch_.size()) * H);
        for (const std::unique_ptr<Source>& source : sources_) {
          const std::vector<float>& initial = hidden ? source->hidden : source->cell;
          std::memcpy(state, initial.data() + static_cast<std::int64_t>(layer) * H, sizeof(float) * H);
          state += H;
        }
      }
    for (std::size_t row = 0; row < batch_.size(); ++row) {
      const auto T = static_cast<std::size_t>(pair(row).target_length + 1);
      result(row).log_probabilities.resize(T);
      if (shared_.options.attention) result(row).attention.resize(T * static_cast<std::size_t>(sources_[row]->length));
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
    std::vector<std::unique_ptr<Source>> encoded = shared_.network.encode(ids);
    sources_.resize(batch_.size());
    for (std::size_t i = 0; i < order.size(); ++i) sources_[order[i]] = std::move(encoded[i]);
  }

  void advance() {
    std::vector<Group> groups;
    std::vector<std::int32_t> inputs, answers;
    for (std::size_t row = 0; row < batch_.size(); ++row) {
      const rnn_translate_pair& each = pair(row);
      groups.push_back({sources_[row].get(), 1});
      inputs.push_back(position_ ? each.target[position_ - 1] : shared_.options.bos);
      answers.push_back(position_ < each.target_length ? each.target[position_] : shared_.options.eos);
    }
    const float* features =
        shared_.network.step(groups, inputs, states_, scratch_, [&](std::int64_t row, const float* weights) {
          std::vector<float>& all = result(static_cast<std::size_t>(row)).attention;
          const std::int64_t S = groups[static_cast<std::size_t>(row)].source->length;
          if (!all.empty()) std::copy_n(weights, S, all.data() + position_ * S);
        });
    judge(answers, features);
    ++position_;
    while (!batch_.empty() && position_ > pair(batch_.size() - 1).target_length) {
      batch_.pop_back();
      ++shared_.progress.done;
    }
  }

  // Writes down the log-probability of each answer.
  void judge(const std::vector<std::int32_t>& answers, const float* features) {
    const std::int64_t V = shared_.network.shape().target_vocabulary, E = shared_.network.shape().embedding_size;
    const auto N = static_cast<std::int64_t>(answers.size());
    float* logits = logits_.at_least(std::min(N, kLogitRows) * V);
    float* tops = tops_.at_least((V + kChunk - 1) / kChunk);
    for (std::int64_t begin = 0; begin < N; begin += kLogitRows) {
      const std::int64_t rows = std::min(kLogitRows, N - begin);
      shared_.network.logits(rows, features + begin * E, logits);
      for (std::int64_t i = 0; i < rows; ++i) {
        const float* scores = logits + i * V;
        const auto row = static_cast<std::size_t>(begin + i);
        result(row).log_probabilities[static_cast<std::size_t>(position_)] =
            static_cast<double>(scores[answers[row]]) - log_total(shared_.network.kernels().total_row(scores, V, tops));
      }
    }
  }

  Shared& shared_;
  std::int64_t capacity_;
  std::vector<std::int64_t> batch_;  // pairs in work
  std::vector<std::unique_ptr<Source>> sources_;
  std::int64_t position_ = 0;
  States states_;
  Scratch scratch_;
  Buffer logits_, tops_;
};

}  // namespace

std::vector<Forced> force(const Network& network, const rnn_translate_scoring& options, const rnn_translate_pair* pairs,
                          std::int64_t count, const Poll& poll) {
  const auto sizes = [&](std::int64_t i) { return std::pair(pairs[i].target_length, pairs[i].source_length); };
  Shared shared{network, options, pairs,
                Queue(count, [&](std::int64_t a, std::int64_t b) { return sizes(a) > sizes(b); }),
                std::vector<Forced>(static_cast<std::size_t>(count))};
  const std::int64_t threads = std::clamp<std::int64_t>(count, 1, options.threads);
  const std::int64_t capacity = capacity_of(count, threads, options.batch_size);
  const auto make = [&] { return std::make_unique<Forcing>(shared, capacity); };
  if (!run_workers(threads, shared.progress, make, poll)) return {};
  return std::move(shared.results);
}

}  // namespace rnn_engine::translate
