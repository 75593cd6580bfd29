#include "translate/word_products.h"

#include <algorithm>
#include <new>

namespace rnn_engine::translate {
namespace {

constexpr std::int64_t kMostBytes = 8 << 20;  // beyond it the next words are rare

}  // namespace

void WordProducts::look_up(const Linear& product, std::int64_t count, const std::int32_t* words,
                           const float** rows) const {
  thread_local std::vector<std::int64_t> missing;
  thread_local Buffer vectors, made;
  missing.clear();
  for (std::int64_t i = 0; i < count; ++i) {
    rows[i] = kept_[static_cast<std::size_t>(words[i])].load(std::memory_order_acquire);
    if (!rows[i]) missing.push_back(i);
  }
  if (missing.empty()) return;
  const auto size = static_cast<std::int64_t>(missing.size()), E = table_->width();
  float* x = vectors.at_least(size * E);
  for (std::int64_t row = 0; row < size; ++row)
    table_->look_up(words[missing[static_cast<std::size_t>(row)]], x + row * E);
  float* products = made.at_least(size * width_);
  product.apply(size, x, E, products, width_);
  for (std::int64_t row = 0; row < size; ++row) {
    const std::int64_t i = missing[static_cast<std::size_t>(row)];
    rows[i] = products + row * width_;
    keep(words[i], rows[i]);
  }
}

void WordProducts::keep(std::int32_t word, const float* values) const {
  std::lock_guard held(lock_);
  std::atomic<const float*>& place = kept_[static_cast<std::size_t>(word)];
  const auto bytes = static_cast<std::int64_t>(sizeof(float)) * width_;
  if (place.load(std::memory_order_relaxed) || static_cast<std::int64_t>(rows_.size() + 1) * bytes > kMostBytes) return;
  auto row = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(width_));
  std::copy_n(values, width_, row.get());
  place.store(row.get(), std::memory_order_release);
  rows_.push_back(std::move(row));
}

}  // namespace rnn_engine::translate
