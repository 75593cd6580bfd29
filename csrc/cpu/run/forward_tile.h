// A forward tile: one layer and direction over some steps. One product W x for all of them, then the
// recurrence, a step at a time, in which each thread owns some of the hidden units: the product U h' of a
// tile of units is followed by the cell on the same tile, while it is in the nearest cache.
//
// States go from tile to tile in hn and cn, which begin as h0 and c0: a sequence's row is written for the
// last time at its last step.
#pragma once

#include "cpu/gemm/large.h"
#include "cpu/run/forward_pseudo_layer.h"
#include "cpu/run/gates.h"
#include "cpu/run/residual.h"

namespace rnn_engine {

template <class T>
class ForwardTile {
 public:
  ForwardTile(const Runner<T>& run, const Rolling<T>& rolling) : run_(run), rolling_(rolling) {}

  // Before a pseudo-layer's first tile: the states begin as `h0` and `c0` (nullptr: zeros). A barrier must follow.
  void begin(const ForwardPseudoLayer<T>& pseudo, const T* h0, const Value<T>* c0) const {
    const LayerShape& size = pseudo.size;
    const auto copy = [&]<class Any>(std::int64_t count, const Any* from, Any* to) {
      const Team::Range mine = run_.team.share(count);
      const std::size_t bytes = sizeof(Any) * static_cast<std::size_t>(mine.end - mine.begin);
      if (mine.begin == mine.end || from == to) return;
      if (from)
        std::memcpy(to + mine.begin, from + mine.begin, bytes);
      else
        std::memset(to + mine.begin, 0, bytes);
    };
    copy.template operator()<T>(run_.shape().B * size.R, h0, pseudo.hn);
    copy.template operator()<Value<T>>(run_.shape().B * size.H, c0, pseudo.cn);
  }

  // `drawn`: this group's tile before was of the same pseudo-layer, whose mask of h still lies there. Ends with a
  // barrier.
  void run(const ForwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1, bool drawn = false) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo.size;
    const StepRange range = step_range(s, pseudo.direction, s0, s1);
    RowWindow<const T> input = pseudo.input;
    if (s.dropout && pseudo.layer > 0) {
      const RowWindow<T> dropped{rolling_.dropped, range.row0, size.I};
      drop(run_, pseudo.layer, range, input, dropped);
      run_.team.barrier();
      input = dropped.as_const();
    }
    RowWindow<Value<T>> wx{rolling_.wx, range.row0, size.G};
    if constexpr (!kRounds<T>)
      if (pseudo.wx) wx = pseudo.wx;
    const std::int64_t unit_tiles = (size.H + run_.width() - 1) / run_.width();
    const GateProduct<T> product{s.cell.gates,
                                 range.rows(),
                                 size.I,
                                 size.H,
                                 size.G,
                                 input.at(range.row0),
                                 input.stride,
                                 pseudo.packed.weight_ih,
                                 pseudo.packed.bias,
                                 false,
                                 wx.at(range.row0)};
    if (pseudo.packed.panels)
      multiply_gates_large(run_, product, pseudo.weights.weight_ih, own_panel(pseudo.packed),
                           LargeShare(run_.team, unit_tiles, range.rows()));
    else
      multiply_gates(run_, product);
    const bool recurrent = s.recurrent_dropout > 0;
    if (recurrent) begin_recurrent_dropout(pseudo, drawn);
    if (recurrent || !gates_by_units(run_.team, unit_tiles)) run_.team.barrier();
    for (std::int64_t step = s0; step < s1; ++step) {
      run_step(pseudo, step_at(s, pseudo.direction, step), step, wx, step == s0, step == s1 - 1);
      run_.team.barrier();
    }
    if (!pseudo.sum) return;
    // Not before all threads have read the input, whose place the sum may take.
    const Team::Range rows = run_.team.share(range.rows());
    add_rows(run_, {range.row0 + rows.begin, range.row0 + rows.end}, size.R, pseudo.residual_input(),
             pseudo.h.as_const(), pseudo.sum);
    run_.team.barrier();
  }

 private:
  T* own_panel(const PackedForward<T>& packed) const { return packed.panels + run_.team.id() * packed.panel_size; }

  // h of all sequences after recurrent dropout, as it stands before the tile; for steps of either parity, as
  // a sequence may begin at both.
  void begin_recurrent_dropout(const ForwardPseudoLayer<T>& pseudo, bool drawn) const {
    const std::int64_t R = pseudo.size.R;
    const Team::Range rows = run_.team.share(run_.shape().B);
    if (!drawn) recurrent_factors(run_, pseudo.layer, pseudo.direction, rows, rolling_.factors);
    for (T* h_dropped : rolling_.h_dropped)
      run_.kernels.scale({pseudo.hn + rows.begin * R, rolling_.factors + rows.begin * R, h_dropped + rows.begin * R,
                          (rows.end - rows.begin) * R});
  }

  void run_step(const ForwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t s, const RowWindow<Value<T>>& wx,
                bool first, bool last) const {
    const Shape& shape = run_.shape();
    const LayerShape& size = pseudo.size;
    keep_states(pseudo, step, s);
    ForwardStep<T> at{};
    at.row = shape.offset(step.t);
    at.before = step.carried ? shape.offset(step.before) : 0;
    at.wx = wx.at(at.row);
    at.uh = shape.cell.split ? rolling_.uh : nullptr;
    if constexpr (!kRounds<T>)
      if (pseudo.uh) at.uh = pseudo.uh.at(at.row);
    at.c = pseudo.c ? pseudo.c.at(at.row) : pseudo.cn;
    at.c_candidate = shape.zoneout_c == 0 ? at.c
                     : pseudo.c_candidate ? pseudo.c_candidate.at(at.row)
                                          : rolling_.c_candidate;
    at.h_dropped = rolling_.h_dropped[s % 2];
    at.h_dropped_next = rolling_.h_dropped[(s + 1) % 2];
    at.h_unprojected = !shape.projected       ? pseudo.h.at(at.row)
                       : pseudo.h_unprojected ? pseudo.h_unprojected.at(at.row)
                                              : rolling_.h_unprojected;
    at.first = first;
    at.last = last;
    const std::int64_t width = run_.width();
    const Team::Range tiles = run_.unit_tiles(size.H);
    const bool whole = shape.cell.whole_rows;
    const std::int64_t operations = 2 * step.rows * size.R * shape.cell.gates * width;  // of a tile of units
    for (std::int64_t p = tiles.begin; p < tiles.end && !run_.team.stopped(operations); ++p) {
      const Team::Range units{p * width, std::min(size.H, (p + 1) * width)};
      recurrent_product(pseudo, step, at, units);
      if (!whole) run_cells(pseudo, step, at, {{0, step.rows}, units});
    }
    Region mine{{0, step.rows}, {tiles.begin * width, std::min(size.H, tiles.end * width)}};
    if (whole) {
      run_.team.barrier();
      mine = {run_.team.share(step.rows), {0, size.H}};
      run_cells(pseudo, step, at, mine);
    }
    finish_c(pseudo, step, at, mine);
    if (shape.projected) {
      run_.team.barrier();
      mine = {{0, step.rows}, project(pseudo, at, step.rows)};
    } else if (!whole && (first || step.carried < step.rows) && (last || step.continued < step.rows)) {
      run_.team.barrier();  // others may still read from hn what is about to be replaced
    }
    finish_h(pseudo, at, step, mine);
    run_h_states(pseudo, at, step, mine);
  }

  // Zoneout of a region of h, and recurrent dropout for the step after.
  void finish_h(const ForwardPseudoLayer<T>& pseudo, const ForwardStep<T>& at, const Step& step,
                const Region& mine) const {
    const Shape& s = run_.shape();
    const std::int64_t R = pseudo.size.R, first = mine.units.begin, count = mine.units.end - first;
    if (count <= 0) return;
    for_each_part(pseudo, step, at, [&](Team::Range rows, const T* before, std::int64_t before_row, const Value<T>*) {
      if (s.zoneout_h == 0) return;
      ZoneoutRow<T> row = make_zoneout<T>(run_, MaskKind::kZoneoutH, pseudo.layer, pseudo.direction, step.t);
      row.columns = count;
      row.mask.first = first;
      for (std::int64_t b = std::max(rows.begin, mine.rows.begin); b < std::min(rows.end, mine.rows.end); ++b) {
        row.mask.row = row_id(run_.masks, b);
        row.before = before + (b - rows.begin) * before_row + first;
        row.value = pseudo.h.at(at.row + b) + first;
        row.next = row.value;
        run_.kernels.zoneout_forward(row);
      }
    });
    for (std::int64_t b = mine.rows.begin; s.recurrent_dropout > 0 && b < mine.rows.end; ++b)
      run_.kernels.scale({pseudo.h.at(at.row + b) + first, rolling_.factors + b * R + first,
                          at.h_dropped_next + b * R + first, count});
  }

  // U h' of one tile of units, for all rows of the step.
  void recurrent_product(const ForwardPseudoLayer<T>& pseudo, const Step& step, const ForwardStep<T>& at,
                         Team::Range units) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo.size;
    const Value<T>* bias = recurrent_bias(s, pseudo.weights);
    GemmTile<T> gemm{};
    gemm.a_col = 1;
    if (pseudo.packed.panels) {
      T* panel = own_panel(pseudo.packed);
      pack_unit_tile(run_.kernels, s.cell.gates, pseudo.weights.weight_hh, size.H, size.R, units.begin / run_.width(),
                     panel);
      gemm.panel = panel;
    } else {
      gemm.panel = pseudo.packed.weight_hh + units.begin * s.cell.gates * packed_depth<T>(size.R);
    }
    gemm.k = size.R;
    gemm.vectors = s.cell.gates;
    gemm.vector_stride = size.H;
    gemm.gates = true;
    gemm.columns = units.end - units.begin;
    gemm.c_row = size.G;
    gemm.init_row = s.cell.split ? 0 : size.G;
    const auto multiply = [&](Team::Range rows, const T* h, std::int64_t h_row, const Value<T>*) {
      gemm.rows = rows.end - rows.begin;
      gemm.a = h;
      gemm.a_row = h_row;
      gemm.c = (s.cell.split ? at.uh : at.wx) + rows.begin * size.G + units.begin;
      gemm.init = !s.cell.split ? gemm.c : bias ? bias + units.begin : nullptr;
      run_.kernels.gemm(gemm);
    };
    if (s.recurrent_dropout > 0)
      multiply({0, step.rows}, at.h_dropped, size.R, nullptr);
    else
      for_each_part(pseudo, step, at, multiply);
  }

  // The cells of a region.
  void run_cells(const ForwardPseudoLayer<T>& pseudo, const Step& step, const ForwardStep<T>& at,
                 const Region& mine) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo.size;
    const std::int64_t unit = mine.units.begin;
    CellTile<T> cell{};
    cell.units = mine.units.end - unit;
    cell.gate_stride = size.H;
    cell.product_row = cell.gates_row = size.G;
    set_vectors(s, pseudo.weights, unit, cell);
    cell.c_prev_row = cell.c_row = size.H;
    cell.h_row = s.projected ? size.H : pseudo.h.stride;
    cell.work = rolling_.work + mine.rows.begin * size.H;
    for_each_part(pseudo, step, at, [&](Team::Range rows, const T*, std::int64_t, const Value<T>* c_prev) {
      const std::int64_t row = std::max(rows.begin, mine.rows.begin);
      cell.rows = std::min(rows.end, mine.rows.end) - row;
      if (cell.rows <= 0) return;
      cell.wx = at.wx + row * size.G + unit;
      cell.uh = at.uh ? at.uh + row * size.G + unit : nullptr;
      cell.gates_wx = pseudo.wx ? pseudo.wx.at(at.row + row) + unit : nullptr;
      cell.gates_uh = pseudo.uh ? pseudo.uh.at(at.row + row) + unit : nullptr;
      cell.c_prev = c_prev + (row - rows.begin) * size.H + unit;
      cell.c = at.c_candidate + row * size.H + unit;
      cell.h = at.h_unprojected + row * cell.h_row + unit;
      run_.kernels.cell_forward[s.cell_index](cell);
    });
  }

  // Zoneout of a region of c; c of sequences that end here, and at the tile's last step of all, goes to cn.
  void finish_c(const ForwardPseudoLayer<T>& pseudo, const Step& step, const ForwardStep<T>& at,
                const Region& mine) const {
    const Shape& s = run_.shape();
    const std::int64_t H = pseudo.size.H, first = mine.units.begin, count = mine.units.end - first;
    if (count <= 0) return;
    for_each_part(pseudo, step, at, [&](Team::Range rows, const T*, std::int64_t, const Value<T>* c_prev) {
      if (s.zoneout_c == 0) return;
      const std::int64_t row = std::max(rows.begin, mine.rows.begin), end = std::min(rows.end, mine.rows.end);
      zone_out_c(run_, pseudo.layer, pseudo.direction, step.t, {{row, end}, mine.units},
                 c_prev + (row - rows.begin) * H + first, at.c_candidate + row * H + first, at.c + row * H + first);
    });
    const std::size_t bytes = sizeof(Value<T>) * static_cast<std::size_t>(count);
    for (std::int64_t b = mine.rows.begin; b < mine.rows.end; ++b) {
      const Value<T>* c = at.c + b * H + first;
      if (pseudo.c && (at.last || b >= step.continued)) std::memcpy(pseudo.cn + b * H + first, c, bytes);
      if (pseudo.c_output) std::memcpy(pseudo.c_output.at(at.row + b) + first, c, bytes);
    }
  }

  // h = W_hr (o tanh c); this thread's columns of it.
  Team::Range project(const ForwardPseudoLayer<T>& pseudo, const ForwardStep<T>& at, std::int64_t rows) const {
    const LayerShape& size = pseudo.size;
    const Team::Range columns = run_.team.share(size.R, kPanelVectors * run_.width());
    for (std::int64_t first = columns.begin; first < columns.end; first += kPanelVectors * run_.width()) {
      const std::int64_t count = std::min<std::int64_t>(kPanelVectors * run_.width(), size.R - first);
      GemmTile<T> gemm{};
      gemm.a = at.h_unprojected;
      gemm.a_row = size.H;
      gemm.a_col = 1;
      gemm.panel = pseudo.packed.weight_hr + first * packed_depth<T>(size.H);
      gemm.rows = rows;
      gemm.k = size.H;
      gemm.vectors = static_cast<int>((count + run_.width() - 1) / run_.width());
      set_end(gemm, pseudo.h.at(at.row) + first);
      gemm.c_row = pseudo.h.stride;
      gemm.vector_stride = run_.width();
      gemm.columns = count;
      run_.kernels.gemm(gemm);
    }
    return columns;
  }

  // h of sequences that end here, and at the tile's last step of all, goes to hn.
  void run_h_states(const ForwardPseudoLayer<T>& pseudo, const ForwardStep<T>& at, const Step& step,
                    const Region& mine) const {
    const LayerShape& size = pseudo.size;
    const std::int64_t count = mine.units.end - mine.units.begin;
    if (count <= 0) return;
    for (std::int64_t b = std::max(mine.rows.begin, at.last ? 0 : step.continued); b < mine.rows.end; ++b)
      std::memcpy(pseudo.hn + b * size.R + mine.units.begin, pseudo.h.at(at.row + b) + mine.units.begin,
                  sizeof(T) * static_cast<std::size_t>(count));
  }

  // Before the first step of a piece of K steps: c, and with checkpoints h, for the backward call. Where the
  // policy keeps h_states, tiles end with the pieces, and so hn is complete.
  void keep_states(const ForwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t s) const {
    const std::int64_t K = run_.plan.schedule.backward_steps;
    if (!pseudo.c_states || s == 0 || s % K != 0) return;
    const LayerShape& size = pseudo.size;
    const std::int64_t B = run_.shape().B, piece = s / K - 1, width = run_.width();
    const auto keep = [&]<class Any>(Team::Range columns, std::int64_t row, const Any* from, Any* to) {
      if (columns.begin >= columns.end) return;
      for (std::int64_t b = 0; b < step.rows; ++b)
        std::memcpy(to + (piece * B + b) * row + columns.begin, from + b * row + columns.begin,
                    sizeof(Any) * static_cast<std::size_t>(columns.end - columns.begin));
    };
    const Team::Range tiles = run_.unit_tiles(size.H);
    keep.template operator()<Value<T>>({tiles.begin * width, std::min(size.H, tiles.end * width)}, size.H, pseudo.cn,
                                       pseudo.c_states);
    if (pseudo.h_states) keep.template operator()<T>(run_.columns(size.R), size.R, pseudo.hn, pseudo.h_states);
  }

  const Runner<T>& run_;
  const Rolling<T>& rolling_;
};

}  // namespace rnn_engine
