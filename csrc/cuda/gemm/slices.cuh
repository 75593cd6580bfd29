// How long a slice's sentences are: lengths out of bounds are taken for the nearest within, as nobody looks at them.
#pragma once

#include "cuda/gemm/item_products.h"

namespace rnn_engine::cuda {

__device__ inline std::int64_t source_length(const Slice& s, std::int64_t b) {
  const std::int64_t length = s.source_lengths ? s.source_lengths[b] : s.source_steps;
  return length < 1 ? 1 : length < s.source_steps ? length : s.source_steps;
}
__device__ inline std::int64_t target_length(const Slice& s, std::int64_t b) {
  const std::int64_t length = s.target_lengths ? s.target_lengths[b] : s.steps;
  return length < 0 ? 0 : length < s.steps ? length : s.steps;
}
// Of the slice's own steps.
__device__ inline std::int64_t target_rows(const Slice& s, std::int64_t b) {
  const std::int64_t left = target_length(s, b) - s.first_step;
  return left < 0 ? 0 : left < s.rows ? left : s.rows;
}

}  // namespace rnn_engine::cuda
