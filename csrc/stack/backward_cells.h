// The cells of a step in reverse: from dh and what forward kept to the gates' gradients, written over the
// gates, and dc.
#pragma once

#include "stack/backward_lane.h"
#include "stack/masks.h"

namespace rnn_engine {

template <class T>
class BackwardCells {
 public:
  BackwardCells(const Runner<T>& run, const GroupBackward<T>& scratch, const BackwardLane<T>& lane)
      : run_(run), scratch_(scratch), lane_(lane) {}

  void run(const Step& step, std::int64_t s, std::int64_t s0, std::int64_t row, const Region& mine) const {
    const Shape& shape = run_.shape();
    const std::int64_t H = lane_.size.H;
    for (std::int64_t b = mine.rows.begin; lane_.dc_output && b < mine.rows.end; ++b)
      for (std::int64_t j = mine.units.begin; j < mine.units.end; ++j)
        lane_.own.dc[b * H + j] += lane_.dc_output.at(row + b)[j];
    zone_out_cells(step, mine);
    // One vector of units at a time, or all of them; the rows of one group of sums at a time.
    const std::int64_t most = shape.cell.whole_rows ? H : run_.width(), group_rows = sum_group_rows(shape);
    for (std::int64_t unit = mine.units.begin; unit < mine.units.end; unit += most) {
      const Team::Range units{unit, std::min(mine.units.end, unit + most)};
      for (std::int64_t first = mine.rows.begin; first < mine.rows.end; first += group_rows) {
        const Team::Range group{first, std::min(mine.rows.end, first + group_rows)};
        lane_.for_each_c_before(step, s, s0, group, [&](Team::Range rows, const Value<T>* c_prev) {
          CellTile<Value<T>> cell = lane_.cell_tile(row, rows, units);
          cell.c_prev = c_prev + unit;
          cell.dh = scratch_.dh + rows.begin * H + unit;
          cell.dc = lane_.own.dc + rows.begin * H + unit;
          cell.dh_row = cell.dc_row = H;
          cell.sums = lane_.own.sums + first / group_rows * sums_size(shape, H) + unit;
          cell.work = scratch_.work + run_.team.id() * scratch_.work_size;
          run_cell(cell, row + rows.begin, unit);
        });
      }
    }
    for (std::int64_t b = mine.rows.begin; shape.zoneout_c > 0 && b < mine.rows.end; ++b)
      for (std::int64_t j = mine.units.begin; j < mine.units.end; ++j)
        lane_.own.dc[b * H + j] += scratch_.past_c[b * H + j];
  }

 private:
  // Of dc, what zoneout lets pass the step.
  void zone_out_cells(const Step& step, const Region& mine) const {
    const Shape& s = run_.shape();
    if (s.zoneout_c == 0) return;
    const std::int64_t H = lane_.size.H;
    ZoneoutRow<Value<T>> row =
        make_zoneout<Value<T>>(s, MaskKind::kZoneoutC, lane_.layer, lane_.direction, step.t);
    row.columns = mine.units.end - mine.units.begin;
    row.mask.first = mine.units.begin;
    for (std::int64_t b = mine.rows.begin; b < mine.rows.end; ++b) {
      row.mask.row = static_cast<std::uint32_t>(s.row_id(b));
      row.past = scratch_.past_c + b * H + mine.units.begin;
      row.value = lane_.own.dc + b * H + mine.units.begin;
      run_.cells.zoneout_backward(row);
    }
  }

  // The cell's kernel on rows from `row` on, over what was kept. Rounded gates are widened for it, as many
  // rows at a time as stay near.
  void run_cell(CellTile<Value<T>>& cell, std::int64_t row, std::int64_t unit) const {
    const Shape& s = run_.shape();
    const std::int64_t H = lane_.size.H, G = lane_.size.G;
    const auto kernel = run_.cells.cell_backward[s.cell_index];
    if constexpr (!kRounds<T>) {
      cell.a = lane_.a.at(row) + unit;
      cell.r = s.cell.split ? lane_.r.at(row) + unit : nullptr;
      cell.a_row = cell.r_row = G;
      kernel(cell);
    } else {
      const bool whole = s.cell.whole_rows;
      const std::int64_t stride = whole ? lane_.size.Z : run_.width(), rows = cell.rows;
      const std::int64_t most = whole ? kCellRows : std::max<std::int64_t>(1, H / run_.width());
      cell.a = scratch_.gates_a + run_.team.id() * scratch_.gates_size;
      cell.r = s.cell.split ? scratch_.gates_r + run_.team.id() * scratch_.gates_size : nullptr;
      cell.a_row = cell.r_row = stride;
      const auto widen_gates = [&](const Rows<T>& gates, Value<T>* wide, std::int64_t first) {
        run_.kernels.widen(
            {cell.rows, s.cell.gates, cell.units, H, gates.at(row + first) + unit, G, wide, stride});
      };
      const auto narrow_gates = [&](const Value<T>* wide, const Rows<T>& gates, std::int64_t first) {
        run_.kernels.narrow(
            {cell.rows, s.cell.gates, cell.units, H, wide, stride, gates.at(row + first) + unit, G});
      };
      for (std::int64_t first = 0; first < rows; first += most) {
        cell.rows = std::min(most, rows - first);
        widen_gates(lane_.a, cell.a, first);
        if (cell.r) widen_gates(lane_.r, cell.r, first);
        kernel(cell);
        narrow_gates(cell.a, lane_.a, first);
        if (cell.r) narrow_gates(cell.r, lane_.r, first);
        cell.c += cell.rows * H;
        cell.c_prev += cell.rows * H;
        cell.dh += cell.rows * H;
        cell.dc += cell.rows * H;
      }
    }
  }

  const Runner<T>& run_;
  const GroupBackward<T>& scratch_;
  const BackwardLane<T>& lane_;
};

}  // namespace rnn_engine
