#include "cuda/streams.h"

#include <algorithm>

namespace rnn_engine::cuda {

// Weights' gradients have a stream of their own, as nothing waits for them; an input gradient is on the
// stream of the pseudo-layer below, which reads it.
std::int64_t TileStreams::stream_of(std::int64_t tile) const {
  const Tile& t = plan_.tiles.at(tile);
  const std::int64_t pseudo = t.layer * plan_.shape.D + t.direction, aside = plan_.schedule.thread_groups;
  if (t.kind == TileKind::kWeightGradients) return aside;
  if (t.kind != TileKind::kInputGradient) return pseudo % plan_.schedule.thread_groups;
  return t.layer == 0 ? aside : (pseudo - plan_.shape.D) % plan_.schedule.thread_groups;
}

void TileStreams::fork() {
  Event& begun = event_of_stream(0);
  begun.record(caller_);
  for (std::int64_t i = 0; i < count(); ++i) begun.hold(side_.stream(i));
}

void TileStreams::begin(std::int64_t tile) {
  for (const std::int32_t input : plan_.graph->inputs.of(tile))
    if (is_elsewhere(input, tile)) event_of(input).hold(side_.stream(stream_of(tile)));
}

void TileStreams::finish(std::int64_t tile) {
  const auto successors = plan_.graph->successors.of(tile);
  const bool awaited =
      std::any_of(successors.begin(), successors.end(), [&](std::int32_t next) { return is_elsewhere(next, tile); });
  if (awaited) event_of(tile).record(side_.stream(stream_of(tile)));
}

void TileStreams::join() {
  for (std::int64_t i = 0; i < count(); ++i) {
    event_of_stream(i).record(side_.stream(i));
    event_of_stream(i).hold(caller_);
  }
}

}  // namespace rnn_engine::cuda
