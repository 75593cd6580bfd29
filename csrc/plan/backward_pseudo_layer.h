// One pseudo-layer of the backward call, a layer and direction: what it reads and writes, on every device.
#pragma once

#include "plan/forward_pseudo_layer.h"

namespace rnn_engine {

// `Own`: its part of the device's workspace, with LanePieces in it.
template <class T, class Own>
struct BackwardRows {
  const LayerShape& size;
  std::int64_t layer, direction;
  bool split;
  Weights<T> weights;
  Weights<Value<T>> gradients;
  Own own;
  RowWindow<const T> input;  // of a residual layer above the second the device makes it of `BackwardCall::h_of`
  // Kept or recomputed; gradients are written over wx and uh, and over wx alone unless the cell is split.
  RowWindow<T> wx, uh, h_unprojected;
  RowWindow<Value<T>> c, c_candidate;
  RowWindow<const T> h;                 // from this direction's first unit
  RowWindow<const T> dy;                // or empty: zeros
  RowWindow<const Value<T>> dc_output;  // the same
  RowWindow<T> dx;                      // or empty: not wanted
  RowWindow<const T> dy_around;         // of a residual layer: dy of all directions, which passes it by; else empty
  // Of h [B, R], of c [B, H]: initial states, the gradients that come from behind (nullptr: zeros), those of
  // the initial states (nullptr: not wanted), and the states before the piece, where they are not in c and h.
  const T *h0 = nullptr, *dhn = nullptr, *h_before = nullptr;
  const Value<T>*c0 = nullptr, *dcn = nullptr, *c_before = nullptr;
  T* dh0 = nullptr;
  Value<T>* dc0 = nullptr;
  bool stored = false;  // wx, uh, c and h hold all rows, not just the piece's

  // Gradients of uh, which are those of wx unless the cell is split.
  const RowWindow<T>& d_uh() const { return split ? uh : wx; }

  BackwardRows(const Shape& shape, const Tile& tile, const Weights<T>& w, const Weights<Value<T>>& g,
               const Own& workspace)
      : size(shape.layer(tile.layer)),
        layer(tile.layer),
        direction(tile.direction),
        split(shape.cell.split),
        weights(w),
        gradients(g),
        own(workspace) {}
};

// Finds the rows of its pseudo-layers.
template <class T, class Own>
class BackwardCall {
 public:
  // `zeros`: [B, widest state], stands for absent initial states; nullptr: they stay nullptr.
  BackwardCall(const PlanBase& plan, const rnn_engine_backward_args& args, const LayerGradients<T>& between,
               const Value<T>* zeros)
      : plan_(plan), args_(args), between_(between), zeros_(zeros) {}

  Own workspace_of(const Tile& tile) const {
    Arena arena(offset_by(args_.workspace, plan_.backward_slots[pseudo_layer_index(plan_.shape, tile)]));
    return Own(plan_.layout(), tile.layer, tile.direction, arena);
  }

  BackwardRows<T, Own> rows_of(const Tile& tile) const {
    const Shape& s = plan_.shape;
    const std::size_t index = pseudo_layer_index(s, tile);
    BackwardRows<T, Own> pseudo(s, tile, Weights<T>(args_.weights[index]), Weights<Value<T>>(args_.gradients[index]),
                                workspace_of(tile));
    const LayerShape& size = pseudo.size;
    const ReserveDirection<T> values = reserve(tile);
    pseudo.stored = plan_.schedule.of(tile.layer) == Policy::kStore;
    find_gates(tile, values, pseudo);
    pseudo.input = input(tile);
    pseudo.h = h_of(tile.layer, tile);
    pseudo.h.data += tile.direction * size.R;
    const bool top = tile.layer == s.L - 1;
    pseudo.dy = top ? RowWindow<const T>{static_cast<const T*>(args_.dy), 0, s.D * size.R}
                    : input_gradient(tile.layer + 1, tile).as_const();
    if (s.residual && tile.layer > 0) pseudo.dy_around = pseudo.dy;
    if (pseudo.dy) pseudo.dy.data += tile.direction * size.R;
    if (top && args_.dcy)
      pseudo.dc_output = {static_cast<const Value<T>*>(args_.dcy) + tile.direction * size.H, 0, s.D * size.H};
    pseudo.dx = input_gradient(tile.layer, tile);
    pseudo.h0 = initial<T>(args_.h0, size.h_state, tile, size.R);
    pseudo.c0 = initial<Value<T>>(args_.c0, size.c_state, tile, size.H);
    pseudo.dhn = pseudo_layer_state<const T>(s, args_.dhn, size.h_state, tile, size.R);
    pseudo.dcn = pseudo_layer_state<const Value<T>>(s, args_.dcn, size.c_state, tile, size.H);
    pseudo.dh0 = pseudo_layer_state<T>(s, args_.dh0, size.h_state, tile, size.R);
    pseudo.dc0 = pseudo_layer_state<Value<T>>(s, args_.dc0, size.c_state, tile, size.H);
    pseudo.c_before = state_before<Value<T>>(values.c_states, tile, size.H);
    pseudo.h_before = state_before<T>(values.h_states, tile, size.R);
    return pseudo;
  }

  // Of a piece that runs forward again.
  ForwardRows<T> replayed_rows(const Tile& tile, const Own& own) const {
    const Shape& s = plan_.shape;
    const std::int64_t row0 = s.offset(tile.s0);
    ForwardRows<T> pseudo(s, tile, Weights<T>(args_.weights[pseudo_layer_index(s, tile)]));
    pseudo.input = input(tile);
    pseudo.wx = {own.piece_wx, row0, pseudo.size.G};
    pseudo.uh = {own.piece_uh, row0, pseudo.size.G};
    pseudo.c = {own.piece_c, row0, pseudo.size.H};
    pseudo.c_candidate = {own.piece_c_candidate, row0, pseudo.size.H};
    pseudo.h_unprojected = {own.piece_h_unprojected, row0, pseudo.size.H};
    pseudo.h = {own.piece_h, row0, pseudo.size.R};
    pseudo.hn = own.h;
    pseudo.cn = own.c;
    return pseudo;
  }
  // All directions' h of a layer, in the time of a tile. A residual stack's layers read the sums of those below them,
  // of which only h is kept.
  RowWindow<const T> h_of(std::int64_t layer, const Tile& tile) const {
    const Shape& s = plan_.shape;
    const std::int64_t stride = s.D * s.layer(layer).R;
    if (plan_.schedule.checkpoint()) {
      Tile below = tile;
      below.layer = layer;
      return {workspace_of(below).piece_h, s.offset(plan_.schedule.piece(tile.s0)), stride};
    }
    if (layer == s.L - 1 && !s.residual) return {static_cast<const T*>(args_.y), 0, stride};
    return {reserve_layer<T>(plan_, args_.reserve, layer).h, 0, stride};
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

  void find_gates(const Tile& tile, const ReserveDirection<T>& reserve, BackwardRows<T, Own>& pseudo) const {
    const std::int64_t G = pseudo.size.G, H = pseudo.size.H;
    if (pseudo.stored) {
      pseudo.wx = {reserve.wx, 0, G};
      pseudo.uh = {reserve.uh, 0, G};
      pseudo.c = {reserve.c, 0, H};
      pseudo.c_candidate = {reserve.c_candidate, 0, H};
      pseudo.h_unprojected = {reserve.h_unprojected, 0, H};
      return;
    }
    const std::int64_t row0 = step_range(plan_.shape, tile.direction, plan_.schedule.piece(tile.s0), tile.s1).row0;
    pseudo.wx = {pseudo.own.piece_wx, row0, G};
    pseudo.uh = {pseudo.own.piece_uh, row0, G};
    pseudo.c = {pseudo.own.piece_c, row0, H};
    pseudo.c_candidate = {pseudo.own.piece_c_candidate, row0, H};
    pseudo.h_unprojected = {pseudo.own.piece_h_unprojected, row0, H};
  }

  template <class Any>
  const Any* initial(const void* states, std::int64_t first, const Tile& tile, std::int64_t width) const {
    return states ? pseudo_layer_state<const Any>(plan_.shape, states, first, tile, width)
                  : reinterpret_cast<const Any*>(zeros_);
  }
  // The state kept before a piece of K steps; nullptr for the first.
  template <class Any>
  const Any* state_before(const Any* states, const Tile& tile, std::int64_t width) const {
    const std::int64_t piece = tile.s0 / plan_.schedule.backward_steps;
    return states && piece > 0 ? states + (piece - 1) * plan_.shape.B * width : nullptr;
  }

  RowWindow<const T> input(const Tile& tile) const {
    if (tile.layer == 0) return {static_cast<const T*>(args_.x), 0, plan_.shape.layer(0).I};
    if (tile.layer > 1 && plan_.shape.residual) return {};
    return h_of(tile.layer - 1, tile);
  }

  // The gradient that layer `layer` hands to the one below; empty if nobody wants it.
  RowWindow<T> input_gradient(std::int64_t layer, const Tile& tile) const {
    const Shape& s = plan_.shape;
    if (layer == 0 || LayerGradients<T>::through_dx(s, plan_.schedule))
      return {s.input_gradient ? static_cast<T*>(args_.dx) : nullptr, 0, s.layer(0).I};
    const bool odd = between_.gradient[1] && layer % 2 == 1;
    const std::int64_t first = plan_.schedule.checkpoint() ? s.offset(plan_.schedule.piece(tile.s0)) : 0;
    return {between_.gradient[odd ? 1 : 0], first, between_.stride};
  }

  const PlanBase& plan_;
  const rnn_engine_backward_args& args_;
  const LayerGradients<T>& between_;
  const Value<T>* const zeros_;
};

}  // namespace rnn_engine
