#include "plan/ready_tiles.h"

#include <algorithm>
#include <bit>

namespace rnn_engine {

void ReadyTiles::start(std::int64_t begin, std::int64_t end) {
  std::fill(ready_.begin(), ready_.end(), 0);
  first_ = ready_.size();
  left_ = end - begin;
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const auto inputs = graph_.inputs.of(tile);
    waits_[static_cast<std::size_t>(tile)] = static_cast<std::int32_t>(inputs.size());
    if (inputs.empty()) add(tile);
  }
}

std::int64_t ReadyTiles::take() {
  for (; first_ < ready_.size(); ++first_) {
    std::uint64_t& word = ready_[first_];
    if (word == 0) continue;
    const std::size_t rank = first_ * 64 + static_cast<std::size_t>(std::countr_zero(word));
    word &= word - 1;
    return graph_.by_rank[rank];
  }
  return -1;
}

void ReadyTiles::complete(std::int64_t tile) {
  --left_;
  for (const std::int32_t next : graph_.successors.of(tile))
    if (--waits_[static_cast<std::size_t>(next)] == 0) add(next);
}

}  // namespace rnn_engine
