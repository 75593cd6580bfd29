// One lane of the backward call, a layer and direction: what it reads and writes, on every device.
#pragma once

#include "plan/forward_pseudo_layer.h"

namespace rnn_engine {

// `Own`: its part of the device's workspace, with LanePieces in it.
template <class T, class Own>
struct BackwardRows {
  const LayerShape& size;
  std::int64_t layer, direction;
  Weights<T> weights;
  Weights<Value<T>> gradients;
  Own own;
  Rows<const T> input;
  Rows<T> a, r, raw;  // kept or recomputed; gradients are written over a and r (= a unless split)
  Rows<Value<T>> c, cell;
  Rows<const T> h;                 // from this direction's first unit
  Rows<const T> dy;                // or empty: zeros
  Rows<const Value<T>> dc_output;  // the same
  Rows<T> dx;                      // or empty: not wanted
  // Of h [B, R], of c [B, H]: initial states, the gradients that come from behind (nullptr: zeros), those of
  // the initial states (nullptr: not wanted), and the states before the piece, where they are not in c and h.
  const T *h0 = nullptr, *dhn = nullptr, *h_before = nullptr;
  const Value<T>*c0 = nullptr, *dcn = nullptr, *c_before = nullptr;
  T* dh0 = nullptr;
  Value<T>* dc0 = nullptr;
  bool stored = false;  // a, r, c and h hold all rows, not just the piece's

  BackwardRows(const Shape& shape, const Tile& tile, const Weights<T>& w, const Weights<Value<T>>& g,
               const Own& workspace)
      : size(shape.layer(tile.layer)),
        layer(tile.layer),
        direction(tile.direction),
        weights(w),
        gradients(g),
        own(workspace) {}
};

// Finds the rows of its lanes.
template <class T, class Own>
class BackwardCall {
 public:
  // `zeros`: [B, widest state], stands for absent initial states; nullptr: they stay nullptr.
  BackwardCall(const PlanBase& plan, const rnn_engine_backward_args& args, const LayerGradients<T>& between,
               const Value<T>* zeros)
      : plan_(plan), args_(args), between_(between), zeros_(zeros) {}

  Own workspace_of(const Tile& tile) const {
    Arena arena(offset_by(args_.workspace, plan_.backward_slots[lane_index(plan_.shape, tile)]));
    return Own(plan_.layout(), tile.layer, tile.direction, arena);
  }

  BackwardRows<T, Own> rows_of(const Tile& tile) const {
    const Shape& s = plan_.shape;
    const std::size_t index = lane_index(s, tile);
    BackwardRows<T, Own> lane(s, tile, Weights<T>(args_.weights[index]),
                              Weights<Value<T>>(args_.gradients[index]), workspace_of(tile));
    const LayerShape& size = lane.size;
    const ReserveDirection<T> values = reserve(tile);
    lane.stored = plan_.schedule.of(tile.layer) == Policy::kStore;
    find_gates(tile, values, lane);
    lane.input = input(tile);
    lane.h = output(tile.layer, tile).as_const();
    lane.h.data += tile.direction * size.R;
    const bool top = tile.layer == s.L - 1;
    lane.dy = top ? Rows<const T>{static_cast<const T*>(args_.dy), 0, s.D * size.R}
                  : input_gradient(tile.layer + 1, tile).as_const();
    if (lane.dy) lane.dy.data += tile.direction * size.R;
    if (top && args_.dcy)
      lane.dc_output = {static_cast<const Value<T>*>(args_.dcy) + tile.direction * size.H, 0, s.D * size.H};
    lane.dx = input_gradient(tile.layer, tile);
    lane.h0 = initial<T>(args_.h0, size.h_state, tile, size.R);
    lane.c0 = initial<Value<T>>(args_.c0, size.c_state, tile, size.H);
    lane.dhn = lane_state<const T>(s, args_.dhn, size.h_state, tile, size.R);
    lane.dcn = lane_state<const Value<T>>(s, args_.dcn, size.c_state, tile, size.H);
    lane.dh0 = lane_state<T>(s, args_.dh0, size.h_state, tile, size.R);
    lane.dc0 = lane_state<Value<T>>(s, args_.dc0, size.c_state, tile, size.H);
    lane.c_before = state_before<Value<T>>(values.c_states, tile, size.H);
    lane.h_before = state_before<T>(values.h_states, tile, size.R);
    return lane;
  }

  // Of a piece that runs forward again.
  ForwardRows<T> replayed_rows(const Tile& tile, const Own& own) const {
    const Shape& s = plan_.shape;
    const std::int64_t row0 = s.offset(tile.s0);
    ForwardRows<T> lane(s, tile, Weights<T>(args_.weights[lane_index(s, tile)]));
    lane.input = input(tile);
    lane.a = {own.piece_a, row0, lane.size.G};
    lane.r = {own.piece_r, row0, lane.size.G};
    lane.c = {own.piece_c, row0, lane.size.H};
    lane.cell = {own.piece_cell, row0, lane.size.H};
    lane.raw = {own.piece_raw, row0, lane.size.H};
    lane.h = {own.piece_h, row0, lane.size.R};
    lane.hn = own.h;
    lane.cn = own.c;
    return lane;
  }
  // The states with which it begins.
  const T* replayed_h0(const Tile& tile) const {
    const LayerShape& size = plan_.shape.layer(tile.layer);
    const T* h = state_before<T>(reserve(tile).h_states, tile, size.R);
    return h ? h : initial<T>(args_.h0, size.h_state, tile, size.R);
  }
  const Value<T>* replayed_c0(const Tile& tile) const {
    const LayerShape& size = plan_.shape.layer(tile.layer);
    const Value<T>* c = state_before<Value<T>>(reserve(tile).c_states, tile, size.H);
    return c ? c : initial<Value<T>>(args_.c0, size.c_state, tile, size.H);
  }

 private:
  ReserveDirection<T> reserve(const Tile& tile) const {
    return reserve_layer<T>(plan_, args_.reserve, tile.layer).direction[tile.direction];
  }

  void find_gates(const Tile& tile, const ReserveDirection<T>& reserve, BackwardRows<T, Own>& lane) const {
    const std::int64_t G = lane.size.G, H = lane.size.H;
    if (lane.stored) {
      lane.a = {reserve.a, 0, G};
      lane.r = {reserve.r, 0, G};
      lane.c = {reserve.c, 0, H};
      lane.cell = {reserve.cell, 0, H};
      lane.raw = {reserve.raw, 0, H};
      return;
    }
    const std::int64_t row0 = span_of(plan_.shape, tile.direction, tile.s0, tile.s1).row0;
    lane.a = {lane.own.piece_a, row0, G};
    lane.r = {lane.own.piece_r, row0, G};
    lane.c = {lane.own.piece_c, row0, H};
    lane.cell = {lane.own.piece_cell, row0, H};
    lane.raw = {lane.own.piece_raw, row0, H};
  }

  template <class Any>
  const Any* initial(const void* states, std::int64_t first, const Tile& tile, std::int64_t width) const {
    return states ? lane_state<const Any>(plan_.shape, states, first, tile, width)
                  : reinterpret_cast<const Any*>(zeros_);
  }
  // The state kept before a piece of K steps; nullptr for the first.
  template <class Any>
  const Any* state_before(const Any* states, const Tile& tile, std::int64_t width) const {
    const std::int64_t piece = tile.s0 / plan_.schedule.backward_steps;
    return states && piece > 0 ? states + (piece - 1) * plan_.shape.B * width : nullptr;
  }

  // All directions' outputs of a layer, which the layer above reads.
  Rows<T> output(std::int64_t layer, const Tile& tile) const {
    const Shape& s = plan_.shape;
    const std::int64_t stride = s.D * s.layer(layer).R;
    if (plan_.schedule.checkpoint()) {
      Tile below = tile;
      below.layer = layer;
      return {workspace_of(below).piece_h, s.offset(tile.s0), stride};
    }
    if (layer == s.L - 1) return {const_cast<T*>(static_cast<const T*>(args_.y)), 0, stride};
    return {reserve_layer<T>(plan_, args_.reserve, layer).h, 0, stride};
  }
  Rows<const T> input(const Tile& tile) const {
    return tile.layer == 0 ? Rows<const T>{static_cast<const T*>(args_.x), 0, plan_.shape.layer(0).I}
                           : output(tile.layer - 1, tile).as_const();
  }

  // The gradient that layer `layer` hands to the one below; empty if nobody wants it.
  Rows<T> input_gradient(std::int64_t layer, const Tile& tile) const {
    const Shape& s = plan_.shape;
    if (layer == 0 || LayerGradients<T>::through_dx(s, plan_.schedule))
      return {s.input_gradient ? static_cast<T*>(args_.dx) : nullptr, 0, s.layer(0).I};
    const bool odd = between_.gradient[1] && layer % 2 == 1;
    const std::int64_t first = plan_.schedule.checkpoint() ? s.offset(tile.s0) : 0;
    return {between_.gradient[odd ? 1 : 0], first, between_.stride};
  }

  const PlanBase& plan_;
  const rnn_engine_backward_args& args_;
  const LayerGradients<T>& between_;
  const Value<T>* const zeros_;
};

}  // namespace rnn_engine
