#include "cuda/cost.h"

namespace rnn_engine::cuda {
namespace {

// From one kernel of a step to the next, and kernels of a step.
constexpr double kLaunch = 3e-6, kKernels = 2;

// Operations a second: half of the peak.
double rate_of(const Shape& shape, const DeviceFacts& device) {
  const double each = shape.dtype == RNN_ENGINE_FLOAT32   ? 256
                      : shape.dtype == RNN_ENGINE_FLOAT64 ? 128
                                                          : 2048;  // of a multiprocessor and a clock
  return each * device.processors * device.clock / 2;
}

}  // namespace

// What a step waits for, its tiles beside one another do not share; the rate of operations they do.
double tile_seconds(const Shape& shape, const Schedule& schedule, const Tile& tile, const DeviceFacts& device) {
  const LayerShape& size = shape.layer(tile.layer);
  const auto steps = static_cast<double>(tile.s1 - tile.s0);
  const double rows = steps * static_cast<double>(shape.N) / static_cast<double>(shape.T);
  const double second = rate_of(shape, device) / static_cast<double>(schedule.thread_groups);
  const double each = 2 * rows * static_cast<double>(size.Z) / second;
  const double input = each * static_cast<double>(size.I), state = each * static_cast<double>(size.R);
  const double recurrence = steps * kKernels * kLaunch + 2 * state;  // small products run at half the rate
  switch (tile.kind) {
    case TileKind::kForward:
    case TileKind::kReplay:
      return input + recurrence;
    case TileKind::kBackward: {
      const Policy policy = schedule.of(tile.layer);
      const double again = policy == Policy::kRecompute ? input + state : 0;
      const double gradients = policy == Policy::kStore ? 0 : 2 * input + state;
      return recurrence + again + gradients;
    }
    case TileKind::kWeightGradients:
      return input + state;
    case TileKind::kInputGradient:
      return input;
  }
  return 0;
}

double layers_seconds(const Shape& shape, const Schedule& schedule, const DeviceFacts& device) {
  double seconds = 0;
  for (std::int64_t layer = 0; layer < shape.L; ++layer) {
    const auto all = [&](TileKind kind) { return tile_seconds(shape, schedule, {kind, layer, 0, 0, shape.T}, device); };
    double pseudo = all(TileKind::kForward);
    if (shape.training) pseudo += all(TileKind::kBackward);
    if (shape.training && schedule.checkpoint()) pseudo += all(TileKind::kReplay);
    if (shape.training && schedule.of(layer) == Policy::kStore)
      pseudo += all(TileKind::kWeightGradients) + all(TileKind::kInputGradient);
    seconds += static_cast<double>(shape.D) * pseudo;
  }
  return seconds;
}

}  // namespace rnn_engine::cuda
