// A backward tile: one layer and direction over a piece of K steps. The gates are recomputed if they were not
// kept; then comes the recurrence in reverse, a product dr U and the cell a step, which writes the gates'
// gradients over what forward kept. The weights' and the input's gradients are products over all steps of the
// piece: tiles of their own where the gates' gradients stay, else part of this one.
#pragma once

#include "cuda/run/run.h"

namespace rnn_engine::cuda {

template <class T>
using BackwardLane = BackwardRows<T, LaneBackward<T>>;

template <class T>
class BackwardTile {
 public:
  // `overwrite`: what stands in the weights' gradients does not matter.
  BackwardTile(const Runner<T>& run, const StreamBackward<T>& workspace, bool overwrite)
      : run_(run), workspace_(workspace), overwrite_(overwrite) {}

  // Before a lane's first tile.
  void begin(const BackwardLane<T>& lane) const {
    const Shape& s = run_.shape();
    const LayerShape& size = lane.size;
    if (lane.own.states.factors) {
      LaneBegin<T> begin{};
      begin.batch = static_cast<std::int32_t>(s.B);
      begin.units = static_cast<std::int32_t>(size.R);
      begin.factors = lane.own.states.factors;
      begin.recurrent = run_.recurrent_draw(lane.layer, lane.direction);
      begin.scale = dropout_scale<Value<T>>(s.recurrent_dropout);
      begin_lane(run_.stream, begin);
    }
    copy_values<Value<T>>(run_.stream, lane.dcn, s.B * size.H, lane.own.dc);
    fill_zero(lane.own.sums,
              sizeof(Value<T>) * static_cast<std::size_t>(sum_groups(s) * sums_size(s, size.H)), run_.stream);
  }

  // `rebuild`: a, r and c of the piece are to be recomputed from the input and h.
  void run(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1, bool rebuild) const {
    const Shape& s = run_.shape();
    const Span span = span_of(s, lane.direction, s0, s1);
    Rows<const T> input = lane.input;
    if (!lane.stored) input = begin_products(lane, s0, s1);
    if (rebuild) make_gates(lane, input, s0, s1);
    for (std::int64_t step = s1 - 1; step >= s0; --step)
      run_step(lane, step_at(s, lane.direction, step), step, s0, s1);
    const bool first = s1 == s.T;
    if (s.projected) projection_gradient(lane, span, first);
    if (!lane.stored) {
      weight_gradients(lane, input, span, first);
      if (lane.dx) input_gradient(lane, span);
      const Step step = step_at(s, lane.direction, s0);
      copy_values<T>(run_.stream, dr(lane).at(s.offset(step.t)), step.rows * lane.size.G, lane.own.boundary);
    }
    if (s0 == 0) finish_vectors(lane);
  }

  // Of kept gates, whose gradients now stand in their place.
  void run_weight_gradients(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    const Rows<const T> input = begin_products(lane, s0, s1);
    weight_gradients(lane, input, span_of(run_.shape(), lane.direction, s0, s1), s1 == run_.shape().T);
  }
  // The same for the input's gradient.
  void run_input_gradient(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    input_gradient(lane, span_of(run_.shape(), lane.direction, s0, s1));
  }

 private:
  Rows<T> dr(const BackwardLane<T>& lane) const { return run_.shape().cell.split ? lane.r : lane.a; }
  Rows<T> seen(const BackwardLane<T>& lane, const Span& span) const {
    return {workspace_.seen, span.row0, lane.size.R};
  }

  // What the layer read in forward, and h before each row.
  Rows<const T> begin_products(const BackwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const Span span = span_of(s, lane.direction, s0, s1);
    PreviousStates<T> states{};
    states.first = span.row0;
    states.rows = span.rows();
    states.units = static_cast<std::int32_t>(lane.size.R);
    states.direction = static_cast<std::int32_t>(lane.direction);
    states.map = run_.row_map();
    states.h = lane.h.data;
    states.h_first = lane.h.first;
    states.h_row = lane.h.stride;
    states.h0 = lane.h0;
    states.before = lane.h_before;
    states.before_step = static_cast<std::int32_t>(step_at(s, lane.direction, s0).t);
    states.factors = lane.own.states.factors;
    states.out = workspace_.seen;
    previous_states(run_.stream, states);
    if (!s.dropout || lane.layer == 0) return lane.input;
    const Rows<T> dropped{workspace_.dropped, span.row0, lane.size.I};
    run_.drop(lane.layer, span, lane.input, dropped);
    return dropped.as_const();
  }

  // The gates of the whole piece in two large products, and c by running the cells alone: the same chains of
  // operations as forward's.
  void make_gates(const BackwardLane<T>& lane, const Rows<const T>& input, std::int64_t s0,
                  std::int64_t s1) const {
    const Shape& s = run_.shape();
    const LayerShape& size = lane.size;
    const Span span = span_of(s, lane.direction, s0, s1);
    const Rows<Value<T>> a = products(lane.a, workspace_.piece_a, span, size);
    const Rows<Value<T>> r =
        s.cell.split ? products(lane.r, workspace_.piece_r, span, size) : Rows<Value<T>>{};
    Product<T> p = run_.input_product(lane, input, span, a);
    run_.multiply(p);
    p.k = size.R;
    p.a = by_rows<T>(workspace_.seen, size.R);
    p.b = by_rows<T>(lane.weights.weight_hh, size.R);
    p.bias[0] = s.cell.split && !s.cell.adds_bias ? lane.weights.bias_hh : nullptr;
    p.bias[1] = nullptr;
    p.init = s.cell.split ? nullptr : p.c;
    p.init_row = size.G;
    if (s.cell.split) p.c = r.at(span.row0);
    run_.multiply(p);
    make_cells(lane, a, r, s0, s1);
  }

  // Where the products of a piece grow whose gates are recomputed: in the place of the gates, unless those
  // are rounded.
  Rows<Value<T>> products(const Rows<T>& gates, Value<T>* unrounded, const Span& span,
                          const LayerShape& size) const {
    if constexpr (kRounds<T>)
      return {unrounded, span.row0, size.G};
    else
      return gates;
  }

  void make_cells(const BackwardLane<T>& lane, const Rows<Value<T>>& a, const Rows<Value<T>>& r,
                  std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const LayerShape& size = lane.size;
    copy_values<Value<T>>(run_.stream, lane.c0, s.B * size.H, lane.own.c);
    if (lane.c_before)
      copy_values<Value<T>>(run_.stream, lane.c_before, step_at(s, lane.direction, s0).rows * size.H,
                            lane.own.c);
    for (std::int64_t step = s0; step < s1; ++step) {
      const Step at = step_at(s, lane.direction, step);
      const std::int64_t row = s.offset(at.t);
      CellForward<T> cell{};
      cell.rows = static_cast<std::int32_t>(at.rows);
      cell.units = static_cast<std::int32_t>(size.H);
      cell.gate_row = size.G;
      cell.a = a.at(row);
      cell.r = r.at(row);
      const bool in_place = !kRounds<T> && s.cell.split;
      cell.reserve_a = in_place ? nullptr : lane.a.at(row);
      cell.reserve_r = in_place || !s.cell.split ? nullptr : lane.r.at(row);
      cell.weights = run_.cell_weights(lane.weights);
      cell.c_prev = cell.state = lane.own.c;
      cell.c = lane.c.at(row);
      cell.cell = s.zoneout_c > 0 ? lane.cell.at(row) : nullptr;
      cell.zoneout = run_.zoneout_draw(MaskKind::kZoneoutC, lane.layer, lane.direction, at.t);
      cell.raw = s.projected ? lane.raw.at(row) : nullptr;
      cell.work = workspace_.replay.h;
      cell_forward(run_.stream, s.cell_index, cell);
    }
  }

  void run_step(const BackwardLane<T>& lane, const Step& step, std::int64_t s, std::int64_t s0,
                std::int64_t s1) const {
    const Shape& shape = run_.shape();
    const std::int64_t row = shape.offset(step.t);
    const bool beyond = !lane.stored && s == s1 - 1;
    const T* after = step.continued == 0 ? nullptr
                     : beyond            ? lane.own.boundary
                                         : dr(lane).at(shape.offset(step.after));
    // Without recurrent dropout the product begins with dy.
    const T* begin = lane.own.states.factors ? nullptr : lane.dy.at(row);
    const bool fused = kRounds<T> && run_.fuses() && !shape.projected;
    if (after && !fused) state_product(lane, after, step.continued, begin);
    CellBackward<T> cell = cell_of(lane, step, row, !lane.stored && s == s0 && s > 0);
    if (shape.projected) {
      T* dstate = workspace_.dstate + (row - span_of(shape, lane.direction, s0, s1).row0) * lane.size.R;
      state_gradient(run_.stream, cell.gradient, dstate);
      output_product(lane, dstate, step.rows);
      cell.dh = workspace_.dh;
    }
    if constexpr (kRounds<T>) {
      if (fused)
        step_backward(run_.stream, shape.cell_index,
                      StepBackward<T>{after, lane.weights.weight_hh, begin, lane.dy.stride, cell});
    }
    if (!fused) cell_backward(run_.stream, shape.cell_index, cell);
    if (lane.dh0 && step.carried < step.rows) initial_gradients(lane, step, row);
  }

  // `first`: of a piece, so that c before it is where it was kept.
  CellBackward<T> cell_of(const BackwardLane<T>& lane, const Step& step, std::int64_t row, bool first) const {
    const Shape& shape = run_.shape();
    CellBackward<T> cell{};
    cell.rows = static_cast<std::int32_t>(step.rows);
    cell.units = static_cast<std::int32_t>(lane.size.H);
    cell.carried = static_cast<std::int32_t>(step.carried);
    cell.gate_row = lane.size.G;
    cell.a = lane.a.at(row);
    cell.r = shape.cell.split ? lane.r.at(row) : nullptr;
    cell.weights = run_.cell_weights(lane.weights);
    cell.c = (shape.zoneout_c > 0 ? lane.cell : lane.c).at(row);
    cell.known = static_cast<std::int32_t>(first ? step.rows : step.carried);
    cell.c_prev = first ? lane.c_before : step.carried ? lane.c.at(shape.offset(step.before)) : nullptr;
    cell.c_first = lane.c0;
    cell.gradient = state_gradient_of(lane, step, row);
    cell.dc_output = lane.dc_output.at(row);
    cell.dc_output_row = lane.dc_output.stride;
    cell.dc = lane.own.dc;
    cell.dc0 = lane.dc0;
    cell.zoneout = run_.zoneout_draw(MaskKind::kZoneoutC, lane.layer, lane.direction, step.t);
    cell.sums = lane.own.sums;
    cell.work = workspace_.work;
    cell.wide_a = workspace_.wide_a;
    cell.wide_r = workspace_.wide_r;
    return cell;
  }

  StateGradient<T> state_gradient_of(const BackwardLane<T>& lane, const Step& step, std::int64_t row) const {
    StateGradient<T> g{};
    g.rows = static_cast<std::int32_t>(step.rows);
    g.units = static_cast<std::int32_t>(lane.size.R);
    g.continued = static_cast<std::int32_t>(step.continued);
    g.product = state_sum(g.continued, g.units);
    g.dy = lane.dy.at(row);
    g.dy_row = lane.dy.stride;
    g.dhn = lane.dhn;
    g.factors = lane.own.states.factors;
    g.past = lane.own.past_h;
    g.zoneout = run_.zoneout_draw(MaskKind::kZoneoutH, lane.layer, lane.direction, step.t);
    return g;
  }

  // dr U has few values and a long k: with matrix units, every gate's part of k is a product of its own, so
  // that more processors have work. Of the ordinary units it is one chain, as on the CPU.
  std::int64_t state_slices() const { return run_.matrix_units() ? run_.shape().cell.gates : 1; }

  SlicedSum<T> state_sum(std::int64_t rows, std::int64_t units) const {
    return {workspace_.product, static_cast<std::int32_t>(state_slices()), rows * units};
  }

  // product = init + dr U
  void state_product(const BackwardLane<T>& lane, const T* gradient, std::int64_t rows, const T* init) const {
    const LayerShape& size = lane.size;
    Product<T> p{};
    p.m = rows;
    p.n = size.R;
    p.k = size.Z;
    p.a = by_rows<T>(gradient, size.G);
    p.b = by_columns<T>(lane.weights.weight_hh, size.R);
    p.stored_init = init;
    p.init_row = lane.dy.stride;
    p.c = workspace_.product;
    p.c_row = size.R;
    p.slices = state_slices();
    p.slice_c = rows * size.R;
    run_.multiply(p);
  }

  // dh = dstate W_hr
  void output_product(const BackwardLane<T>& lane, const T* dstate, std::int64_t rows) const {
    const LayerShape& size = lane.size;
    Product<T> p{};
    p.m = rows;
    p.n = size.H;
    p.k = size.R;
    p.a = by_rows<T>(dstate, size.R);
    p.b = by_columns<T>(lane.weights.weight_hr, size.H);
    p.c = workspace_.dh;
    p.c_row = size.H;
    run_.multiply(p);
  }

  // Rows [carried, rows) of this step began their sequences: what flows further back belongs to h0.
  void initial_gradients(const BackwardLane<T>& lane, const Step& step, std::int64_t row) const {
    state_product(lane, dr(lane).at(row + step.carried), step.rows - step.carried, nullptr);
    InitialGradient<T> gradient{};
    gradient.first = static_cast<std::int32_t>(step.carried);
    gradient.rows = static_cast<std::int32_t>(step.rows);
    gradient.units = static_cast<std::int32_t>(lane.size.R);
    gradient.product = state_sum(gradient.rows - gradient.first, gradient.units);
    gradient.factors = lane.own.states.factors;
    gradient.past = lane.own.past_h;
    gradient.out = lane.dh0;
    initial_gradient(run_.stream, gradient);
  }

  // gradient [m, n] += left^T right, over rows [rows, m] and [rows, n].
  void outer(std::int64_t rows, std::int64_t m, const T* left, std::int64_t left_row, std::int64_t n,
             const T* right, std::int64_t right_row, Value<T>* gradient, bool overwrite) const {
    if (!gradient) return;
    Product<T> p{};
    p.m = m;
    p.n = n;
    p.k = rows;
    p.a = by_columns<T>(left, left_row);
    p.b = by_columns<T>(right, right_row);
    if (!overwrite) {
      p.init = gradient;
      p.init_row = n;
    }
    p.c = gradient;
    p.c_row = n;
    p.any_order = true;
    run_.multiply(p);
  }

  void weight_gradients(const BackwardLane<T>& lane, const Rows<const T>& input, const Span& span,
                        bool first) const {
    const LayerShape& size = lane.size;
    const bool overwrite = overwrite_ && first;
    outer(span.rows(), size.Z, lane.a.at(span.row0), size.G, size.I, input.at(span.row0), input.stride,
          lane.gradients.weight_ih, overwrite);
    outer(span.rows(), size.Z, dr(lane).at(span.row0), size.G, size.R, workspace_.seen, size.R,
          lane.gradients.weight_hh, overwrite);
  }

  // Part of every backward tile: the gradients of h are there for its steps alone.
  void projection_gradient(const BackwardLane<T>& lane, const Span& span, bool first) const {
    const LayerShape& size = lane.size;
    outer(span.rows(), size.R, workspace_.dstate, size.R, size.H, lane.raw.at(span.row0), size.H,
          lane.gradients.weight_hr, overwrite_ && first);
  }

  // dx = da W; the second direction's is added to the first's, and dropout follows when it is complete.
  void input_gradient(const BackwardLane<T>& lane, const Span& span) const {
    const Shape& s = run_.shape();
    const LayerShape& size = lane.size;
    Product<T> p{};
    p.m = span.rows();
    p.n = size.I;
    p.k = size.Z;
    p.a = by_rows<T>(lane.a.at(span.row0), size.G);
    p.b = by_columns<T>(lane.weights.weight_ih, size.I);
    p.stored_init = lane.direction == 0 ? nullptr : lane.dx.at(span.row0);
    p.init_row = lane.dx.stride;
    p.stored_c = lane.dx.at(span.row0);
    p.c_row = lane.dx.stride;
    run_.multiply(p);
    if (!s.dropout || lane.layer == 0 || lane.direction + 1 < s.D) return;
    run_.drop(lane.layer, span, lane.dx.as_const(), lane.dx);
  }

  void finish_vectors(const BackwardLane<T>& lane) const {
    VectorSums<T> sums{};
    sums.units = static_cast<std::int32_t>(lane.size.H);
    sums.groups = static_cast<std::int32_t>(sum_groups(run_.shape()));
    sums.sums = lane.own.sums;
    sums.weights = run_.cell_weights(lane.weights);
    sums.bias_ih = lane.gradients.bias_ih;
    sums.bias_hh = lane.gradients.bias_hh;
    for (int e = 0; e < kMaxVectorParams; ++e) sums.vector_params[e] = lane.gradients.vector_params[e];
    sums.overwrite = overwrite_;
    vector_gradients(run_.stream, run_.shape().cell_index, sums);
  }

  const Runner<T>& run_;
  const StreamBackward<T>& workspace_;
  const bool overwrite_;
};

}  // namespace rnn_engine::cuda
