// Which masks a problem draws. Masks are never kept: an element's is a function of (seed, kind, layer, direction, step,
// the caller's row, column), and so the same in forward and backward, whatever the batch, on the CPU and on a GPU.
//
// Philox' counter is (column / 4, row, step, site), and its four words are those of four columns. A mask
// marks a value whose word is below its threshold: dropped, or staying as it was.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/philox.h"
#include "plan/shape.h"

namespace rnn_engine {

enum class MaskKind : std::uint32_t {
  kLayer = 0,
  kRecurrent = 1,
  kZoneoutC = 2,
  kZoneoutH = 3,
  kAttention = 4,
  kLinear = 5,
  kValues = 6,
  kRows = 7
};

struct MaskSite {
  std::uint32_t site, threshold;
};

inline MaskSite make_mask_site(MaskKind kind, std::int64_t layer, std::int64_t direction, double probability) {
  MaskSite mask{};
  mask.site = static_cast<std::uint32_t>(kind) << 28 | static_cast<std::uint32_t>(direction) << 24 |
              static_cast<std::uint32_t>(layer);
  mask.threshold = static_cast<std::uint32_t>(std::min(probability * 4294967296.0, 4294967295.0));
  return mask;
}

inline MaskSite zoneout_site(const Shape& s, MaskKind kind, std::int64_t layer, std::int64_t direction) {
  if (s.cell.single_state) kind = MaskKind::kZoneoutH;  // c is h
  return make_mask_site(kind, layer, direction, kind == MaskKind::kZoneoutC ? s.zoneout_c : s.zoneout_h);
}

inline PhiloxKey key_of(const rnn_engine_masks& masks) {
  return {static_cast<std::uint32_t>(masks.seed), static_cast<std::uint32_t>(masks.seed >> 32)};
}

// The caller's index of sequence b.
inline std::uint32_t row_id(const rnn_engine_masks& masks, std::int64_t b) {
  return static_cast<std::uint32_t>(masks.row_ids ? masks.row_ids[b] : b);
}

template <class T>
T dropout_scale(double probability) {
  return probability < 1 ? static_cast<T>(1 / (1 - probability)) : T(0);
}

}  // namespace rnn_engine
