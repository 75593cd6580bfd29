// A forward tile: one layer and direction over some steps. One product W x for all of them; then for every
// step the product U h', the cell, and with a projection its product.
//
// c goes from step to step in cn, which begins as c0. What U sees goes in two buffers in turn, and to hn when
// a sequence, or the tile, ends.
#pragma once

#include "cuda/run/run.h"

namespace rnn_engine::cuda {

template <class T>
struct ForwardPseudoLayer : ForwardRows<T> {
  PseudoLayerStates<T> states;
};

template <class T>
class ForwardTile {
 public:
  ForwardTile(const Runner<T>& run, const Rolling<T>& rolling) : run_(run), rolling_(rolling) {}

  // Before a pseudo-layer's first tile, of steps from s0 on: the states begin as `h0` and `c0` (nullptr: zeros).
  void begin(const ForwardPseudoLayer<T>& pseudo, const T* h0, const Value<T>* c0) const {
    const Shape& s = run_.shape();
    PseudoLayerBegin<T> begin{};
    begin.batch = static_cast<std::int32_t>(s.B);
    begin.units = static_cast<std::int32_t>(pseudo.size.R);
    begin.hidden = static_cast<std::int32_t>(pseudo.size.H);
    begin.h0 = h0;
    begin.c0 = c0;
    begin.h = pseudo.hn;
    begin.c = pseudo.cn;
    begin.next[0] = pseudo.states.next[0];
    begin.next[1] = pseudo.states.next[1];
    begin.factors = pseudo.states.factors;
    begin.recurrent = run_.recurrent_draw(pseudo.layer, pseudo.direction);
    begin.scale = dropout_scale<Value<T>>(s.recurrent_dropout);
    begin_pseudo_layer(run_.stream, begin);
  }

  void run(const ForwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const StepRange range = step_range(s, pseudo.direction, s0, s1);
    RowWindow<const T> input = pseudo.input;
    if (s.dropout && pseudo.layer > 0) {
      const RowWindow<T> dropped{rolling_.dropped, range.row0, pseudo.size.I};
      run_.drop(pseudo.layer, range, input, dropped);
      input = dropped.as_const();
    }
    RowWindow<Value<T>> wx{rolling_.wx, range.row0, pseudo.size.G};
    if constexpr (!kRounds<T>) {
      if (pseudo.wx) wx = pseudo.wx;
    }
    run_.multiply(run_.input_product(pseudo, input, range, wx));
    for (std::int64_t step = s0; step < s1; ++step)
      run_step(pseudo, step_at(s, pseudo.direction, step), step, wx, step == s1 - 1);
    if (pseudo.sum) run_.add(range, pseudo.size.R, pseudo.residual_input(), pseudo.h.as_const(), pseudo.sum);
  }

 private:
  void run_step(const ForwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t s, const RowWindow<Value<T>>& wx,
                bool last) const {
    const Shape& shape = run_.shape();
    const LayerShape& size = pseudo.size;
    const std::int64_t row = shape.offset(step.t);
    keep_states(pseudo, step, s);
    Value<T>* uh = shape.cell.split ? rolling_.uh : nullptr;
    if constexpr (!kRounds<T>) {
      if (pseudo.uh) uh = pseudo.uh.at(row);
    }
    CellForward<T> cell{};
    cell.rows = static_cast<std::int32_t>(step.rows);
    cell.units = static_cast<std::int32_t>(size.H);
    cell.gate_row = size.G;
    cell.wx = wx.at(row);
    cell.uh = uh;
    // What the cell leaves as it is stays where it is: a split cell's products, unless they were never there.
    const bool in_place = !kRounds<T> && (shape.cell.split || !pseudo.wx);
    cell.reserve_wx = in_place ? nullptr : pseudo.wx.at(row);
    cell.reserve_uh = in_place && !run_.fuses() ? nullptr : pseudo.uh.at(row);
    cell.weights = run_.cell_weights(pseudo.weights);
    cell.c_prev = cell.state = pseudo.cn;
    cell.c = pseudo.c.at(row);
    cell.c_candidate = shape.zoneout_c == 0 ? nullptr
                       : pseudo.c_candidate ? pseudo.c_candidate.at(row)
                                            : rolling_.c_candidate;
    cell.c_output = pseudo.c_output.at(row);
    cell.c_output_row = pseudo.c_output.stride;
    cell.zoneout = run_.zoneout_draw(MaskKind::kZoneoutC, pseudo.layer, pseudo.direction, step.t);
    cell.h_unprojected = !shape.projected       ? nullptr
                         : pseudo.h_unprojected ? pseudo.h_unprojected.at(row)
                                                : rolling_.h_unprojected;
    cell.end = hidden_end(pseudo, step, s, last);
    cell.work = rolling_.h;
    if (run_.fuses()) {
      run_fused(pseudo, s, cell);
    } else {
      recurrent_product(pseudo, step, s, cell.wx, uh);
      cell_forward(run_.stream, shape.cell_index, cell);
    }
    if (shape.projected) {
      project(pseudo, step, cell.h_unprojected);
      end_hidden(run_.stream, cell.end);
    }
  }

  HiddenEnd<T> hidden_end(const ForwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t s, bool last) const {
    HiddenEnd<T> end{};
    end.rows = static_cast<std::int32_t>(step.rows);
    end.units = static_cast<std::int32_t>(pseudo.size.R);
    end.h = pseudo.h.at(run_.shape().offset(step.t));
    end.h_row = pseudo.h.stride;
    end.state = pseudo.hn;
    end.ended = last ? 0 : static_cast<std::int32_t>(step.continued);
    end.next = pseudo.states.next[(s + 1) % 2];
    end.factors = pseudo.states.factors;
    end.zoneout = run_.zoneout_draw(MaskKind::kZoneoutH, pseudo.layer, pseudo.direction, step.t);
    return end;
  }

  // U h' onto a, or into r.
  void recurrent_product(const ForwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t s, Value<T>* wx,
                         Value<T>* uh) const {
    const Shape& shape = run_.shape();
    const LayerShape& size = pseudo.size;
    Product<T> p{};
    p.m = step.rows;
    p.n = size.Z;
    p.k = size.R;
    p.a = by_rows<T>(pseudo.states.next[s % 2], size.R);
    p.b = by_rows<T>(pseudo.weights.weight_hh, size.R);
    if (uh && !shape.cell.adds_bias) p.bias[0] = pseudo.weights.bias_hh;
    if (!uh) {
      p.init = wx;
      p.init_row = size.G;
    }
    p.c = uh ? uh : wx;
    p.c_row = size.G;
    run_.multiply(p);
  }

  // The product U h' with the cell behind it.
  void run_fused(const ForwardPseudoLayer<T>& pseudo, std::int64_t s, const CellForward<T>& cell) const {
    const LayerShape& size = pseudo.size;
    StepForward<T> step{};
    step.h = by_rows<T>(pseudo.states.next[s % 2], size.R);
    step.u = by_rows<T>(pseudo.weights.weight_hh, size.R);
    step.depth = size.R;
    step.bias = pseudo.weights.bias_hh;
    step.cell = cell;
    if constexpr (!std::is_same_v<T, double>) step_forward(run_.stream, run_.shape().cell_index, step);
  }

  // h = W_hr (o tanh c)
  void project(const ForwardPseudoLayer<T>& pseudo, const Step& step, const T* h_unprojected) const {
    const LayerShape& size = pseudo.size;
    Product<T> p{};
    p.m = step.rows;
    p.n = size.R;
    p.k = size.H;
    p.a = by_rows<T>(h_unprojected, size.H);
    p.b = by_rows<T>(pseudo.weights.weight_hr, size.H);
    p.stored_c = pseudo.h.at(run_.shape().offset(step.t));
    p.c_row = pseudo.h.stride;
    run_.multiply(p);
  }

  // Before the first step of a piece of K steps: c, and with checkpoints h, for the backward call. Where the
  // policy keeps h_states, tiles end with the pieces, and so hn is complete.
  void keep_states(const ForwardPseudoLayer<T>& pseudo, const Step& step, std::int64_t s) const {
    const std::int64_t K = run_.plan.schedule.backward_steps;
    if (!pseudo.c_states || s == 0 || s % K != 0) return;
    const LayerShape& size = pseudo.size;
    const std::int64_t B = run_.shape().B, piece = s / K - 1;
    copy_values<Value<T>>(run_.stream, pseudo.cn, step.rows * size.H, pseudo.c_states + piece * B * size.H);
    if (pseudo.h_states)
      copy_values<T>(run_.stream, pseudo.hn, step.rows * size.R, pseudo.h_states + piece * B * size.R);
  }

  const Runner<T>& run_;
  const Rolling<T>& rolling_;
};

}  // namespace rnn_engine::cuda
