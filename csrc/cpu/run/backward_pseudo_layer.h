// One pseudo-layer of the backward call, a layer and direction: what it reads and writes, and where it finds
// the rows of its steps.
#pragma once

#include "cpu/run/common.h"
#include "plan/backward_pseudo_layer.h"

namespace rnn_engine {

template <class T>
struct BackwardPseudoLayer : BackwardRows<T, PseudoLayerBackward<T>> {
  using Found = BackwardRows<T, PseudoLayerBackward<T>>;
  using Found::h0, Found::h_before, Found::c0, Found::c_before, Found::stored;
  using Found::size, Found::direction, Found::weights, Found::wx, Found::uh, Found::c, Found::c_candidate, Found::h;
  const Shape& shape;
  const int k_group;

  BackwardPseudoLayer(const Plan& plan, const Found& found)
      : Found(found), shape(plan.shape), k_group(plan.machine.k_group) {}

  // c as the cell puts it out, before any zoneout.
  const RowWindow<Value<T>>& cell_c() const { return shape.zoneout_c > 0 ? c_candidate : c; }

  // Entries of `order` for steps [s0, s1).
  std::int64_t rows_from(std::int64_t s0, std::int64_t s1) const {
    if (k_group == 1) return s0 < s1 ? step_range(shape, direction, s0, s1).rows() : 0;
    std::int64_t count = 0;
    for (std::int64_t s = s0; s < s1; ++s) count += round_up(step_at(shape, direction, s).rows, k_group);
    return count;
  }

  // h before a sequence's row of step s.
  const T* state_before(const Step& step, std::int64_t s, std::int64_t s0, std::int64_t b) const {
    const std::int64_t R = size.R;
    if (h_before && s == s0 && s > 0) return h_before + b * R;
    return b < step.carried ? h.at(shape.offset(step.before) + b) : h0 + b * R;
  }

  // Calls visit(rows, c before them) for the parts of some rows of a step.
  template <class Visit>
  void for_each_c_before(const Step& step, std::int64_t s, std::int64_t s0, Team::Range mine,
                         const Visit& visit) const {
    const std::int64_t H = size.H;
    const auto part = [&](std::int64_t first, std::int64_t last, const Value<T>* states, std::int64_t first_state) {
      const Team::Range rows{std::max(first, mine.begin), std::min(last, mine.end)};
      if (rows.begin < rows.end) visit(rows, states + (rows.begin - first_state) * H);
    };
    if (!stored && s == s0 && s > 0) return part(0, step.rows, c_before, 0);
    if (step.carried) part(0, step.carried, c.at(shape.offset(step.before)), 0);
    part(step.carried, step.rows, c0, 0);
  }

  // Some rows of the step whose first row is `row`, and some units; wx and uh are the caller's to set.
  CellTile<T> cell_tile(std::int64_t row, Team::Range rows, Team::Range units) const {
    const std::int64_t H = size.H, first = row + rows.begin;
    CellTile<T> tile{};
    tile.rows = rows.end - rows.begin;
    tile.units = units.end - units.begin;
    tile.gate_stride = H;
    set_vectors(shape, weights, units.begin, tile);
    tile.c = cell_c().at(first) + units.begin;
    tile.c_prev_row = tile.c_row = H;
    return tile;
  }
};

}  // namespace rnn_engine
