#include "translate/word_products.h"

#include <algorithm>
#include <new>

namespace rnn_engine::translate {
namespace {

constexpr std::int64_t kMostBytes = 8 << 20;  // beyond it the next words are rare
// Products are kept in blocks of so many bytes or a little more: thousands of small ones would leave gaps in the heap
// of whoever goes on to do something else, as training does.
constexpr std::int64_t kBlockBytes = 1 << 20;
constexpr std::int64_t kTogether = 64;  // words multiplied at once

}  // namespace

void WordProducts::look_up(const Linear& product, std::int64_t count, const std::int32_t* words,
                           const float** rows) const {
  thread_local std::vector<std::int64_t> missing;
  thread_local Buffer vectors, products;
  thread_local std::vector<Values> rare;  // there was no room for
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

const float* WordProducts::keep(std::int32_t word, const float* values, std::vector<Values>& rare) const {
  const auto bytes = static_cast<std::int64_t>(sizeof(float)) * width_;
  const std::int64_t each = std::min((kBlockBytes + bytes - 1) / bytes, table_->rows());
  std::lock_guard held(lock_);
  std::atomic<const float*>& place = kept_[static_cast<std::size_t>(word)];
  if (const float* other = place.load(std::memory_order_relaxed)) return other;
  const auto new_values = [this](std::int64_t products) {
    return std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(products * width_));
  };
  if ((kept_count_ + 1) * bytes > kMostBytes) {
    float* row = rare.emplace_back(new_values(1)).get();
    std::copy_n(values, width_, row);
    return row;
  }
  if (kept_count_ % each == 0) blocks_.push_back(new_values(each));
  float* row = blocks_.back().get() + kept_count_++ % each * width_;
  std::copy_n(values, width_, row);
  place.store(row, std::memory_order_release);
  return row;
}

}  // namespace rnn_engine::translate
