// The recurrence in reverse, in which each thread owns some of the hidden units: dh of a step is dy + d_uh U
// of the step after it, followed by the cells on the same tile of units.
#pragma once

#include "cpu/gemm/large.h"
#include "cpu/run/backward_cells.h"

namespace rnn_engine {

template <class T>
class BackwardSteps {
 public:
  BackwardSteps(const Runner<T>& run, const GroupBackward<T>& workspace, const BackwardPseudoLayer<T>& pseudo)
      : run_(run), workspace_(workspace), pseudo_(pseudo), cells_(run, workspace, pseudo) {}

  void run(const Step& step, std::int64_t s, std::int64_t s0, std::int64_t s1) const {
    const Shape& shape = run_.shape();
    const LayerShape& size = pseudo_.size;
    const std::int64_t row = shape.offset(step.t);
    // Without a projection the gradient of h is that of the cell's output, and rolls.
    const T* after = !step.continued                  ? nullptr
                     : !pseudo_.stored && s == s1 - 1 ? pseudo_.own.boundary
                                                      : pseudo_.d_uh().at(shape.offset(step.after));
    T* dstate = shape.projected ? workspace_.dstate + pseudo_.rows_from(s + 1, s1) * size.R : nullptr;
    const bool whole = shape.cell.whole_rows;
    const auto cells = [&](std::int64_t first, std::int64_t columns) {
      if (!whole) cells_.run(step, s, s0, row, {{0, step.rows}, {first, first + columns}});
    };
    for_each_panel(run_.width(), run_.columns(size.R), [&](std::int64_t first, std::int64_t columns) {
      if (run_.team.stopped(2 * step.rows * size.Z * columns)) return;
      if (!shape.projected) {
        state_gradient(step, row, after, workspace_.dh, first, columns);
        cells(first, columns);
      } else if constexpr (kRounds<T>) {
        state_gradient(step, row, after, workspace_.dstep, first, columns);
        narrow_units(run_, {{0, step.rows}, {first, first + columns}}, size.R, 1, workspace_.dstep, size.R, dstate,
                     size.R);
      } else {
        state_gradient(step, row, after, dstate, first, columns);
      }
    });
    if (shape.projected) {
      run_.team.barrier();
      for_each_panel(run_.width(), run_.columns(size.H), [&](std::int64_t first, std::int64_t columns) {
        GemmTile<T> gemm = tile_of(pseudo_.own.weight_hr + first * packed_depth<T>(size.R), size.R, columns);
        gemm.a = dstate;
        gemm.a_row = size.R;
        gemm.rows = step.rows;
        gemm.c = workspace_.dh + first;
        gemm.c_row = size.H;
        run_.kernels.gemm(gemm);
        cells(first, columns);
      });
    }
    if (whole) {
      run_.team.barrier();
      const Team::Range rows = run_.team.share(step.rows, row_block(shape));
      cells_.run(step, s, s0, row, {rows, {0, size.H}});
    }
    if (step.carried < step.rows) initial_gradients(step);
  }

 private:
  // Of a product with panels of neighbouring columns; rows, a and c are the caller's to set.
  GemmTile<T> tile_of(const T* panel, std::int64_t k, std::int64_t columns) const {
    GemmTile<T> gemm{};
    gemm.a_col = 1;
    gemm.panel = panel;
    gemm.k = k;
    gemm.vectors = static_cast<int>((columns + run_.width() - 1) / run_.width());
    gemm.vector_stride = run_.width();
    gemm.columns = columns;
    return gemm;
  }

  // dstate = dy + d_uh U of the step after; sequences that end here take dhn instead.
  void state_gradient(const Step& step, std::int64_t row, const T* after, Value<T>* dstate, std::int64_t first,
                      std::int64_t columns) const {
    const LayerShape& size = pseudo_.size;
    const T* dy = pseudo_.dy ? pseudo_.dy.at(row) : nullptr;
    const bool recurrent = run_.shape().recurrent_dropout > 0;
    if (step.continued > 0) {
      GemmTile<T> gemm = tile_of(pseudo_.own.weight_hh + first * packed_depth<T>(size.Z), size.Z, columns);
      gemm.a = after;
      gemm.a_row = size.G;
      gemm.rows = step.continued;
      const bool begins = dy && !recurrent;
      set_init(gemm, begins ? dy + first : static_cast<const T*>(nullptr));
      gemm.init_row = pseudo_.dy.stride;
      set_end(gemm, dstate + first);
      gemm.c_row = size.R;
      multiply_in_depths(run_.kernels, gemm, size.Z);
    }
    for (std::int64_t b = step.continued; b < step.rows; ++b)
      for (std::int64_t j = first; j < first + columns; ++j)
        dstate[b * size.R + j] = (dy ? widen(dy[b * pseudo_.dy.stride + j]) : Value<T>(0)) +
                                 (pseudo_.dhn ? widen(pseudo_.dhn[b * size.R + j]) : Value<T>(0));
    for (std::int64_t b = 0; recurrent && b < step.continued; ++b)
      run_.kernels.scale_and_add({dstate + b * size.R + first, pseudo_.own.factors + b * size.R + first,
                                  dy ? dy + b * pseudo_.dy.stride + first : nullptr, columns});
    if (run_.shape().zoneout_h > 0) zone_out_state(step, dstate, first, columns);
  }

  // What zoneout let pass the step after arrives; and what it lets pass this step goes on its way.
  void zone_out_state(const Step& step, Value<T>* dstate, std::int64_t first, std::int64_t columns) const {
    const std::int64_t R = pseudo_.size.R;
    ZoneoutRow<Value<T>> row =
        make_zoneout<Value<T>>(run_, MaskKind::kZoneoutH, pseudo_.layer, pseudo_.direction, step.t);
    row.columns = columns;
    row.mask.first = first;
    for (std::int64_t b = 0; b < step.rows; ++b) {
      row.mask.row = row_id(run_.masks, b);
      row.past = pseudo_.own.past_h + b * R + first;
      row.value = dstate + b * R + first;
      for (std::int64_t j = 0; b < step.continued && j < columns; ++j) row.value[j] = row.value[j] + row.past[j];
      run_.cells.zoneout_backward(row);
    }
  }

  // Rows [carried, rows) of this step began their sequences: what flows further back belongs to the initial states.
  void initial_gradients(const Step& step) const {
    const LayerShape& size = pseudo_.size;
    const Team::Range units = run_.columns(size.H);
    if (pseudo_.dh0 || run_.shape().cell.whole_rows) run_.team.barrier();  // d_uh, and dc of whole rows, of others
    if (pseudo_.dc0)
      for (std::int64_t b = step.carried; b < step.rows; ++b)
        for (std::int64_t j = units.begin; j < units.end; ++j)
          pseudo_.dc0[b * size.H + j] = pseudo_.own.dc[b * size.H + j];
    if (!pseudo_.dh0) return;
    for_each_panel(run_.width(), run_.columns(size.R), [&](std::int64_t first, std::int64_t columns) {
      GemmTile<T> gemm = tile_of(pseudo_.own.weight_hh + first * packed_depth<T>(size.Z), size.Z, columns);
      gemm.a = pseudo_.d_uh().at(run_.shape().offset(step.t) + step.carried);
      gemm.a_row = size.G;
      gemm.rows = step.rows - step.carried;
      set_end(gemm, pseudo_.dh0 + step.carried * size.R + first);
      gemm.c_row = size.R;
      run_.kernels.gemm(gemm);
      for (std::int64_t b = step.carried; b < step.rows; ++b) {
        const std::int64_t place = b * size.R + first;
        for (std::int64_t j = place; pseudo_.own.factors && j < place + columns; ++j)
          pseudo_.dh0[j] = narrow<T>(widen(pseudo_.dh0[j]) * pseudo_.own.factors[j]);
        for (std::int64_t j = place; pseudo_.own.past_h && j < place + columns; ++j)
          pseudo_.dh0[j] = narrow<T>(widen(pseudo_.dh0[j]) + pseudo_.own.past_h[j]);
      }
    });
  }

  const Runner<T>& run_;
  const GroupBackward<T>& workspace_;
  const BackwardPseudoLayer<T>& pseudo_;
  const BackwardCells<T> cells_;
};

}  // namespace rnn_engine
