// A backward tile: one layer and direction over a piece of K steps. The gates are recomputed if they were not
// kept; then comes the recurrence in reverse, a product d_uh U and the cell a step, which writes the gates'
// gradients over what forward kept. The weights' and the input's gradients are products over all steps of the
// piece: tiles of their own where the gates' gradients stay, else part of this one.
#pragma once

#include "cuda/run/gradients.h"

namespace rnn_engine::cuda {

template <class T>
class BackwardTile {
 public:
  // `overwrite`: what stands in the weights' gradients does not matter.
  BackwardTile(const Runner<T>& run, const StreamBackward<T>& workspace, bool overwrite)
      : run_(run), workspace_(workspace), overwrite_(overwrite) {}

  // Before a pseudo-layer's first tile.
  void begin(const BackwardPseudoLayer<T>& pseudo) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo.size;
    if (pseudo.own.states.factors) {
      PseudoLayerBegin<T> begin{};
      begin.batch = static_cast<std::int32_t>(s.B);
      begin.units = static_cast<std::int32_t>(size.R);
      begin.factors = pseudo.own.states.factors;
      begin.recurrent = run_.recurrent_draw(pseudo.layer, pseudo.direction);
      begin.scale = dropout_scale<Value<T>>(s.recurrent_dropout);
      begin_pseudo_layer(run_.stream, begin);
    }
    copy_values<Value<T>>(run_.stream, pseudo.dcn, s.B * size.H, pseudo.own.dc);
    fill_zero(pseudo.own.sums, sizeof(Value<T>) * static_cast<std::size_t>(row_blocks(s) * sums_size(s, size.H)),
              run_.stream);
  }

  // `rebuild`: wx, uh and c of the piece are to be recomputed from the input and h.
  void run(const BackwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1, bool rebuild) const {
    const Shape& s = run_.shape();
    const Gradients<T> gradients = gradients_of(pseudo);
    RowWindow<const T> input = pseudo.input;
    if (!pseudo.stored) input = gradients.begin(s0, s1);
    if (rebuild) make_gates(pseudo, input, s0, s1);
    for (std::int64_t step = s1 - 1; step >= s0; --step)
      run_step(pseudo, step_at(s, pseudo.direction, step), step, s0, s1);
    if (s.projected) gradients.of_projection(s0, s1);
    if (!pseudo.stored) {
      gradients.of_weights(input, s0, s1);
      if (pseudo.dx) gradients.of_input(s0, s1);
      const Step step = step_at(s, pseudo.direction, s0);
      copy_values<T>(run_.stream, pseudo.d_uh().at(s.offset(step.t)), step.rows * pseudo.size.G, pseudo.own.boundary);
    }
    if (s0 == 0) gradients.of_vectors();
  }

  // Of kept gates, whose gradients now stand in their place.
  void run_weight_gradients(const BackwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1) const {
    const Gradients<T> gradients = gradients_of(pseudo);
    gradients.of_weights(gradients.begin(s0, s1), s0, s1);
  }
  // The same for the input's gradient.
  void run_input_gradient(const BackwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1) const {
    gradients_of(pseudo).of_input(s0, s1);
  }

 private:
  Gradients<T> gradients_of(const BackwardPseudoLayer<T>& pseudo) const {
    return {run_, workspace_, pseudo, overwrite_};
  }

  // The gates of the whole piece in two large products, and c by running the cells alone: the same chains of
  // operations as forward's.
  void make_gates(const BackwardPseudoLayer<T>& pseudo, const RowWindow<const T>& input, std::int64_t s0,
                  std::int64_t s1) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo.size;
    const StepRange range = step_range(s, pseudo.direction, s0, s1);
    const RowWindow<Value<T>> wx = products(pseudo.wx, workspace_.piece_wx, range, size);
    const RowWindow<Value<T>> uh =
        s.cell.split ? products(pseudo.uh, workspace_.piece_uh, range, size) : RowWindow<Value<T>>{};
    Product<T> p = run_.input_product(pseudo, input, range, wx);
    run_.multiply(p);
    p.k = size.R;
    p.a = by_rows<T>(workspace_.h_previous, size.R);
    p.b = by_rows<T>(pseudo.weights.weight_hh, size.R);
    p.bias[0] = s.cell.split && !s.cell.adds_bias ? pseudo.weights.bias_hh : nullptr;
    p.bias[1] = nullptr;
    p.init = s.cell.split ? nullptr : p.c;
    p.init_row = size.G;
    if (s.cell.split) p.c = uh.at(range.row0);
    run_.multiply(p);
    make_cells(pseudo, wx, uh, s0, s1);
  }

  // Where the products of a piece grow whose gates are recomputed: in the place of the gates, unless those are rounded.
  RowWindow<Value<T>> products(const RowWindow<T>& gates, Value<T>* unrounded, const StepRange& range,
                               const LayerShape& size) const {
    if constexpr (kRounds<T>)
      return {unrounded, range.row0, size.G};
    else
      return gates;
  }

  void make_cells(const BackwardPseudoLayer<T>& pseudo, const RowWindow<Value<T>>& wx, const RowWindow<Value<T>>& uh,
                  std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo.size;
    copy_values<Value<T>>(run_.stream, pseudo.c0, s.B * size.H, pseudo.own.c);
    if (pseudo.c_before)
      copy_values<Value<T>>(run_.stream, pseudo.c_before, step_at(s, pseudo.direction, s0).rows * size.H, pseudo.own.c);
    for (std::int64_t step = s0; step < s1; ++step) {
      const Step at = step_at(s, pseudo.direction, step);
      const std::int64_t row = s.offset(at.t);
      CellForward<T> cell{};
      cell.rows = static_cast<std::int32_t>(at.rows);
      cell.units = static_cast<std::int32_t>(size.H);
      cell.gate_row = size.G;
      cell.wx = wx.at(row);
      cell.uh = uh.at(row);
      const bool in_place = !kRounds<T> && s.cell.split;
      cell.reserve_wx = in_place ? nullptr : pseudo.wx.at(row);
      cell.reserve_uh = in_place || !s.cell.split ? nullptr : pseudo.uh.at(row);
      cell.weights = run_.cell_weights(pseudo.weights);
      cell.c_prev = cell.state = pseudo.own.c;
      cell.c = pseudo.c.at(row);
      cell.c_candidate = s.zoneout_c > 0 ? pseudo.c_candidate.at(row) : nullptr;
      cell.zoneout = run_.zoneout_draw(MaskKind::kZoneoutC, pseudo.layer, pseudo.direction, at.t);
      cell.h_unprojected = s.projected ? pseudo.h_unprojected.at(row) : nullptr;
      cell.work = workspace_.replay.h;
      cell_forward(run_.stream, s.cell_index, cell);
    }
  }

  void run_step(const BackwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t s, std::int64_t s0,
                std::int64_t s1) const {
    const Shape& shape = run_.shape();
    const std::int64_t row = shape.offset(step.t);
    const bool beyond = !pseudo.stored && s == s1 - 1;
    const T* after = step.continued == 0 ? nullptr
                     : beyond            ? pseudo.own.boundary
                                         : pseudo.d_uh().at(shape.offset(step.after));
    // Without recurrent dropout the product begins with dy.
    const T* begin = pseudo.own.states.factors ? nullptr : pseudo.dy.at(row);
    const bool fused = kRounds<T> && run_.fuses() && !shape.projected;
    if (after && !fused) state_product(pseudo, after, step.continued, begin);
    CellBackward<T> cell = cell_of(pseudo, step, row, !pseudo.stored && s == s0 && s > 0);
    if (shape.projected) {
      T* dstate = workspace_.dstate + (row - step_range(shape, pseudo.direction, s0, s1).row0) * pseudo.size.R;
      state_gradient(run_.stream, cell.gradient, dstate);
      output_product(pseudo, dstate, step.rows);
      cell.dh = workspace_.dh;
    }
    if constexpr (kRounds<T>) {
      if (fused)
        step_backward(run_.stream, shape.cell_index,
                      StepBackward<T>{after, pseudo.weights.weight_hh, begin, pseudo.dy.stride, cell});
    }
    if (!fused) cell_backward(run_.stream, shape.cell_index, cell);
    if (pseudo.dh0 && step.carried < step.rows) initial_gradients(pseudo, step, row);
  }

  // `first`: of a piece, so that c before it is where it was kept.
  CellBackward<T> cell_of(const BackwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t row, bool first) const {
    const Shape& shape = run_.shape();
    CellBackward<T> cell{};
    cell.rows = static_cast<std::int32_t>(step.rows);
    cell.units = static_cast<std::int32_t>(pseudo.size.H);
    cell.carried = static_cast<std::int32_t>(step.carried);
    cell.gate_row = pseudo.size.G;
    cell.wx = pseudo.wx.at(row);
    cell.uh = shape.cell.split ? pseudo.uh.at(row) : nullptr;
    cell.weights = run_.cell_weights(pseudo.weights);
    cell.c = (shape.zoneout_c > 0 ? pseudo.c_candidate : pseudo.c).at(row);
    cell.known = static_cast<std::int32_t>(first ? step.rows : step.carried);
    cell.c_prev = first ? pseudo.c_before : step.carried ? pseudo.c.at(shape.offset(step.before)) : nullptr;
    cell.c_first = pseudo.c0;
    cell.gradient = state_gradient_of(pseudo, step, row);
    cell.dc_output = pseudo.dc_output.at(row);
    cell.dc_output_row = pseudo.dc_output.stride;
    cell.dc = pseudo.own.dc;
    cell.dc0 = pseudo.dc0;
    cell.zoneout = run_.zoneout_draw(MaskKind::kZoneoutC, pseudo.layer, pseudo.direction, step.t);
    cell.sums = pseudo.own.sums;
    cell.work = workspace_.work;
    cell.wide_wx = workspace_.wide_wx;
    cell.wide_uh = workspace_.wide_uh;
    return cell;
  }

  StateGradient<T> state_gradient_of(const BackwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t row) const {
    StateGradient<T> g{};
    g.rows = static_cast<std::int32_t>(step.rows);
    g.units = static_cast<std::int32_t>(pseudo.size.R);
    g.continued = static_cast<std::int32_t>(step.continued);
    g.product = state_sum(g.continued, g.units);
    g.dy = pseudo.dy.at(row);
    g.dy_row = pseudo.dy.stride;
    g.dhn = pseudo.dhn;
    g.factors = pseudo.own.states.factors;
    g.past = pseudo.own.past_h;
    g.zoneout = run_.zoneout_draw(MaskKind::kZoneoutH, pseudo.layer, pseudo.direction, step.t);
    return g;
  }

  // d_uh U has few values and a long k: with matrix units, every gate's part of k is a product of its own, so
  // that more processors have work. Of the ordinary units it is one chain, as on the CPU.
  std::int64_t state_slices() const { return run_.matrix_units() ? run_.shape().cell.gates : 1; }

  SlicedSum<T> state_sum(std::int64_t rows, std::int64_t units) const {
    return {workspace_.product, static_cast<std::int32_t>(state_slices()), rows * units};
  }

  // product = init + d_uh U
  void state_product(const BackwardPseudoLayer<T>& pseudo, const T* gradient, std::int64_t rows, const T* init) const {
    const LayerShape& size = pseudo.size;
    Product<T> p{};
    p.m = rows;
    p.n = size.R;
    p.k = size.Z;
    p.a = by_rows<T>(gradient, size.G);
    p.b = by_columns<T>(pseudo.weights.weight_hh, size.R);
    p.stored_init = init;
    p.init_row = pseudo.dy.stride;
    p.c = workspace_.product;
    p.c_row = size.R;
    p.slices = state_slices();
    p.slice_c = rows * size.R;
    run_.multiply(p);
  }

  // dh = dstate W_hr
  void output_product(const BackwardPseudoLayer<T>& pseudo, const T* dstate, std::int64_t rows) const {
    const LayerShape& size = pseudo.size;
    Product<T> p{};
    p.m = rows;
    p.n = size.H;
    p.k = size.R;
    p.a = by_rows<T>(dstate, size.R);
    p.b = by_columns<T>(pseudo.weights.weight_hr, size.H);
    p.c = workspace_.dh;
    p.c_row = size.H;
    run_.multiply(p);
  }

  // Rows [carried, rows) of this step began their sequences: what flows further back belongs to h0.
  void initial_gradients(const BackwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t row) const {
    state_product(pseudo, pseudo.d_uh().at(row + step.carried), step.rows - step.carried, nullptr);
    InitialGradient<T> gradient{};
    gradient.first = static_cast<std::int32_t>(step.carried);
    gradient.rows = static_cast<std::int32_t>(step.rows);
    gradient.units = static_cast<std::int32_t>(pseudo.size.R);
    gradient.product = state_sum(gradient.rows - gradient.first, gradient.units);
    gradient.factors = pseudo.own.states.factors;
    gradient.past = pseudo.own.past_h;
    gradient.out = pseudo.dh0;
    initial_gradient(run_.stream, gradient);
  }

  const Runner<T>& run_;
  const StreamBackward<T>& workspace_;
  const bool overwrite_;
};

}  // namespace rnn_engine::cuda
