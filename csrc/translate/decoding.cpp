#include "translate/decoding.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

namespace rnn_engine::translate {
namespace {

constexpr std::size_t kEncodedTokens = 1024;  // at a time

// Calls work(now, next, initial, layer, H) for the hidden and the cell states of each layer, and for what is fed.
template <class Work>
void for_each_state(const Network& network, States& now, States& next, const Work& work) {
  const std::int64_t H = network.shape().hidden_size;
  for (std::size_t layer = 0; layer < now.hidden.size(); ++layer) {
    work(now.hidden[layer], next.hidden[layer], &Source::hidden, static_cast<std::int64_t>(layer), H);
    work(now.cell[layer], next.cell[layer], &Source::cell, static_cast<std::int64_t>(layer), H);
  }
  if (network.shape().input_feeding) work(now.fed, next.fed, &Source::fed, std::int64_t{0}, H);
}

}  // namespace

Decoding::Decoding(const Ensemble& networks) {
  for (const Network* network : networks) {
    const std::int64_t layers = network->shape().decoder_layers;
    members_.push_back({network, States(layers), States(layers), {}});
  }
}

std::vector<Sources> Decoding::encode(const std::vector<std::vector<std::int32_t>>& sources) const {
  std::vector<Sources> result(sources.size());
  for (auto first = sources.begin(); first != sources.end();) {
    // As many as there are tokens for: what the encoder works with is a multiple of what stays.
    auto last = first;
    std::size_t tokens = 0;
    while (last != sources.end() && (last == first || tokens + last->size() <= kEncodedTokens))
      tokens += last++->size();
    for (const Member& member : members_) {
      auto place = result.begin() + (first - sources.begin());
      for (std::unique_ptr<Source>& each : member.network->encode({first, last})) (place++)->push_back(std::move(each));
    }
    first = last;
  }
  return result;
}

void Decoding::append(const std::vector<Sources>& sources, std::int64_t each) {
  const auto count = static_cast<std::int64_t>(sources.size()) * each;
  for (std::size_t m = 0; m < members_.size(); ++m) {
    Member& member = members_[m];
    for_each_state(*member.network, member.states, member.next,
                   [&](Buffer& now, Buffer& next, auto initial, std::int64_t layer, std::int64_t H) {
                     float* grown = next.at_least((rows_ + count) * H);
                     if (rows_) std::memcpy(grown, now.data(), sizeof(float) * rows_ * H);
                     for (std::int64_t i = 0; i < count; ++i) {
                       const Source& source = *sources[static_cast<std::size_t>(i / each)][m];
                       std::memcpy(grown + (rows_ + i) * H, (source.*initial).data() + layer * H, sizeof(float) * H);
                     }
                     std::swap(now, next);
                   });
  }
  rows_ += count;
}

void Decoding::select(const std::vector<std::int64_t>& rows) {
  // In greedy search a row only moves up, where others end.
  const bool upwards = std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end();
  for (Member& member : members_)
    for_each_state(*member.network, member.states, member.next,
                   [&](Buffer& now, Buffer& next, auto, std::int64_t, std::int64_t H) {
                     const auto count = static_cast<std::int64_t>(rows.size());
                     float* gathered = upwards ? now.data() : next.at_least(count * H);
                     for (std::int64_t n = 0; n < count; ++n)
                       if (const std::int64_t from = rows[static_cast<std::size_t>(n)]; !upwards || from != n)
                         std::memcpy(gathered + n * H, now.data() + from * H, sizeof(float) * H);
                     if (!upwards) std::swap(now, next);
                   });
  rows_ = static_cast<std::int64_t>(rows.size());
}

void Decoding::step(const std::vector<Rows>& groups, const std::vector<std::int32_t>& tokens, float* attention) {
  const auto share = 1.0f / static_cast<float>(members_.size());
  std::vector<Group> own(groups.size());
  for (std::size_t m = 0; m < members_.size(); ++m) {
    Member& member = members_[m];
    for (std::size_t g = 0; g < groups.size(); ++g) own[g] = {(*groups[g].source)[m].get(), groups[g].count};
    std::size_t group = 0;
    std::int64_t until = own.front().rows;
    float* to = attention;
    member.features =
        member.network->step(own, tokens, member.states, member.scratch, [&](std::int64_t row, const float* weights) {
          while (row >= until) until += own[++group].rows;
          const std::int64_t S = own[group].source->length;
          for (std::int64_t s = 0; s < S; ++s) to[s] = (m ? to[s] : 0.0f) + weights[s] * share;
          to += S;
        });
  }
}

float* Decoding::scores(std::int64_t first, std::int64_t count) {
  return averaged(first, count, vocabulary(),
                  [&](std::size_t m) -> const Linear& { return members_[m].network->output(); });
}

float* Decoding::scores(std::int64_t first, std::int64_t count, const Products& words, std::int64_t size) {
  return averaged(first, count, size, [&](std::size_t m) -> const Linear& { return *words[m]; });
}

template <class Product>
float* Decoding::averaged(std::int64_t first, std::int64_t count, std::int64_t size, const Product& product) {
  float* logits = logits_.at_least(count * size);
  const auto multiply = [&](std::size_t m) {
    const std::int64_t E = members_[m].network->shape().embedding_size;
    product(m).apply(count, members_[m].features + first * E, E, logits, size);
  };
  if (members_.size() == 1) {
    multiply(0);
    return logits;
  }
  const double share = 1.0 / static_cast<double>(members_.size());
  float* mean = mean_.at_least(count * size);
  tops_.resize(static_cast<std::size_t>((size + kChunk - 1) / kChunk));
  std::fill_n(mean, count * size, 0.0f);
  for (std::size_t m = 0; m < members_.size(); ++m) {
    multiply(m);
    for (std::int64_t row = 0; row < count; ++row) {
      const float* from = logits + row * size;
      float* to = mean + row * size;
      const double total = translate::log_total(members_[m].network->kernels().total_row(from, size, tops_.data()));
      for (std::int64_t j = 0; j < size; ++j) to[j] += static_cast<float>((from[j] - total) * share);
    }
  }
  return mean;
}

}  // namespace rnn_engine::translate
