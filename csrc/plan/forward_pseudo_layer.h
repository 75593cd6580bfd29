// One pseudo-layer of the forward call, a layer and direction: what it reads and writes, on every device.
#pragma once

#include "plan/views.h"
#include "plan/workspace.h"

namespace rnn_engine {

template <class T>
struct ForwardRows {
  const LayerShape& size;
  std::int64_t layer, direction;
  Weights<T> weights;
  RowWindow<const T> input;
  RowWindow<T> wx, uh, h_unprojected;  // where they are kept; else empty, and rolling buffers serve
  RowWindow<Value<T>> c, c_candidate;  // the same
  RowWindow<T> h;                      // from this direction's first unit; empty: a rolling buffer serves
  RowWindow<T> sum;                    // the same of h plus the input, which a residual layer puts out; else empty
  RowWindow<Value<T>> c_output;        // the caller's copy of c, or empty
  T* hn = nullptr;                     // [B, R]
  Value<T>* cn = nullptr;              // [B, H]
  // Kept at the beginning of every piece of K steps but the first, or nullptr.
  Value<T>* c_states = nullptr;
  T* h_states = nullptr;

  // What this direction adds its h to.
  RowWindow<const T> residual_input() const { return {input.data + direction * size.R, input.first, input.stride}; }

  ForwardRows(const Shape& shape, const Tile& tile, const Weights<T>& w)
      : size(shape.layer(tile.layer)), layer(tile.layer), direction(tile.direction), weights(w) {}
};

// Finds the rows of its pseudo-layers.
template <class T>
class ForwardCall {
 public:
  ForwardCall(const PlanBase& plan, const rnn_engine_forward_args& args, const LayerOutputs<T>& between)
      : plan_(plan), args_(args), between_(between) {}

  ForwardRows<T> rows_of(const Tile& tile) const {
    const Shape& s = plan_.shape;
    ForwardRows<T> pseudo(s, tile, Weights<T>(args_.weights[pseudo_layer_index(s, tile)]));
    const LayerShape& size = pseudo.size;
    pseudo.input = tile.layer == 0 ? RowWindow<const T>{static_cast<const T*>(args_.x), 0, size.I}
                                   : output(tile.layer - 1, tile).as_const();
    pseudo.h = of_direction(h_of(tile.layer, tile), tile.direction * size.R);
    if (s.residual && tile.layer > 0) pseudo.sum = of_direction(output(tile.layer, tile), tile.direction * size.R);
    if (args_.cy && tile.layer == s.L - 1)
      pseudo.c_output = {static_cast<Value<T>*>(args_.cy) + tile.direction * size.H, 0, s.D * size.H};
    pseudo.hn = pseudo_layer_state<T>(s, args_.hn, size.h_state, tile, size.R);
    pseudo.cn = pseudo_layer_state<Value<T>>(s, args_.cn, size.c_state, tile, size.H);
    if (!s.training) return pseudo;
    const ReserveDirection<T> reserve = reserve_layer<T>(plan_, args_.reserve, tile.layer).direction[tile.direction];
    pseudo.wx = {reserve.wx, 0, size.G};
    pseudo.uh = {reserve.uh, 0, size.G};
    pseudo.c = {reserve.c, 0, size.H};
    pseudo.c_candidate = {reserve.c_candidate, 0, size.H};
    pseudo.h_unprojected = {reserve.h_unprojected, 0, size.H};
    pseudo.c_states = reserve.c_states;
    pseudo.h_states = reserve.h_states;
    return pseudo;
  }

  // The caller's initial states; nullptr: zeros.
  const T* h0(const Tile& tile) const {
    const LayerShape& size = plan_.shape.layer(tile.layer);
    return pseudo_layer_state<const T>(plan_.shape, args_.h0, size.h_state, tile, size.R);
  }
  const Value<T>* c0(const Tile& tile) const {
    const LayerShape& size = plan_.shape.layer(tile.layer);
    return pseudo_layer_state<const Value<T>>(plan_.shape, args_.c0, size.c_state, tile, size.H);
  }

 private:
  static RowWindow<T> of_direction(RowWindow<T> rows, std::int64_t first) {
    if (rows) rows.data += first;
    return rows;
  }

  // All directions' h of a layer; of a residual one it is not what the layer puts out.
  RowWindow<T> h_of(std::int64_t layer, const Tile& tile) const {
    const Shape& s = plan_.shape;
    if (!s.residual || layer == 0) return output(layer, tile);
    if (!s.training || plan_.schedule.checkpoint()) return {};
    return {reserve_layer<T>(plan_, args_.reserve, layer).h, 0, s.D * s.layer(layer).R};
  }

  // All directions' outputs of a layer, which the layer above reads; empty if nobody does.
  RowWindow<T> output(std::int64_t layer, const Tile& tile) const {
    const Shape& s = plan_.shape;
    const Schedule& schedule = plan_.schedule;
    const std::int64_t stride = s.D * s.layer(layer).R;
    if (LayerOutputs<T>::in_reserve(s, schedule, layer))
      return {reserve_layer<T>(plan_, args_.reserve, layer).h, 0, stride};
    if (LayerOutputs<T>::in_y(s, layer)) return {static_cast<T*>(args_.y), 0, stride};
    if (LayerOutputs<T>::unread(s, layer)) return {};
    const std::int64_t chunk = tile.s0 / schedule.chunk, turn = chunk % schedule.chunks_at_once;
    T* place = between_.output[LayerOutputs<T>::place(s, layer)];
    return {place + turn * between_.chunk, s.offset(chunk * schedule.chunk), between_.stride};
  }

  const PlanBase& plan_;
  const rnn_engine_forward_args& args_;
  const LayerOutputs<T>& between_;
};

}  // namespace rnn_engine
