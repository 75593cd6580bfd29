// What a first layer makes of its words: W x of a word is the same whenever it comes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "translate/linear.h"
#include "translate/table.h"

namespace rnn_engine::translate {

// Keeps the products of the words that come first, which are the frequent ones, until its memory is full. May be shared
// by threads.
class WordProducts {
 public:
  WordProducts(std::shared_ptr<const Table> table, std::int64_t width) : table_(std::move(table)), width_(width) {}

  // Where W x + b of each word lies, [width], until this thread calls again. `product` has `width` columns, and is the
  // same in every call.
  void look_up(const Linear& product, std::int64_t count, const std::int32_t* words, const float** rows) const;

 private:
  using Values = std::unique_ptr<float[]>;

  // Copies a product, among the rare ones if there is no room; returns where it lies now.
  const float* keep(std::int32_t word, const float* values, std::vector<Values>& rare) const;

  std::shared_ptr<const Table> table_;
  std::int64_t width_;
  mutable std::mutex lock_;
  mutable std::vector<Values> blocks_;  // each of as many products as fit; all full but the last
  mutable std::int64_t kept_count_ = 0;
  mutable std::vector<std::atomic<const float*>> kept_{static_cast<std::size_t>(table_->rows())};  // by word
};

}  // namespace rnn_engine::translate
