// The cells of a step in reverse: from dh and what forward kept to the gates' gradients, written over the
// gates, and dc.
#pragma once

#include "cpu/run/backward_pseudo_layer.h"
#include "cpu/run/masks.h"

namespace rnn_engine {

template <class T>
class BackwardCells {
 public:
  BackwardCells(const Runner<T>& run, const GroupBackward<T>& workspace, const BackwardPseudoLayer<T>& pseudo)
      : run_(run), workspace_(workspace), pseudo_(pseudo) {}

  void run(const Step& step, std::int64_t s, std::int64_t s0, std::int64_t row, const Region& mine) const {
    const Shape& shape = run_.shape();
    const std::int64_t H = pseudo_.size.H;
    for (std::int64_t b = mine.rows.begin; pseudo_.dc_output && b < mine.rows.end; ++b)
      for (std::int64_t j = mine.units.begin; j < mine.units.end; ++j)
        pseudo_.own.dc[b * H + j] += pseudo_.dc_output.at(row + b)[j];
    zone_out_cells(step, mine);
    // One vector of units at a time, or all of them; the rows of one block of sums at a time.
    const std::int64_t most = shape.cell.whole_rows ? H : run_.width(), block_rows = row_block(shape);
    for (std::int64_t unit = mine.units.begin; unit < mine.units.end; unit += most) {
      const Team::Range units{unit, std::min(mine.units.end, unit + most)};
      for (std::int64_t first = mine.rows.begin; first < mine.rows.end; first += block_rows) {
        const Team::Range block{first, std::min(mine.rows.end, first + block_rows)};
        pseudo_.for_each_c_before(step, s, s0, block, [&](Team::Range rows, const Value<T>* c_prev) {
          CellTile<T> cell = pseudo_.cell_tile(row, rows, units);
          cell.c_prev = c_prev + unit;
          cell.dh = workspace_.dh + rows.begin * H + unit;
          cell.dc = pseudo_.own.dc + rows.begin * H + unit;
          cell.dh_row = cell.dc_row = H;
          cell.sums = pseudo_.own.sums + first / block_rows * sums_size(shape, H) + unit;
          cell.work = workspace_.work + run_.team.id() * workspace_.work_size;
          cell.gates_wx = pseudo_.wx.at(row + rows.begin) + unit;
          cell.gates_uh = shape.cell.split ? pseudo_.uh.at(row + rows.begin) + unit : nullptr;
          cell.gates_row = pseudo_.size.G;
          run_.kernels.cell_backward[shape.cell_index](cell);
        });
      }
    }
    for (std::int64_t b = mine.rows.begin; shape.zoneout_c > 0 && b < mine.rows.end; ++b)
      for (std::int64_t j = mine.units.begin; j < mine.units.end; ++j)
        pseudo_.own.dc[b * H + j] += workspace_.past_c[b * H + j];
  }

 private:
  // Of dc, what zoneout lets pass the step.
  void zone_out_cells(const Step& step, const Region& mine) const {
    const Shape& s = run_.shape();
    if (s.zoneout_c == 0) return;
    const std::int64_t H = pseudo_.size.H;
    ZoneoutRow<Value<T>> row =
        make_zoneout<Value<T>>(run_, MaskKind::kZoneoutC, pseudo_.layer, pseudo_.direction, step.t);
    row.columns = mine.units.end - mine.units.begin;
    row.mask.first = mine.units.begin;
    for (std::int64_t b = mine.rows.begin; b < mine.rows.end; ++b) {
      row.mask.row = row_id(run_.masks, b);
      row.past = workspace_.past_c + b * H + mine.units.begin;
      row.value = pseudo_.own.dc + b * H + mine.units.begin;
      run_.cells.zoneout_backward(row);
    }
  }

  const Runner<T>& run_;
  const GroupBackward<T>& workspace_;
  const BackwardPseudoLayer<T>& pseudo_;
};

}  // namespace rnn_engine
