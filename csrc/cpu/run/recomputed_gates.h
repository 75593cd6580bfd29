// The gates of a piece of K steps that were not kept, in large products over all of its rows, and c by
// running the cells alone: the same chains of operations as forward's, so the same bits.
#pragma once

#include "cpu/gemm/large.h"
#include "cpu/run/backward_pseudo_layer.h"

namespace rnn_engine {

template <class T>
class RecomputedGates {
 public:
  RecomputedGates(const Runner<T>& run, const GroupBackward<T>& workspace, const BackwardPseudoLayer<T>& pseudo)
      : run_(run), workspace_(workspace), pseudo_(pseudo) {}

  // The gates of the whole piece in two large products, and c by running the cells alone: the same chains of
  // operations as forward's, so the same bits. A thread that owns units does all of it for some of them while
  // their gates are in the second cache.
  void make(const RowWindow<const T>& input, std::int64_t s0, std::int64_t s1) const {
    const Shape& shape = run_.shape();
    const StepRange range = step_range(shape, pseudo_.direction, s0, s1);
    const std::int64_t H = pseudo_.size.H, width = run_.width(), count = (H + width - 1) / width;
    const Team::Range mine = run_.unit_tiles(H);
    const auto units = [&](std::int64_t p) { return Team::Range{p * width, std::min(H, (p + 1) * width)}; };
    const bool alone = gates_by_units(run_.team, count), whole = shape.cell.whole_rows;
    for (std::int64_t p = mine.begin; alone && p < mine.end; ++p) {
      gate_products(input, range, {p, p + 1}, true);
      if (!whole) make_cells(s0, s1, {{0, shape.B}, units(p)});
    }
    if (!alone) gate_products(input, range, {0, count}, false);
    if (alone && !whole) return;
    run_.team.barrier();
    if (whole) return make_cells(s0, s1, {run_.team.share(shape.B), {0, H}});
    for (std::int64_t p = mine.begin; p < mine.end; ++p) make_cells(s0, s1, {{0, shape.B}, units(p)});
  }

 private:
  // c of some sequences and units, and their gates from their sums.
  void make_cells(std::int64_t s0, std::int64_t s1, const Region& mine) const {
    const Shape& s = run_.shape();
    const StepRange range = step_range(s, pseudo_.direction, s0, s1);
    const RowWindow<Value<T>> wx = products(pseudo_.wx, workspace_.piece_wx, range, pseudo_.size);
    const RowWindow<Value<T>> uh = products(pseudo_.uh, workspace_.piece_uh, range, pseudo_.size);
    for (std::int64_t step = s0; step < s1; ++step) {
      const Step at = step_at(s, pseudo_.direction, step);
      const std::int64_t row = s.offset(at.t);
      pseudo_.for_each_c_before(at, step, s0, mine.rows, [&](Team::Range rows, const Value<T>* c_prev) {
        const std::int64_t H = pseudo_.size.H;
        CellTile<T> cell = pseudo_.cell_tile(row, rows, mine.units);
        const std::int64_t first = row + rows.begin, unit = mine.units.begin;
        cell.wx = wx.at(first) + unit;
        cell.gates_wx = pseudo_.wx.at(first) + unit;
        if (s.cell.split) {
          cell.uh = uh.at(first) + unit;
          cell.gates_uh = pseudo_.uh.at(first) + unit;
        }
        cell.product_row = cell.gates_row = pseudo_.size.G;
        cell.c_prev = c_prev + unit;
        cell.c = pseudo_.cell_c().at(first) + unit;
        cell.h = s.projected ? pseudo_.h_unprojected.at(first) + unit : nullptr;  // else it was kept
        cell.h_row = H;
        cell.work = workspace_.dh + mine.rows.begin * H;
        run_.kernels.cell_forward[s.cell_index](cell);
        if (s.zoneout_c > 0)
          zone_out_c(run_, pseudo_.layer, pseudo_.direction, at.t, {rows, mine.units}, cell.c_prev, cell.c,
                     pseudo_.c.at(first) + unit);
      });
    }
  }

  // Where the products of a piece grow whose gates are recomputed: in the place of the gates, unless those are rounded.
  RowWindow<Value<T>> products(const RowWindow<T>& gates, Value<T>* unrounded, const StepRange& range,
                               const LayerShape& size) const {
    if constexpr (kRounds<T>)
      return {unrounded, range.row0, size.G};
    else
      return gates;
  }

  T* pack_gates() const { return workspace_.pack_gates + run_.team.id() * workspace_.pack_gates_size; }

  // W x and U h' of all steps of the piece, for some tiles of units: all rows of them if no other thread has these
  // tiles (`alone`), else this thread's share. The U products are as few as the rows' neighbours in memory allow.
  void gate_products(const RowWindow<const T>& input, const StepRange& range, Team::Range tiles, bool alone) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo_.size;
    const RowWindow<Value<T>> wx = products(pseudo_.wx, workspace_.piece_wx, range, size);
    const RowWindow<Value<T>> out = s.cell.split ? products(pseudo_.uh, workspace_.piece_uh, range, size) : wx;
    const auto multiply = [&](const GateProduct<T>& p, const T* weight) {
      const Team::Range rows = alone ? Team::Range{0, p.rows} : run_.team.share(p.rows, kRowBlock);
      multiply_gates_large(run_, p, weight, pack_gates(), {tiles, rows});
    };
    multiply({s.cell.gates, range.rows(), size.I, size.H, size.G, input.at(range.row0), input.stride, nullptr,
              pseudo_.own.bias, false, wx.at(range.row0)},
             pseudo_.weights.weight_ih);
    if (!alone) run_.team.barrier();  // its shares of rows are others than those below
    if (s.recurrent_dropout > 0)
      return multiply({s.cell.gates, range.rows(), size.R, size.H, size.G, workspace_.h_dropped, size.R, nullptr,
                       recurrent_bias(s, pseudo_.weights), !s.cell.split, out.at(range.row0)},
                      pseudo_.weights.weight_hh);
    struct {
      std::int64_t row, rows;
      const T* h;
      std::int64_t stride;
    } run{0, 0, nullptr, 0};
    const auto flush = [&] {
      if (run.rows > 0)
        multiply({s.cell.gates, run.rows, size.R, size.H, size.G, run.h, run.stride, nullptr,
                  recurrent_bias(s, pseudo_.weights), !s.cell.split, out.at(run.row)},
                 pseudo_.weights.weight_hh);
    };
    const auto add = [&](std::int64_t row, std::int64_t rows, const T* h, std::int64_t stride) {
      if (rows == 0) return;
      if (run.rows > 0 && run.row + run.rows == row && run.stride == stride && run.h + run.rows * stride == h) {
        run.rows += rows;
        return;
      }
      flush();
      run = {row, rows, h, stride};
    };
    for (std::int64_t t = range.t0; t < range.t1; ++t) {
      const Step step = step_at(s, pseudo_.direction, pseudo_.direction == 0 ? t : s.T - 1 - t);
      const std::int64_t row = s.offset(t);
      if (step.carried) add(row, step.carried, pseudo_.h.at(s.offset(step.before)), pseudo_.h.stride);
      add(row + step.carried, step.rows - step.carried, pseudo_.h0 + step.carried * size.R, size.R);
    }
    flush();
  }

  const Runner<T>& run_;
  const GroupBackward<T>& workspace_;
  const BackwardPseudoLayer<T>& pseudo_;
};

}  // namespace rnn_engine
