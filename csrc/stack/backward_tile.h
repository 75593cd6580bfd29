// A backward tile: one layer and direction over a piece of K steps. The gates are made again if they were not
// kept; then comes the recurrence in reverse, in which each thread owns some of the hidden units: dh of a
// step is dy + dr U of the step after it, followed by the cell on the same tile of units, which writes the
// gates' gradients over what forward kept. The weights' and the input's gradients are products over all steps
// of the piece: tiles of their own where the gates' gradients stay, else part of this one.
#pragma once

#include "stack/large.h"

namespace rnn_engine {

template <class T>
struct BackwardLane {
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

  BackwardLane(const Tile& tile, const Weights<T>& w, const Weights<Value<T>>& g,
               const LaneBackward<T>& scratch)
      : layer(tile.layer), direction(tile.direction), weights(w), gradients(g), own(scratch) {}
};

template <class T>
class BackwardTile {
 public:
  // `overwrite`: what stands in the weights' gradients does not matter.
  BackwardTile(const Runner<T>& run, const GroupBackward<T>& scratch, bool overwrite)
      : run_(run), scratch_(scratch), overwrite_(overwrite) {}

  // Before a lane's first tile. A barrier must follow.
  void begin(const BackwardLane<T>& lane) const {
    const Shape& s = run_.shape();
    const LayerShape& size = size_of(lane);
    const int width = run_.width();
    // Each thread packs the columns that only it will use.
    const auto pack = [&](Team::Range columns, std::int64_t k, const T* rows, std::int64_t row, T* packed) {
      for_each_panel(width, columns, [&](std::int64_t first, std::int64_t count) {
        pack_panel(
            run_.kernels, k, first, count, [&](std::int64_t i) { return rows + i * row; },
            packed + first * packed_depth<T>(k));
      });
    };
    pack(run_.columns(size.R), size.Z, lane.weights.weight_hh, size.R, lane.own.weight_hh);
    if (s.projected) pack(run_.columns(size.H), size.R, lane.weights.weight_hr, size.H, lane.own.weight_hr);
    if (s.recurrent_dropout > 0)
      recurrent_factors(run_, lane.layer, lane.direction, run_.team.share(s.B), lane.own.factors);
    if (run_.team.id() == 0 && lane.own.bias) sum_biases(s, size, lane.weights, lane.own.bias);
    const Team::Range units = run_.columns(size.H);
    const std::int64_t count = units.end - units.begin;
    if (count <= 0) return;
    const std::size_t bytes = sizeof(Value<T>) * static_cast<std::size_t>(count);
    for (std::int64_t b = 0; b < s.B; ++b) {
      Value<T>* dc = lane.own.dc + b * size.H + units.begin;
      if (lane.dcn)
        std::memcpy(dc, lane.dcn + b * size.H + units.begin, bytes);
      else
        std::memset(dc, 0, bytes);
    }
    const std::int64_t groups = (s.B + sum_group_rows(s) - 1) / sum_group_rows(s);
    for (std::int64_t row = 0; row < groups * s.cell.sums_width(); ++row)
      std::memset(lane.own.sums + row * size.H + units.begin, 0, bytes);
  }

  // `rebuild`: a, r and c of the piece are to be made again from the input and h. Ends with a barrier.
  void run(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1, bool rebuild) const {
    const Shape& s = run_.shape();
    const Span span = span_of(s, lane.direction, s0, s1);
    Rows<const T> input = lane.input;
    if (!lane.kept) input = begin_products(lane, s0, s1);
    if (rebuild) make_gates(lane, input, s0, s1, span);
    for (std::int64_t step = s1 - 1; step >= s0; --step) {
      run_step(lane, step_at(s, lane.direction, step), step, s0, s1);
      run_.team.barrier();
    }
    if (s.projected) projection_gradient(lane, s0, s1);
    if (!lane.kept) {
      weight_gradients(lane, input, rows_from(lane, s0, s1), overwrite_ && s1 == s.T);
      if (lane.dx) input_gradient(lane, span);
      copy_boundary(lane, step_at(s, lane.direction, s0));
    }
    if (s0 == 0) vector_gradients(lane);
    run_.team.barrier();
  }

  // Of kept gates, whose gradients now stand in their place. Ends with a barrier.
  void run_weight_gradients(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    const Rows<const T> input = begin_products(lane, s0, s1);
    weight_gradients(lane, input, rows_from(lane, s0, s1), overwrite_ && s1 == run_.shape().T);
    run_.team.barrier();
  }

  // The same for the input's gradient.
  void run_input_gradient(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    input_gradient(lane, span_of(run_.shape(), lane.direction, s0, s1));
    run_.team.barrier();
  }

 private:
  const LayerShape& size_of(const BackwardLane<T>& lane) const { return run_.shape().layer(lane.layer); }

  // What the layer read in forward, and the order of the piece's rows. Ends with a barrier.
  Rows<const T> begin_products(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    Rows<const T> input = lane.input;
    if (run_.shape().dropout && lane.layer > 0) {
      const Span span = span_of(run_.shape(), lane.direction, s0, s1);
      const Rows<T> dropped{scratch_.dropped, span.row0, size_of(lane).I};
      drop(run_, lane.layer, span, input, dropped);
      input = dropped.as_const();
    }
    const Rows<T> seen{scratch_.seen, span_of(run_.shape(), lane.direction, s0, s1).row0, size_of(lane).R};
    if (run_.shape().recurrent_dropout > 0) drop_states(lane, s0, s1, seen);
    if (run_.team.id() == 0) fill_order(lane, s0, s1, seen);
    run_.team.barrier();
    return input;
  }

  // The gates of the whole piece in two large products, and c by running the cells alone: the same chains of
  // operations as forward's, so the same bits. A thread that owns units does all of it for some of them while
  // their gates are in the second cache.
  void make_gates(const BackwardLane<T>& lane, const Rows<const T>& input, std::int64_t s0, std::int64_t s1,
                  const Span& span) const {
    const Shape& shape = run_.shape();
    const std::int64_t H = size_of(lane).H, width = run_.width(), count = (H + width - 1) / width;
    const Team::Range mine = run_.unit_tiles(H);
    const auto units = [&](std::int64_t p) { return Team::Range{p * width, std::min(H, (p + 1) * width)}; };
    const bool alone = gates_by_units(run_.team, count), whole = shape.cell.whole_rows;
    for (std::int64_t p = mine.begin; alone && p < mine.end; ++p) {
      gate_products(lane, input, span, {p, p + 1}, true);
      if (!whole) make_cells(lane, s0, s1, {{0, shape.B}, units(p)});
    }
    if (!alone) gate_products(lane, input, span, {0, count}, false);
    if (alone && !whole) return;
    run_.team.barrier();
    if (whole) return make_cells(lane, s0, s1, {run_.team.share(shape.B), {0, H}});
    for (std::int64_t p = mine.begin; p < mine.end; ++p) make_cells(lane, s0, s1, {{0, shape.B}, units(p)});
  }

  // c of some sequences and units, and their gates from their sums.
  void make_cells(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1, const Region& mine) const {
    const Shape& s = run_.shape();
    const Span span = span_of(s, lane.direction, s0, s1);
    const Rows<Value<T>> a = products(lane.a, scratch_.piece_a, span, size_of(lane));
    const Rows<Value<T>> r = products(lane.r, scratch_.piece_r, span, size_of(lane));
    for (std::int64_t step = s0; step < s1; ++step) {
      const Step at = step_at(s, lane.direction, step);
      const std::int64_t row = s.offset(at.t);
      for_each_c_before(lane, at, step, s0, mine.rows, [&](Team::Range rows, const Value<T>* c_prev) {
        const std::int64_t H = size_of(lane).H;
        CellTile<Value<T>> cell = cell_tile(lane, row, rows, mine.units);
        cell.a = a.at(row + rows.begin) + mine.units.begin;
        cell.r = s.cell.split ? r.at(row + rows.begin) + mine.units.begin : nullptr;
        cell.a_row = cell.r_row = size_of(lane).G;
        cell.c_prev = c_prev + mine.units.begin;
        cell.c = cell_c(lane).at(row + rows.begin) + mine.units.begin;
        Value<T>* h = nullptr;  // was kept
        if (s.projected) {
          h = scratch_.dh;
          if constexpr (!kRounds<T>) h = lane.raw.at(row);
        }
        cell.h = h ? h + rows.begin * H + mine.units.begin : nullptr;
        cell.h_row = H;
        run_.cells.cell_forward[s.cell_index](cell);
        if constexpr (kRounds<T>) {
          const Region part{rows, mine.units};
          const std::int64_t G = size_of(lane).G;
          if (h) narrow_units(run_, part, H, 1, h, H, lane.raw.at(row), H);
          narrow_units(run_, part, H, s.cell.gates, a.at(row), G, lane.a.at(row), G);
          if (s.cell.split) narrow_units(run_, part, H, s.cell.gates, r.at(row), G, lane.r.at(row), G);
        }
        if (s.zoneout_c > 0)
          zone_out_c(run_, lane.layer, lane.direction, at.t, {rows, mine.units}, cell.c_prev, cell.c,
                     lane.c.at(row + rows.begin) + mine.units.begin);
      });
    }
  }

  // c as the cell puts it out, before any zoneout.
  const Rows<Value<T>>& cell_c(const BackwardLane<T>& lane) const {
    return run_.shape().zoneout_c > 0 ? lane.cell : lane.c;
  }

  // Where the products of a piece grow whose gates are made again: in the place of the gates, unless those
  // are rounded.
  Rows<Value<T>> products(const Rows<T>& gates, Value<T>* unrounded, const Span& span,
                          const LayerShape& size) const {
    if constexpr (kRounds<T>)
      return {unrounded, span.row0, size.G};
    else
      return gates;
  }

  T* pack_gates() const { return scratch_.pack_gates + run_.team.id() * scratch_.pack_gates_size; }

  // W x and U h' of all steps of the piece, for some tiles of units: all rows of them if no other thread has
  // these tiles (`alone`), else this thread's share. The U products are as few as the rows' neighbours in
  // memory allow.
  void gate_products(const BackwardLane<T>& lane, const Rows<const T>& input, const Span& span,
                     Team::Range tiles, bool alone) const {
    const Shape& s = run_.shape();
    const LayerShape& size = size_of(lane);
    const Rows<Value<T>> a = products(lane.a, scratch_.piece_a, span, size);
    const Rows<Value<T>> out = s.cell.split ? products(lane.r, scratch_.piece_r, span, size) : a;
    const auto multiply = [&](const GateProduct<T>& p, const T* weight) {
      const Team::Range rows = alone ? Team::Range{0, p.rows} : run_.team.share(p.rows, kRowBlock);
      multiply_gates_large(run_, p, weight, pack_gates(), {tiles, rows});
    };
    multiply({s.cell.gates, span.rows(), size.I, size.H, size.G, input.at(span.row0), input.stride, nullptr,
              lane.own.bias, false, a.at(span.row0)},
             lane.weights.weight_ih);
    if (!alone) run_.team.barrier();  // its shares of rows are others than those below
    if (s.recurrent_dropout > 0)
      return multiply({s.cell.gates, span.rows(), size.R, size.H, size.G, scratch_.seen, size.R, nullptr,
                       recurrent_bias(s, lane.weights), !s.cell.split, out.at(span.row0)},
                      lane.weights.weight_hh);
    struct {
      std::int64_t row, rows;
      const T* h;
      std::int64_t stride;
    } run{0, 0, nullptr, 0};
    const auto flush = [&] {
      if (run.rows > 0)
        multiply({s.cell.gates, run.rows, size.R, size.H, size.G, run.h, run.stride, nullptr,
                  recurrent_bias(s, lane.weights), !s.cell.split, out.at(run.row)},
                 lane.weights.weight_hh);
    };
    const auto add = [&](std::int64_t row, std::int64_t rows, const T* h, std::int64_t stride) {
      if (rows == 0) return;
      if (run.rows > 0 && run.row + run.rows == row && run.stride == stride &&
          run.h + run.rows * stride == h) {
        run.rows += rows;
        return;
      }
      flush();
      run = {row, rows, h, stride};
    };
    for (std::int64_t t = span.t0; t < span.t1; ++t) {
      const Step step = step_at(s, lane.direction, lane.direction == 0 ? t : s.T - 1 - t);
      const std::int64_t row = s.offset(t);
      if (step.carried) add(row, step.carried, lane.h.at(s.offset(step.before)), lane.h.stride);
      add(row + step.carried, step.rows - step.carried, lane.h0 + step.carried * size.R, size.R);
    }
    flush();
  }

  // Calls visit(rows, c before them) for the parts of some rows of a step.
  template <class Visit>
  void for_each_c_before(const BackwardLane<T>& lane, const Step& step, std::int64_t s, std::int64_t s0,
                         Team::Range mine, const Visit& visit) const {
    const std::int64_t H = size_of(lane).H;
    const auto part = [&](std::int64_t first, std::int64_t last, const Value<T>* c, std::int64_t c_first) {
      const Team::Range rows{std::max(first, mine.begin), std::min(last, mine.end)};
      if (rows.begin < rows.end) visit(rows, c + (rows.begin - c_first) * H);
    };
    if (!lane.kept && s == s0 && s > 0) return part(0, step.rows, lane.c_before, 0);
    if (step.carried) part(0, step.carried, lane.c.at(run_.shape().offset(step.before)), 0);
    part(step.carried, step.rows, lane.c0, 0);
  }

  // Some rows of the step whose first row is `row`, and some units; a and r are the caller's to set.
  CellTile<Value<T>> cell_tile(const BackwardLane<T>& lane, std::int64_t row, Team::Range rows,
                               Team::Range units) const {
    const Shape& s = run_.shape();
    const std::int64_t H = size_of(lane).H, first = row + rows.begin;
    CellTile<Value<T>> cell{};
    cell.rows = rows.end - rows.begin;
    cell.units = units.end - units.begin;
    cell.gate_stride = H;
    set_vectors(s, lane.weights, units.begin, cell);
    cell.c = cell_c(lane).at(first) + units.begin;
    cell.c_prev_row = cell.c_row = H;
    return cell;
  }

  void run_step(const BackwardLane<T>& lane, const Step& step, std::int64_t s, std::int64_t s0,
                std::int64_t s1) const {
    const Shape& shape = run_.shape();
    const LayerShape& size = size_of(lane);
    const std::int64_t row = shape.offset(step.t);
    // Without a projection the gradient of h is that of the cell's output, and rolls.
    const T* after = !step.continued             ? nullptr
                     : !lane.kept && s == s1 - 1 ? lane.own.boundary
                                                 : dr(lane).at(shape.offset(step.after));
    T* dstate = shape.projected ? scratch_.dstate + rows_from(lane, s + 1, s1) * size.R : nullptr;
    const bool whole = shape.cell.whole_rows;
    const auto cells = [&](std::int64_t first, std::int64_t columns) {
      if (!whole) run_cells(lane, step, s, s0, row, {{0, step.rows}, {first, first + columns}});
    };
    for_each_panel(run_.width(), run_.columns(size.R), [&](std::int64_t first, std::int64_t columns) {
      if (!shape.projected) {
        state_gradient(lane, step, row, after, scratch_.dh, first, columns);
        cells(first, columns);
      } else if constexpr (kRounds<T>) {
        state_gradient(lane, step, row, after, scratch_.dstep, first, columns);
        narrow_units(run_, {{0, step.rows}, {first, first + columns}}, size.R, 1, scratch_.dstep, size.R,
                     dstate, size.R);
      } else {
        state_gradient(lane, step, row, after, dstate, first, columns);
      }
    });
    if (shape.projected) {
      run_.team.barrier();
      for_each_panel(run_.width(), run_.columns(size.H), [&](std::int64_t first, std::int64_t columns) {
        GemmTile<T> gemm = tile_of(lane.own.weight_hr + first * packed_depth<T>(size.R), size.R, columns);
        gemm.a = dstate;
        gemm.a_row = size.R;
        gemm.rows = step.rows;
        gemm.c = scratch_.dh + first;
        gemm.c_row = size.H;
        run_.kernels.gemm(gemm);
        cells(first, columns);
      });
    }
    if (whole) {
      run_.team.barrier();
      const Team::Range rows = run_.team.share(step.rows, sum_group_rows(shape));
      run_cells(lane, step, s, s0, row, {rows, {0, size.H}});
    }
    if (step.carried < step.rows) initial_gradients(lane, step);
  }

  // Entries of `order` for steps [s0, s1).
  std::int64_t rows_from(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    const Shape& shape = run_.shape();
    if (kGroup<T> == 1) return s0 < s1 ? span_of(shape, lane.direction, s0, s1).rows() : 0;
    std::int64_t count = 0;
    for (std::int64_t s = s0; s < s1; ++s)
      count += round_up(step_at(shape, lane.direction, s).rows, kGroup<T>);
    return count;
  }

  Rows<T> dr(const BackwardLane<T>& lane) const { return run_.shape().cell.split ? lane.r : lane.a; }

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

  // dstate = dy + dr U of the step after; sequences that end here take dhn instead.
  void state_gradient(const BackwardLane<T>& lane, const Step& step, std::int64_t row, const T* after,
                      Value<T>* dstate, std::int64_t first, std::int64_t columns) const {
    const LayerShape& size = size_of(lane);
    const T* dy = lane.dy ? lane.dy.at(row) : nullptr;
    const bool recurrent = run_.shape().recurrent_dropout > 0;
    if (step.continued > 0) {
      GemmTile<T> gemm = tile_of(lane.own.weight_hh + first * packed_depth<T>(size.Z), size.Z, columns);
      gemm.a = after;
      gemm.a_row = size.G;
      gemm.rows = step.continued;
      const bool begins = dy && !recurrent;
      set_init(gemm, begins ? dy + first : static_cast<const T*>(nullptr));
      gemm.init_row = lane.dy.stride;
      set_end(gemm, dstate + first);
      gemm.c_row = size.R;
      multiply_in_depths(run_.kernels, gemm, size.Z);
    }
    for (std::int64_t b = step.continued; b < step.rows; ++b)
      for (std::int64_t j = first; j < first + columns; ++j)
        dstate[b * size.R + j] = (dy ? widen(dy[b * lane.dy.stride + j]) : Value<T>(0)) +
                                 (lane.dhn ? widen(lane.dhn[b * size.R + j]) : Value<T>(0));
    for (std::int64_t b = 0; recurrent && b < step.continued; ++b)
      for (std::int64_t j = first; j < first + columns; ++j)
        dstate[b * size.R + j] = dstate[b * size.R + j] * lane.own.factors[b * size.R + j] +
                                 (dy ? widen(dy[b * lane.dy.stride + j]) : Value<T>(0));
    if (run_.shape().zoneout_h > 0) zone_out_state(lane, step, dstate, first, columns);
  }

  // What zoneout let pass the step after arrives; and what it lets pass this step goes on its way.
  void zone_out_state(const BackwardLane<T>& lane, const Step& step, Value<T>* dstate, std::int64_t first,
                      std::int64_t columns) const {
    const std::int64_t R = size_of(lane).R;
    ZoneoutRow<Value<T>> row =
        make_zoneout<Value<T>>(run_.shape(), MaskKind::kZoneoutH, lane.layer, lane.direction, step.t);
    row.columns = columns;
    row.mask.first = first;
    for (std::int64_t b = 0; b < step.rows; ++b) {
      row.mask.row = static_cast<std::uint32_t>(run_.shape().row_id(b));
      row.past = lane.own.past_h + b * R + first;
      row.value = dstate + b * R + first;
      for (std::int64_t j = 0; b < step.continued && j < columns; ++j)
        row.value[j] = row.value[j] + row.past[j];
      run_.cells.zoneout_backward(row);
    }
  }

  void run_cells(const BackwardLane<T>& lane, const Step& step, std::int64_t s, std::int64_t s0,
                 std::int64_t row, const Region& mine) const {
    const Shape& shape = run_.shape();
    const std::int64_t H = size_of(lane).H;
    for (std::int64_t b = mine.rows.begin; lane.dc_output && b < mine.rows.end; ++b)
      for (std::int64_t j = mine.units.begin; j < mine.units.end; ++j)
        lane.own.dc[b * H + j] += lane.dc_output.at(row + b)[j];
    zone_out_cells(lane, step, mine);
    // One vector of units at a time, or all of them; the rows of one group of sums at a time.
    const std::int64_t most = shape.cell.whole_rows ? H : run_.width(), group_rows = sum_group_rows(shape);
    for (std::int64_t unit = mine.units.begin; unit < mine.units.end; unit += most) {
      const Team::Range units{unit, std::min(mine.units.end, unit + most)};
      for (std::int64_t first = mine.rows.begin; first < mine.rows.end; first += group_rows) {
        const Team::Range group{first, std::min(mine.rows.end, first + group_rows)};
        for_each_c_before(lane, step, s, s0, group, [&](Team::Range rows, const Value<T>* c_prev) {
          CellTile<Value<T>> cell = cell_tile(lane, row, rows, units);
          cell.c_prev = c_prev + unit;
          cell.dh = scratch_.dh + rows.begin * H + unit;
          cell.dc = lane.own.dc + rows.begin * H + unit;
          cell.dh_row = cell.dc_row = H;
          cell.sums = lane.own.sums + first / group_rows * sums_size(shape, H) + unit;
          cell.work = scratch_.work + run_.team.id() * scratch_.work_size;
          run_cell(lane, cell, row + rows.begin, unit);
        });
      }
    }
    for (std::int64_t b = mine.rows.begin; shape.zoneout_c > 0 && b < mine.rows.end; ++b)
      for (std::int64_t j = mine.units.begin; j < mine.units.end; ++j)
        lane.own.dc[b * H + j] += scratch_.past_c[b * H + j];
  }

  // Of dc, what zoneout lets pass the step.
  void zone_out_cells(const BackwardLane<T>& lane, const Step& step, const Region& mine) const {
    const Shape& s = run_.shape();
    if (s.zoneout_c == 0) return;
    const std::int64_t H = size_of(lane).H;
    ZoneoutRow<Value<T>> row =
        make_zoneout<Value<T>>(s, MaskKind::kZoneoutC, lane.layer, lane.direction, step.t);
    row.columns = mine.units.end - mine.units.begin;
    row.mask.first = mine.units.begin;
    for (std::int64_t b = mine.rows.begin; b < mine.rows.end; ++b) {
      row.mask.row = static_cast<std::uint32_t>(s.row_id(b));
      row.past = scratch_.past_c + b * H + mine.units.begin;
      row.value = lane.own.dc + b * H + mine.units.begin;
      run_.cells.zoneout_backward(row);
    }
  }

  // The cell's kernel on rows from `row` on, over what was kept. Rounded gates are widened for it, as many
  // rows at a time as stay near.
  void run_cell(const BackwardLane<T>& lane, CellTile<Value<T>>& cell, std::int64_t row,
                std::int64_t unit) const {
    const Shape& s = run_.shape();
    const std::int64_t H = size_of(lane).H, G = size_of(lane).G;
    const auto kernel = run_.cells.cell_backward[s.cell_index];
    if constexpr (!kRounds<T>) {
      cell.a = lane.a.at(row) + unit;
      cell.r = s.cell.split ? lane.r.at(row) + unit : nullptr;
      cell.a_row = cell.r_row = G;
      kernel(cell);
    } else {
      const bool whole = s.cell.whole_rows;
      const std::int64_t stride = whole ? size_of(lane).Z : run_.width(), rows = cell.rows;
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
        widen_gates(lane.a, cell.a, first);
        if (cell.r) widen_gates(lane.r, cell.r, first);
        kernel(cell);
        narrow_gates(cell.a, lane.a, first);
        if (cell.r) narrow_gates(cell.r, lane.r, first);
        cell.c += cell.rows * H;
        cell.c_prev += cell.rows * H;
        cell.dh += cell.rows * H;
        cell.dc += cell.rows * H;
      }
    }
  }

  // Rows [carried, rows) of this step began their sequences: what flows further back belongs to the initial
  // states.
  void initial_gradients(const BackwardLane<T>& lane, const Step& step) const {
    const LayerShape& size = size_of(lane);
    const Team::Range units = run_.columns(size.H);
    if (lane.dh0 || run_.shape().cell.whole_rows) run_.team.barrier();  // dr, and dc of whole rows, of others
    if (lane.dc0)
      for (std::int64_t b = step.carried; b < step.rows; ++b)
        for (std::int64_t j = units.begin; j < units.end; ++j)
          lane.dc0[b * size.H + j] = lane.own.dc[b * size.H + j];
    if (!lane.dh0) return;
    for_each_panel(run_.width(), run_.columns(size.R), [&](std::int64_t first, std::int64_t columns) {
      GemmTile<T> gemm = tile_of(lane.own.weight_hh + first * packed_depth<T>(size.Z), size.Z, columns);
      gemm.a = dr(lane).at(run_.shape().offset(step.t) + step.carried);
      gemm.a_row = size.G;
      gemm.rows = step.rows - step.carried;
      set_end(gemm, lane.dh0 + step.carried * size.R + first);
      gemm.c_row = size.R;
      run_.kernels.gemm(gemm);
      for (std::int64_t b = step.carried; b < step.rows; ++b) {
        const std::int64_t place = b * size.R + first;
        for (std::int64_t j = place; lane.own.factors && j < place + columns; ++j)
          lane.dh0[j] = narrow<T>(widen(lane.dh0[j]) * lane.own.factors[j]);
        for (std::int64_t j = place; lane.own.past_h && j < place + columns; ++j)
          lane.dh0[j] = narrow<T>(widen(lane.dh0[j]) + lane.own.past_h[j]);
      }
    });
  }

  // h before a sequence's row of step s.
  const T* state_before(const BackwardLane<T>& lane, const Step& step, std::int64_t s, std::int64_t s0,
                        std::int64_t b) const {
    const std::int64_t R = size_of(lane).R;
    if (lane.h_before && s == s0 && s > 0) return lane.h_before + b * R;
    return b < step.carried ? lane.h.at(run_.shape().offset(step.before) + b) : lane.h0 + b * R;
  }

  // h before each row after recurrent dropout; this thread's share of the steps.
  void drop_states(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1, const Rows<T>& seen) const {
    const std::int64_t R = size_of(lane).R;
    const Team::Range steps = run_.team.share(s1 - s0);
    for (std::int64_t s = s0 + steps.begin; s < s0 + steps.end; ++s) {
      const Step step = step_at(run_.shape(), lane.direction, s);
      for (std::int64_t b = 0; b < step.rows; ++b)
        scale_values(state_before(lane, step, s, s0, b), lane.own.factors + b * R, R,
                     seen.at(run_.shape().offset(step.t) + b));
    }
  }

  // Weights' gradients sum over rows in the order in which backward meets them, so that K changes no bit.
  void fill_order(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1, const Rows<T>& seen) const {
    const Shape& shape = run_.shape();
    std::int64_t k = 0;
    for (std::int64_t s = s1 - 1; s >= s0; --s) {
      const Step step = step_at(shape, lane.direction, s);
      for (std::int64_t b = 0; b < step.rows; ++b, ++k) {
        const std::int64_t row = shape.offset(step.t) + b;
        scratch_.order[k] = row;
        scratch_.previous[k] = seen ? seen.at(row) : state_before(lane, step, s, s0, b);
      }
      for (; k % kGroup<T> != 0; ++k) {  // pairs lie within a step, so that K does not matter
        scratch_.order[k] = -1;
        scratch_.previous[k] = nullptr;
      }
    }
  }

  // Row order[k] of what the layer has for each row, nullptr for none.
  template <class Any>
  auto in_order(const Rows<Any>& rows) const {
    return [rows, order = scratch_.order](std::int64_t k) -> const T* {
      if constexpr (kGroup<T> > 1)
        if (order[k] < 0) return nullptr;
      return rows.at(order[k]);
    };
  }

  // out[m, n] += left^T right over rows, for each of `outers`.
  template <class Left, class... Outers>
  void accumulate(std::int64_t m, std::int64_t rows, const Left& left, const Outers&... outers) const {
    accumulate_outer(run_.team, run_.kernels, m, rows, left,
                     scratch_.pack_a + run_.team.id() * scratch_.pack_a_size,
                     scratch_.pack_b + run_.team.id() * scratch_.pack_b_size, outers...);
  }
  template <class Right>
  static Outer<T, Right> outer(std::int64_t n, const Right& right, Value<T>* out, bool overwrite) {
    return {n, right, out, overwrite};
  }

  void weight_gradients(const BackwardLane<T>& lane, const Rows<const T>& input, std::int64_t rows,
                        bool overwrite) const {
    const LayerShape& size = size_of(lane);
    const auto gradient = in_order(lane.a);
    const auto of_input = outer(size.I, in_order(input), lane.gradients.weight_ih, overwrite);
    const auto of_state = outer(
        size.R, [&](std::int64_t k) { return scratch_.previous[k]; }, lane.gradients.weight_hh, overwrite);
    if (run_.shape().cell.split) {
      accumulate(size.Z, rows, gradient, of_input);
      accumulate(size.Z, rows, in_order(lane.r), of_state);
    } else {
      accumulate(size.Z, rows, gradient, of_input, of_state);
    }
  }

  // Part of every backward tile: the gradients of h are there for its steps alone.
  void projection_gradient(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const LayerShape& size = size_of(lane);
    if (lane.kept) {
      if (run_.team.id() == 0) fill_order(lane, s0, s1, {});
      run_.team.barrier();
    }
    const auto gradient = [&](std::int64_t k) -> const T* {
      return scratch_.order[k] < 0 ? nullptr : scratch_.dstate + k * size.R;
    };
    accumulate(size.R, rows_from(lane, s0, s1), gradient,
               outer(size.H, in_order(lane.raw), lane.gradients.weight_hr, overwrite_ && s1 == s.T));
  }

  // dx = da W; the second direction's is added to the first's, and dropout follows when it is complete.
  void input_gradient(const BackwardLane<T>& lane, const Span& span) const {
    const Shape& s = run_.shape();
    const LayerShape& size = size_of(lane);
    T* dx = lane.dx.at(span.row0);
    multiply_large(
        run_,
        Product<T, T>{span.rows(), size.I, size.Z, lane.a.at(span.row0), size.G, lane.weights.weight_ih,
                      lane.direction == 0 ? nullptr : dx, lane.dx.stride, dx, lane.dx.stride},
        scratch_.pack_b + run_.team.id() * scratch_.pack_b_size);
    if (!s.dropout || lane.layer == 0 || lane.direction + 1 < s.D) return;
    run_.team.barrier();
    drop(run_, lane.layer, span, lane.dx.as_const(), lane.dx);
  }

  // The step before the piece will need this dr when the piece's buffers hold another.
  void copy_boundary(const BackwardLane<T>& lane, const Step& step) const {
    const std::int64_t G = size_of(lane).G, row = run_.shape().offset(step.t);
    const Team::Range rows = run_.team.share(step.rows);
    if (rows.begin < rows.end)
      std::memcpy(lane.own.boundary + rows.begin * G, dr(lane).at(row + rows.begin),
                  sizeof(T) * static_cast<std::size_t>((rows.end - rows.begin) * G));
  }

  void vector_gradients(const BackwardLane<T>& lane) const {
    const Shape& s = run_.shape();
    const CellTraits& cell = s.cell;
    const std::int64_t H = size_of(lane).H, size = sums_size(s, H);
    const std::int64_t groups = (s.B + sum_group_rows(s) - 1) / sum_group_rows(s);
    const Team::Range units = run_.columns(H);
    const auto add = [&](Value<T>* gradient, std::int64_t j, Value<T> value) {
      if (gradient) gradient[j] = overwrite_ ? value : gradient[j] + value;
    };
    const auto total = [&](std::int64_t place) {
      Value<T> sum = lane.own.sums[place];
      for (std::int64_t g = 1; g < groups; ++g) sum = sum + lane.own.sums[g * size + place];
      return sum;
    };
    for (int gate = 0; gate < cell.gates; ++gate) {
      for (std::int64_t j = gate * H + units.begin; j < gate * H + units.end; ++j) {
        Value<T> sums[kMaxSums] = {}, extra[kMaxExtra] = {};
        for (int i = 0; i < cell.sums; ++i) sums[i] = total(i * cell.gates * H + j);
        for (int i = 0; i < cell.extra; ++i)
          extra[i] = lane.weights.extra[i] ? lane.weights.extra[i][j] : Value<T>(0);
        VectorGradients<Value<T>> g{};
        for_each_cell([&]<class Cell>(int index) {
          if (index == s.cell_index) g = Cell::template finish<Value<T>>(sums, extra);
        });
        add(lane.gradients.bias_ih, j, g.bias_ih);
        add(lane.gradients.bias_hh, j, g.bias_hh);
        for (int i = 0; i < cell.extra; ++i) add(lane.gradients.extra[i], j, g.extra[i]);
      }
    }
    for (int i = 0; i < cell.unit_vectors; ++i)
      for (std::int64_t j = units.begin; j < units.end; ++j)
        add(lane.gradients.extra[cell.extra + i], j, total((cell.sums * cell.gates + i) * H + j));
  }

  const Runner<T>& run_;
  const GroupBackward<T>& scratch_;
  const bool overwrite_;
};

}  // namespace rnn_engine
