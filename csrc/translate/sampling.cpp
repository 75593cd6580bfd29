#include "translate/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/xxh64.h"
#include "translate/beam.h"

namespace rnn_engine::translate {
namespace {

// In [0, 1), of 53 bits.
double uniform(PhiloxKey key, std::int32_t number, std::int64_t step) {
  const auto t = static_cast<std::uint64_t>(step);
  const PhiloxWords words = philox(
      {{static_cast<std::uint32_t>(t), static_cast<std::uint32_t>(t >> 32), static_cast<std::uint32_t>(number), 0}},
      key);
  const std::uint64_t both = std::uint64_t{words.word[0]} << 32 | words.word[1];
  return static_cast<double>(both >> 11) * 0x1p-53;
}

}  // namespace

PhiloxKey key_of(std::uint64_t seed, const rnn_translate_sentence& sentence) {
  const std::uint64_t parts[] = {
      seed, xxh64(sentence.source, sizeof(std::int32_t) * static_cast<std::size_t>(sentence.length)),
      xxh64(sentence.prefix, sizeof(std::int32_t) * static_cast<std::size_t>(sentence.prefix_length))};
  const std::uint64_t key = xxh64(parts, sizeof parts);
  return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

std::int32_t Sampler::draw(const float* logits, std::int64_t count, PhiloxKey key, std::int32_t number,
                           std::int64_t step) {
  float* weights = weights_.at_least(count);
  const auto scale = static_cast<float>(1.0 / options_.temperature);
  for (std::int64_t j = 0; j < count; ++j) weights[j] = logits[j] * scale;
  kernels_.softmax_row(weights, count);
  const double place = uniform(key, number, step);
  const bool all = options_.top_p >= 1.0 && (options_.top_k == 0 || options_.top_k >= count);
  return all ? draw_from_all(weights, count, place) : draw_from_best(weights, count, place);
}

std::int32_t Sampler::draw_from_all(const float* weights, std::int64_t count, double place) const {
  const double total = std::accumulate(weights, weights + count, 0.0);
  std::int32_t last = kFree;
  double left = place * total;
  for (std::int64_t j = 0; j < count; ++j) {
    if (!(weights[j] > 0.0f)) continue;
    last = static_cast<std::int32_t>(j);
    if ((left -= weights[j]) < 0.0) break;
  }
  return last;
}

// The best top_k, and of those as many as together have top_p of their probability: at least one.
std::int32_t Sampler::draw_from_best(const float* weights, std::int64_t count, double place) {
  constexpr std::size_t kFirst = 64;  // as many are sorted at first; most often they are enough
  double total = std::accumulate(weights, weights + count, 0.0);
  if (!(total > 0.0)) return kFree;  // what is no number cannot be ordered
  order_.resize(static_cast<std::size_t>(count));
  std::iota(order_.begin(), order_.end(), 0);
  const auto better = [&](std::int32_t a, std::int32_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  };
  const auto begin = order_.begin();
  const auto at = [&](std::size_t place_in_order) { return begin + static_cast<std::ptrdiff_t>(place_in_order); };
  std::size_t most = order_.size();
  if (options_.top_k != 0 && static_cast<std::size_t>(options_.top_k) < most) {
    most = static_cast<std::size_t>(options_.top_k);
    std::nth_element(begin, at(most - 1), order_.end(), better);
  }
  if (most < order_.size()) {
    std::sort(begin, at(most), better);
    total = std::accumulate(begin, at(most), 0.0, [&](double sum, std::int32_t each) { return sum + weights[each]; });
  }
  const double wanted = options_.top_p * total;
  double mass = 0.0;
  std::size_t kept = 0, sorted = most == order_.size() ? 0 : most;
  while (kept < most && (kept == 0 || mass < wanted)) {
    if (kept == sorted) {
      sorted = std::min(most, std::max(kFirst, 4 * sorted));
      std::partial_sort(at(kept), at(sorted), at(most), better);
    }
    if (!(weights[order_[kept]] > 0.0f)) break;
    mass += weights[order_[kept++]];
  }
  double left = place * mass;
  for (std::size_t i = 0; i < kept; ++i)
    if ((left -= weights[order_[i]]) < 0.0) return order_[i];
  return order_[kept - 1];
}

}  // namespace rnn_engine::translate
