// What work costs, and what tiles and schedules cost by it.
//
// A plan must be the same in every process, on a machine that is busy or idle: memory follows from it. So the planner
// compares with costs that are typical of a kind of processor, constants, and nothing that is measured changes a plan.
// How much faster or slower than that a machine is, is one number (cpu/speed.h), by which predicted times are divided.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "cells/table.h"

namespace rnn_engine {

struct Machine;
struct Schedule;
struct Shape;
struct Tile;

// All rates are those of one thread while all others do the same, each on its own data.
struct Costs {
  static constexpr int kRows = 5;   // rows of a product: 1, 4, 16, 64, 256
  static constexpr int kSizes = 2;  // bytes of its right-hand side: what a near cache holds, and more
  static constexpr double kNear = 384 << 10, kFar = 3 << 20;
  std::array<std::array<double, kRows>, kSizes> product_rate;  // floating-point operations a second
  std::array<double, kCells> cell_forward, cell_backward;      // seconds a hidden unit and row
  double memory_rate;                                          // bytes a second
  // Seconds that threads lose in a step that they share, for each square root of a byte that they write for
  // each other in it: waiting, and reading what has just been written elsewhere, where more can be fetched
  // ahead the more there is.
  double barrier_cost;

  // Operations a second of a product, between the measured classes on a log scale.
  double rate(double rows, double bytes) const {
    const double size = std::clamp(std::log2(bytes / kNear) / std::log2(kFar / kNear), 0.0, 1.0);
    return of_rows(product_rate[0], rows) * (1 - size) + of_rows(product_rate[1], rows) * size;
  }

 private:
  static double of_rows(const std::array<double, kRows>& rates, double rows) {
    const double place = std::clamp(std::log2(std::max(rows, 1.0)) / 2, 0.0, kRows - 1.0);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min<std::size_t>(below + 1, kRows - 1);
    const double share = place - static_cast<double>(below);
    return rates[below] * (1 - share) + rates[above] * share;
  }
};

// Of processors with vectors as wide as the machine's.
Costs typical_costs(const Machine& machine, int dtype);

// Seconds of a tile on one group of threads; its rows are taken to be as many in each step.
double tile_seconds(const Shape& shape, const Machine& machine, const Schedule& schedule, const Tile& tile,
                    const Costs& costs);

// Seconds of one call, and of backward too in training, with one group of threads.
double predicted_seconds(const Shape& shape, const Machine& machine, const Schedule& schedule, const Costs& costs);

// Whether a call is over before sleeping threads have woken up, so that its caller had better do it alone.
bool is_brief(const Shape& shape, bool in_backward);

}  // namespace rnn_engine
