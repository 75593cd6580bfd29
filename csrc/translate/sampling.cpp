#include "translate/sampling.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
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
  double total = std::accumulate(weights, weights + count, 0.0);
  if (!(total > 0.0)) return kFree;  // what is no number cannot be ordered
  const bool some = options_.top_k != 0 && options_.top_k < count;
  // Below the bar, none of top_k; or none that is needed, since those above it have top_p of all.
  const float bar = some ? bar_of_best(weights, count) : bar_of_mass(weights, count, options_.top_p * total);
  order_.clear();
  for (std::int64_t j = 0; j < count; ++j)
    if (weights[j] >= bar && weights[j] > 0.0f) order_.push_back(static_cast<std::int32_t>(j));
  const auto better = [&](std::int32_t a, std::int32_t b) {
    return weights[a] != weights[b] ? weights[a] > weights[b] : a < b;
  };
  const auto at = [&](std::size_t rank) { return order_.begin() + static_cast<std::ptrdiff_t>(rank); };
  if (some) {
    const auto most = static_cast<std::size_t>(options_.top_k);
    if (most < order_.size()) {
      std::nth_element(at(0), at(most), order_.end(), better);
      order_.resize(most);
    }
    total = mass_of(weights);
  }
  // The last of those that are kept is found by halves; those before it need no order.
  std::size_t begin = 0, end = order_.size();
  for (double mass = 0.0; options_.top_p < 1.0 && end - begin > 1;) {
    const std::size_t middle = begin + (end - begin) / 2;
    std::nth_element(at(begin), at(middle), at(end), better);
    double more = mass;
    for (std::size_t i = begin; i < middle; ++i) more += weights[order_[i]];
    if (more >= options_.top_p * total) {
      end = middle;
    } else {
      begin = middle;
      mass = more;
    }
  }
  order_.resize(end);
  std::sort(order_.begin(), order_.end());  // by id: that is the same however halves are put
  double left = place * mass_of(weights);
  for (const std::int32_t token : order_)
    if ((left -= weights[token]) < 0.0) return token;
  return order_.back();
}

double Sampler::mass_of(const float* weights) const {
  return std::accumulate(order_.begin(), order_.end(), 0.0,
                         [&](double sum, std::int32_t each) { return sum + weights[each]; });
}

// A power of two: what is not below it has this mass, and is not nothing.
float Sampler::bar_of_mass(const float* weights, std::int64_t count, double mass) {
  std::array<double, 256> of_exponent{};
  for (std::int64_t j = 0; j < count; ++j)
    of_exponent[std::bit_cast<std::uint32_t>(weights[j]) >> 23 & 0xFF] += static_cast<double>(weights[j]);
  std::size_t exponent = of_exponent.size() - 1;
  double above = of_exponent[exponent];
  while (exponent > 0 && (above < mass || above == 0.0)) above += of_exponent[--exponent];
  return std::bit_cast<float>(static_cast<std::uint32_t>(exponent) << 23);
}

// A weight that top_k tokens at least have: that of the highest of as many chunks, if there are as many.
float Sampler::bar_of_best(const float* weights, std::int64_t count) {
  tops_.clear();
  for (std::int64_t first = 0; first < count; first += kChunk)
    tops_.push_back(*std::max_element(weights + first, weights + std::min(count, first + kChunk)));
  if (options_.top_k > static_cast<std::int64_t>(tops_.size())) return 0.0f;
  const auto last = tops_.begin() + static_cast<std::ptrdiff_t>(options_.top_k - 1);
  std::nth_element(tops_.begin(), last, tops_.end(), std::greater<>());
  return *last;
}

}  // namespace rnn_engine::translate
