// What forward and backward share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/pool.h"
#include "cpu/kernels/kernels.h"
#include "cpu/plan.h"
#include "plan/views.h"

namespace rnn_engine {

// The plan and what runs it, for one thread.
template <class T>
struct Runner {
  Team& team;
  const Plan& plan;
  const rnn_engine_masks& masks;
  const Kernels<T>& kernels;
  const Kernels<Value<T>>& cells;

  const Shape& shape() const { return plan.shape; }
  int width() const { return plan.machine.width; }
  // This thread's hidden units, in vectors, and its columns of h.
  Team::Range unit_tiles(std::int64_t H) const { return team.share((H + width() - 1) / width()); }
  Team::Range columns(std::int64_t count) const { return team.share(count, width()); }
};

// Some rows of a step, and some hidden units of them: what one thread's cells work on.
struct Region {
  Team::Range rows, units;
};

// This thread's share of some steps: the rows of them.
template <class T>
Team::Range own_rows(const Runner<T>& run, const StepRange& range) {
  const Team::Range steps = run.team.share(range.t1 - range.t0);
  return {run.shape().offset(range.t0 + steps.begin), run.shape().offset(range.t0 + steps.end)};
}

// The vectors of a cell from hidden unit `unit` on.
template <class T>
void set_vectors(const Shape& s, const Weights<T>& weights, std::int64_t unit, CellTile<T>& cell) {
  const auto from = [&](const Value<T>* vector) { return vector ? vector + unit : nullptr; };
  for (int e = 0; e < s.cell.vectors(); ++e) cell.vector_params[e] = from(weights.vector_params[e]);
  cell.bias_ih = from(weights.bias_ih);
  cell.bias_hh = from(weights.bias_hh);
}

// What begins the recurrent product of a cell that gets it by itself.
template <class T>
const Value<T>* recurrent_bias(const Shape& s, const Weights<T>& weights) {
  return s.cell.adds_bias ? nullptr : weights.bias_hh;
}

// Rounds what the cells left to what is stored: all gates (parts = 4) or one value of a region.
template <class T>
void narrow_units(const Runner<T>& run, const Region& region, std::int64_t H, int parts, const Value<T>* from,
                  std::int64_t from_row, T* to, std::int64_t to_row) {
  if (!to) return;
  const std::int64_t row = region.rows.begin, unit = region.units.begin;
  run.kernels.narrow({region.rows.end - row, parts, region.units.end - unit, H, from + row * from_row + unit, from_row,
                      to + row * to_row + unit, to_row});
}

}  // namespace rnn_engine
