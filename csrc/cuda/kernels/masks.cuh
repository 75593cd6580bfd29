// Masks, zoneout and dropout of single values.
#pragma once

#include "cuda/kernels/kernels.h"

namespace rnn_engine::cuda {

__device__ inline std::uint32_t row_id(const std::uint32_t* row_ids, std::int32_t b) {
  return row_ids ? row_ids[b] : static_cast<std::uint32_t>(b);
}

// Of the caller's row.
__device__ inline bool marked(const PhiloxKey& key, const MaskSite& site, std::uint32_t row, std::uint32_t step,
                              std::int64_t column) {
  const PhiloxWords words = philox({{static_cast<std::uint32_t>(column / 4), row, step, site.site}}, key);
  // Without an index that is only known at run time the words stay in registers.
  const int i = static_cast<int>(column % 4);
  const std::uint32_t word = i == 0 ? words.word[0] : i == 1 ? words.word[1] : i == 2 ? words.word[2] : words.word[3];
  return word < site.threshold;
}

template <class S>
__device__ inline bool marked(const Draw<S>& draw, std::int32_t b, std::int64_t column) {
  return marked(*draw.key, draw.site, row_id(draw.row_ids, b), draw.step, column);
}

// How much of a value stays as it was.
template <class S>
__device__ inline S stays(const Draw<S>& draw, std::int32_t b, std::int64_t column) {
  if (!draw.drawn) return draw.share;
  return marked(draw, b, column) ? S(1) : S(0);
}

template <class S>
__device__ inline S zone_out(const Draw<S>& draw, std::int32_t b, std::int64_t column, S before, S next) {
  const S s = stays(draw, b, column);
  return s * before + (S(1) - s) * next;
}

// What dropout multiplies a value by.
template <class S>
__device__ inline S dropout_factor(const Draw<S>& draw, std::int32_t b, std::int64_t column, S scale) {
  return (marked(draw, b, column) ? S(0) : S(1)) * scale;
}

}  // namespace rnn_engine::cuda
