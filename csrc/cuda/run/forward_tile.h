// A forward tile: one layer and direction over some steps. One product W x for all of them; then for every
// step the product U h', the cell, and with a projection its product.
//
// c goes from step to step in cn, which begins as c0. What U sees goes in two buffers in turn, and to hn when
// a sequence, or the tile, ends.
#pragma once

#include "cuda/run/run.h"

namespace rnn_engine::cuda {

template <class T>
struct ForwardLane : ForwardRows<T> {
  LaneStates<T> states;
};

template <class T>
class ForwardTile {
 public:
  ForwardTile(const Runner<T>& run, const Rolling<T>& rolling) : run_(run), rolling_(rolling) {}

  // Before a lane's first tile, of steps from s0 on: the states begin as `h0` and `c0` (nullptr: zeros).
  void begin(const ForwardLane<T>& lane, const T* h0, const Value<T>* c0) const {
    const Shape& s = run_.shape();
    LaneBegin<T> begin{};
    begin.batch = static_cast<std::int32_t>(s.B);
    begin.units = static_cast<std::int32_t>(lane.size.R);
    begin.hidden = static_cast<std::int32_t>(lane.size.H);
    begin.h0 = h0;
    begin.c0 = c0;
    begin.h = lane.hn;
    begin.c = lane.cn;
    begin.next[0] = lane.states.next[0];
    begin.next[1] = lane.states.next[1];
    begin.factors = lane.states.factors;
    begin.recurrent = run_.recurrent_draw(lane.layer, lane.direction);
    begin.scale = dropout_scale<Value<T>>(s.recurrent_dropout);
    begin_lane(run_.stream, begin);
  }

  void run(const ForwardLane<T>& lane, std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const Span span = span_of(s, lane.direction, s0, s1);
    Rows<const T> input = lane.input;
    if (s.dropout && lane.layer > 0) {
      const Rows<T> dropped{rolling_.dropped, span.row0, lane.size.I};
      run_.drop(lane.layer, span, input, dropped);
      input = dropped.as_const();
    }
    Rows<Value<T>> a{rolling_.a, span.row0, lane.size.G};
    if constexpr (!kRounds<T>) {
      if (lane.a) a = lane.a;
    }
    run_.multiply(run_.input_product(lane, input, span, a));
    for (std::int64_t step = s0; step < s1; ++step)
      run_step(lane, step_at(s, lane.direction, step), step, a, step == s1 - 1);
  }

 private:
  void run_step(const ForwardLane<T>& lane, const Step& step, std::int64_t s, const Rows<Value<T>>& a,
                bool last) const {
    const Shape& shape = run_.shape();
    const LayerShape& size = lane.size;
    const std::int64_t row = shape.offset(step.t);
    keep_states(lane, step, s);
    Value<T>* r = shape.cell.split ? rolling_.r : nullptr;
    if constexpr (!kRounds<T>) {
      if (lane.r) r = lane.r.at(row);
    }
    CellForward<T> cell{};
    cell.rows = static_cast<std::int32_t>(step.rows);
    cell.units = static_cast<std::int32_t>(size.H);
    cell.gate_row = size.G;
    cell.a = a.at(row);
    cell.r = r;
    // What the cell leaves as it is stays where it is: a split cell's products, unless they were never there.
    const bool in_place = !kRounds<T> && (shape.cell.split || !lane.a);
    cell.reserve_a = in_place ? nullptr : lane.a.at(row);
    cell.reserve_r = in_place && !run_.fuses() ? nullptr : lane.r.at(row);
    cell.weights = run_.cell_weights(lane.weights);
    cell.c_prev = cell.state = lane.cn;
    cell.c = lane.c.at(row);
    cell.cell = shape.zoneout_c == 0 ? nullptr : lane.cell ? lane.cell.at(row) : rolling_.cell;
    cell.c_output = lane.c_output.at(row);
    cell.c_output_row = lane.c_output.stride;
    cell.zoneout = run_.zoneout_draw(MaskKind::kZoneoutC, lane.layer, lane.direction, step.t);
    cell.raw = !shape.projected ? nullptr : lane.raw ? lane.raw.at(row) : rolling_.raw;
    cell.end = hidden_end(lane, step, s, last);
    cell.work = rolling_.h;
    if (run_.fuses()) {
      run_fused(lane, s, cell);
    } else {
      recurrent_product(lane, step, s, cell.a, r);
      cell_forward(run_.stream, shape.cell_index, cell);
    }
    if (shape.projected) {
      project(lane, step, cell.raw);
      end_hidden(run_.stream, cell.end);
    }
  }

  HiddenEnd<T> hidden_end(const ForwardLane<T>& lane, const Step& step, std::int64_t s, bool last) const {
    HiddenEnd<T> end{};
    end.rows = static_cast<std::int32_t>(step.rows);
    end.units = static_cast<std::int32_t>(lane.size.R);
    end.h = lane.h.at(run_.shape().offset(step.t));
    end.h_row = lane.h.stride;
    end.state = lane.hn;
    end.ended = last ? 0 : static_cast<std::int32_t>(step.continued);
    end.next = lane.states.next[(s + 1) % 2];
    end.factors = lane.states.factors;
    end.zoneout = run_.zoneout_draw(MaskKind::kZoneoutH, lane.layer, lane.direction, step.t);
    return end;
  }

  // U h' onto a, or into r.
  void recurrent_product(const ForwardLane<T>& lane, const Step& step, std::int64_t s, Value<T>* a,
                         Value<T>* r) const {
    const Shape& shape = run_.shape();
    const LayerShape& size = lane.size;
    Product<T> p{};
    p.m = step.rows;
    p.n = size.Z;
    p.k = size.R;
    p.a = by_rows<T>(lane.states.next[s % 2], size.R);
    p.b = by_rows<T>(lane.weights.weight_hh, size.R);
    if (r && !shape.cell.adds_bias) p.bias[0] = lane.weights.bias_hh;
    if (!r) {
      p.init = a;
      p.init_row = size.G;
    }
    p.c = r ? r : a;
    p.c_row = size.G;
    run_.multiply(p);
  }

  // The product U h' with the cell behind it.
  void run_fused(const ForwardLane<T>& lane, std::int64_t s, const CellForward<T>& cell) const {
    const LayerShape& size = lane.size;
    StepForward<T> step{};
    step.h = by_rows<T>(lane.states.next[s % 2], size.R);
    step.u = by_rows<T>(lane.weights.weight_hh, size.R);
    step.depth = size.R;
    step.bias = lane.weights.bias_hh;
    step.cell = cell;
    if constexpr (!std::is_same_v<T, double>) step_forward(run_.stream, run_.shape().cell_index, step);
  }

  // h = W_hr (o tanh c)
  void project(const ForwardLane<T>& lane, const Step& step, const T* raw) const {
    const LayerShape& size = lane.size;
    Product<T> p{};
    p.m = step.rows;
    p.n = size.R;
    p.k = size.H;
    p.a = by_rows<T>(raw, size.H);
    p.b = by_rows<T>(lane.weights.weight_hr, size.H);
    p.stored_c = lane.h.at(run_.shape().offset(step.t));
    p.c_row = lane.h.stride;
    run_.multiply(p);
  }

  // Before the first step of a piece of K steps: c, and with checkpoints h, for the backward call. Where the
  // policy keeps h_states, tiles end with the pieces, and so hn is complete.
  void keep_states(const ForwardLane<T>& lane, const Step& step, std::int64_t s) const {
    const std::int64_t K = run_.plan.schedule.backward_steps;
    if (!lane.c_states || s == 0 || s % K != 0) return;
    const LayerShape& size = lane.size;
    const std::int64_t B = run_.shape().B, piece = s / K - 1;
    copy_values<Value<T>>(run_.stream, lane.cn, step.rows * size.H, lane.c_states + piece * B * size.H);
    if (lane.h_states)
      copy_values<T>(run_.stream, lane.hn, step.rows * size.R, lane.h_states + piece * B * size.R);
  }

  const Runner<T>& run_;
  const Rolling<T>& rolling_;
};

}  // namespace rnn_engine::cuda
