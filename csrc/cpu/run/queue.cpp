#include "cpu/run/queue.h"

namespace rnn_engine {

std::int64_t TileQueue::next(std::int64_t last, const Team& group) {
  constexpr std::int64_t kWhileWaiting = 10'000;  // operations that a thread could have done
  for (Spin spin(group.pauses());; spin.wait()) {
    if (group.stopped(kWhileWaiting)) return -1;
    if (lock_.test_and_set(std::memory_order_acquire)) continue;
    if (last >= 0) ready_.complete(last);
    last = -1;
    const std::int64_t tile = ready_.take();
    const bool done = ready_.done();
    lock_.clear(std::memory_order_release);
    if (tile >= 0 || done) return tile;
  }
}

}  // namespace rnn_engine
