// What work costs on this machine, and what a schedule costs by it. The figures are measured once for a
// context (stack/calibrate.cpp); the planner only compares with them.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace rnn_engine {

struct Costs {
  static constexpr int kClasses = 5;            // rows of a product: 1, 4, 16, 64, 256
  std::array<double, kClasses> product_rate{};  // floating-point operations a second, all threads
  double cell_forward = 0, cell_backward = 0;   // seconds a hidden unit and row, all threads
  double memory_rate = 0;                       // bytes a second
  bool measured() const { return memory_rate > 0; }

  // Operations a second of a product with this many rows, between the measured classes on a log scale.
  double rate(std::int64_t rows) const {
    const double place = std::log2(static_cast<double>(rows < 1 ? 1 : rows)) / 2;
    const int below = static_cast<int>(place);
    if (below >= kClasses - 1) return product_rate[kClasses - 1];
    const double share = place - below;
    return product_rate[static_cast<std::size_t>(below)] * (1 - share) +
           product_rate[static_cast<std::size_t>(below) + 1] * share;
  }
};

struct Shape;
struct Schedule;
// Seconds of one call: forward, and backward too in training.
double predicted_seconds(const Shape& shape, const Schedule& schedule, std::size_t value_bytes,
                         const Costs& costs);

}  // namespace rnn_engine
