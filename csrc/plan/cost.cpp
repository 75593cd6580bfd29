#include "plan/cost.h"

#include <algorithm>

#include "plan/schedule.h"

namespace rnn_engine {

double predicted_seconds(const Shape& s, const Schedule& schedule, std::size_t value_bytes,
                         const Costs& costs) {
  double seconds = 0;
  const double rows = static_cast<double>(s.N), value = static_cast<double>(value_bytes);
  const std::int64_t at_once = std::max<std::int64_t>(1, s.N / s.T);  // rows of an average step
  const std::int64_t K = schedule.backward_steps;
  const double pieces = static_cast<double>((s.T + K - 1) / K);
  for (std::int64_t layer = 0; layer < s.L; ++layer) {
    const LayerShape& size = s.layer(layer);
    const double H = static_cast<double>(size.H), I = static_cast<double>(size.I),
                 R = static_cast<double>(size.R);
    const double gates = s.cell.gates, input = 2 * gates * rows * H * I, recurrent = 2 * gates * rows * H * R;
    const double projection = s.projected ? 2 * rows * H * R : 0;
    const double cells = rows * H;
    const auto forward = [&](std::int64_t steps, std::int64_t recurrent_rows) {
      return input / costs.rate(steps * at_once) + (recurrent + projection) / costs.rate(recurrent_rows) +
             cells * costs.cell_forward;
    };
    double lane = forward(schedule.forward_steps, at_once);
    if (s.training) {
      lane += (recurrent + projection) / costs.rate(at_once) + cells * costs.cell_backward;
      lane += (2 * input + recurrent + projection) / costs.rate(K * at_once);
      // Every piece reads and writes the weights' gradients.
      lane += pieces * 2 * value * gates * H * (I + R) / costs.memory_rate;
      if (schedule.of(layer) == Policy::kRecompute) lane += forward(K, K * at_once);
      if (schedule.of(layer) == Policy::kCheckpoint) lane += forward(schedule.forward_steps, at_once);
    }
    seconds += lane * static_cast<double>(s.D);
  }
  return seconds;
}

}  // namespace rnn_engine
