// One lane of the backward call, a layer and direction: what it reads and writes, and where it finds the rows
// of its steps.
#pragma once

#include "stack/common.h"

namespace rnn_engine {

template <class T>
struct BackwardLane {
  const Shape& shape;
  const LayerShape& size;
  std::int64_t layer, direction;
  Weights<T> weights;
  Weights<Value<T>> gradients;
  LaneBackward<T> own;
  Rows<const T> input;
  Rows<T> a, r, raw;  // kept or made again; gradients are written over a and r (= a unless split)
  Rows<Value<T>> c, cell;
  Rows<const T> h;                 // from this direction's first unit
  Rows<const T> dy;                // or empty: zeros
  Rows<const Value<T>> dc_output;  // the same
  Rows<T> dx;                      // or empty: not wanted
  // Of h [B, R], of c [B, H]: states, their gradients (dhn, dcn nullptr: zeros; dh0, dc0 nullptr: not
  // wanted), and the states before the piece, where they are not in c and h.
  const T *h0 = nullptr, *dhn = nullptr, *h_before = nullptr;
  const Value<T>* c0 = nullptr;
  const Value<T>* dcn = nullptr;
  const Value<T>* c_before = nullptr;
  T* dh0 = nullptr;
  Value<T>* dc0 = nullptr;
  bool kept = false;  // a, r, c and h hold all rows, not just the piece's

  BackwardLane(const Shape& s, const Tile& tile, const Weights<T>& w, const Weights<Value<T>>& g,
               const LaneBackward<T>& scratch)
      : shape(s),
        size(s.layer(tile.layer)),
        layer(tile.layer),
        direction(tile.direction),
        weights(w),
        gradients(g),
        own(scratch) {}

  Rows<T> dr() const { return shape.cell.split ? r : a; }

  // c as the cell puts it out, before any zoneout.
  const Rows<Value<T>>& cell_c() const { return shape.zoneout_c > 0 ? cell : c; }

  // Entries of `order` for steps [s0, s1).
  std::int64_t rows_from(std::int64_t s0, std::int64_t s1) const {
    if (kGroup<T> == 1) return s0 < s1 ? span_of(shape, direction, s0, s1).rows() : 0;
    std::int64_t count = 0;
    for (std::int64_t s = s0; s < s1; ++s) count += round_up(step_at(shape, direction, s).rows, kGroup<T>);
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
    const auto part = [&](std::int64_t first, std::int64_t last, const Value<T>* states,
                          std::int64_t first_state) {
      const Team::Range rows{std::max(first, mine.begin), std::min(last, mine.end)};
      if (rows.begin < rows.end) visit(rows, states + (rows.begin - first_state) * H);
    };
    if (!kept && s == s0 && s > 0) return part(0, step.rows, c_before, 0);
    if (step.carried) part(0, step.carried, c.at(shape.offset(step.before)), 0);
    part(step.carried, step.rows, c0, 0);
  }

  // Some rows of the step whose first row is `row`, and some units; a and r are the caller's to set.
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
