#include "translate/word_products.h"

#include <algorithm>
#include <new>

namespace rnn_engine::translate {
namespace {

constexpr std::int64_t kMostBytes = 8 << 20;  // beyond it the next words are rare
constexpr std::int64_t kTogether = 64;        // words multiplied at once

}  // namespace

void WordProducts::look_up(const Linear& product, std::int64_t count, const std::int32_t* words,
                           const float** rows) const {
  thread_local std::vector<std::int64_t> missing;
  thread_local Buffer vectors, products;
  thread_local std::vector<Row> rare;  // there was no room for
  rare.clear();
  const std::int64_t E = table_->width();
  for (std::int64_t next = 0; next < count;) {
    missing.clear();
    for (; next < count && static_cast<std::int64_t>(missing.size()) < kTogether; ++next) {
      rows[next] = kept_[static_cast<std::size_t>(words[next])].load(std::memory_order_acquire);
      if (!rows[next]) missing.push_back(next);
    }
    if (missing.empty()) continue;
    float *x = vectors.at_least(kTogether * E), *y = products.at_least(kTogether * width_);
    for (const std::int64_t i : missing) {
      table_->look_up(words[i], x);
      x += E;
    }
    product.apply(static_cast<std::int64_t>(missing.size()), vectors.data(), E, y, width_);
    for (const std::int64_t i : missing) {
      rows[i] = keep(words[i], y, rare);
      y += width_;
    }
  }
}

const float* WordProducts::keep(std::int32_t word, const float* values, std::vector<Row>& rare) const {
  Row row = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(width_));
  std::copy_n(values, width_, row.get());
  std::lock_guard held(lock_);
  std::atomic<const float*>& place = kept_[static_cast<std::size_t>(word)];
  if (const float* other = place.load(std::memory_order_relaxed)) return other;
  const auto bytes = static_cast<std::int64_t>(sizeof(float)) * width_;
  const bool room = static_cast<std::int64_t>(rows_.size() + 1) * bytes <= kMostBytes;
  if (room) place.store(row.get(), std::memory_order_release);
  return (room ? rows_ : rare).emplace_back(std::move(row)).get();
}

}  // namespace rnn_engine::translate
