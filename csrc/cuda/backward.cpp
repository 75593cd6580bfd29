// The backward call: runs a plan's backward tiles, and replays of forward where the plan keeps checkpoints.
#include "cuda/backward_tile.h"
#include "cuda/forward_tile.h"

namespace rnn_engine::cuda {
namespace {

template <class T>
class Backward {
 public:
  Backward(const Runner<T>& run, const rnn_engine_backward_args& args, const BackwardScratch<T>& scratch)
      : run_(run),
        args_(args),
        scratch_(scratch),
        replay_(run, scratch.own.replay),
        tile_(run, scratch.own, args.overwrite != 0) {}

  void run(const Tile& tile) const {
    const LaneBackward<T> own = lane_scratch(tile);
    const Weights<T> weights(args_.weights[lane_index(tile)]);
    if (tile.kind == TileKind::kReplay) return run_replay(tile, own, weights);
    const BackwardLane<T> lane = make_lane(tile, own, weights);
    if (tile.kind == TileKind::kWeightGradients) return tile_.run_weight_gradients(lane, tile.s0, tile.s1);
    if (tile.kind == TileKind::kInputGradient) return tile_.run_input_gradient(lane, tile.s0, tile.s1);
    if (tile.s1 == run_.shape().T) tile_.begin(lane);
    tile_.run(lane, tile.s0, tile.s1, run_.plan.schedule.of(tile.layer) == Policy::kRecompute);
  }

 private:
  std::size_t lane_index(const Tile& tile) const {
    return static_cast<std::size_t>(tile.layer * run_.shape().D + tile.direction);
  }

  LaneBackward<T> lane_scratch(const Tile& tile) const {
    Arena arena(offset_by(args_.scratch, run_.plan.backward_slots[lane_index(tile)]));
    return LaneBackward<T>(run_.plan.layout(), tile.layer, tile.direction, arena);
  }

  KeptDirection<T> kept(const Tile& tile) const {
    return kept_layer<T>(run_.plan, args_.kept, tile.layer).direction[tile.direction];
  }

  template <class Any, class Void>
  Any* state(Void* states, std::int64_t first, const Tile& tile, std::int64_t width) const {
    return lane_state<Any>(states, first, tile.direction, run_.shape().B * width);
  }
  // The state kept before a piece of K steps; nullptr for the first.
  template <class Any>
  const Any* state_before(const Any* states, const Tile& tile, std::int64_t width) const {
    const std::int64_t piece = tile.s0 / run_.plan.schedule.backward_steps;
    return states && piece > 0 ? states + (piece - 1) * run_.shape().B * width : nullptr;
  }

  // All directions' outputs of a layer, which the layer above reads.
  Rows<T> output(std::int64_t layer, const Tile& tile) const {
    const Shape& s = run_.shape();
    const std::int64_t stride = s.D * s.layer(layer).R;
    if (run_.plan.schedule.checkpoint()) {
      Tile below = tile;
      below.layer = layer;
      return {lane_scratch(below).piece_h, s.offset(tile.s0), stride};
    }
    if (layer == s.L - 1) return {const_cast<T*>(static_cast<const T*>(args_.y)), 0, stride};
    return {kept_layer<T>(run_.plan, args_.kept, layer).h, 0, stride};
  }
  Rows<const T> input(const Tile& tile) const {
    return tile.layer == 0 ? Rows<const T>{static_cast<const T*>(args_.x), 0, run_.shape().layer(0).I}
                           : output(tile.layer - 1, tile).as_const();
  }

  void run_replay(const Tile& tile, const LaneBackward<T>& own, const Weights<T>& weights) const {
    const Shape& s = run_.shape();
    const LayerShape& size = s.layer(tile.layer);
    const std::int64_t row0 = s.offset(tile.s0);
    ForwardLane<T> lane(tile, weights, own.states);
    lane.input = input(tile);
    lane.a = {own.piece_a, row0, size.G};
    lane.r = {own.piece_r, row0, size.G};
    lane.c = {own.piece_c, row0, size.H};
    lane.cell = {own.piece_cell, row0, size.H};
    lane.raw = {own.piece_raw, row0, size.H};
    lane.h = {own.piece_h, row0, size.R};
    lane.hn = own.h;
    lane.cn = own.c;
    const KeptDirection<T> states = kept(tile);
    const T* h = state_before<T>(states.h_states, tile, size.R);
    const Value<T>* c = state_before<Value<T>>(states.c_states, tile, size.H);
    replay_.begin(lane, h ? h : state<const T>(args_.h0, size.h_state, tile, size.R),
                  c ? c : state<const Value<T>>(args_.c0, size.c_state, tile, size.H));
    replay_.run(lane, tile.s0, tile.s1);
  }

  // The gradient that layer `layer` hands to the one below; empty if nobody wants it.
  Rows<T> input_gradient(std::int64_t layer, const Tile& tile) const {
    const Shape& s = run_.shape();
    if (layer == 0) return {s.input_gradient ? static_cast<T*>(args_.dx) : nullptr, 0, s.layer(0).I};
    const bool odd = scratch_.doutput[1] && layer % 2 == 1;
    const std::int64_t first = run_.plan.schedule.checkpoint() ? s.offset(tile.s0) : 0;
    return {scratch_.doutput[odd ? 1 : 0], first, scratch_.doutput_stride};
  }

  BackwardLane<T> make_lane(const Tile& tile, const LaneBackward<T>& own, const Weights<T>& weights) const {
    const Shape& s = run_.shape();
    const LayerShape& size = s.layer(tile.layer);
    const bool store = run_.plan.schedule.of(tile.layer) == Policy::kStore;
    const std::int64_t row0 = span_of(s, tile.direction, tile.s0, tile.s1).row0;
    const KeptDirection<T> kept_values = kept(tile);
    BackwardLane<T> lane(tile, weights, Weights<Value<T>>(args_.gradients[lane_index(tile)]), own);
    lane.kept = store;
    lane.input = input(tile);
    lane.a = store ? Rows<T>{kept_values.a, 0, size.G} : Rows<T>{own.piece_a, row0, size.G};
    lane.r = store ? Rows<T>{kept_values.r, 0, size.G} : Rows<T>{own.piece_r, row0, size.G};
    lane.c = store ? Rows<Value<T>>{kept_values.c, 0, size.H} : Rows<Value<T>>{own.piece_c, row0, size.H};
    lane.cell =
        store ? Rows<Value<T>>{kept_values.cell, 0, size.H} : Rows<Value<T>>{own.piece_cell, row0, size.H};
    lane.raw = store ? Rows<T>{kept_values.raw, 0, size.H} : Rows<T>{own.piece_raw, row0, size.H};
    lane.h = output(tile.layer, tile).as_const();
    lane.h.data += tile.direction * size.R;
    const bool top = tile.layer == s.L - 1;
    lane.dy = top ? Rows<const T>{static_cast<const T*>(args_.dy), 0, s.D * size.R}
                  : input_gradient(tile.layer + 1, tile).as_const();
    if (lane.dy) lane.dy.data += tile.direction * size.R;
    if (top && args_.dcy)
      lane.dc_output = {static_cast<const Value<T>*>(args_.dcy) + tile.direction * size.H, 0, s.D * size.H};
    lane.dx = input_gradient(tile.layer, tile);
    lane.h0 = state<const T>(args_.h0, size.h_state, tile, size.R);
    lane.c0 = state<const Value<T>>(args_.c0, size.c_state, tile, size.H);
    lane.dhn = state<const T>(args_.dhn, size.h_state, tile, size.R);
    lane.dcn = state<const Value<T>>(args_.dcn, size.c_state, tile, size.H);
    lane.dh0 = state<T>(args_.dh0, size.h_state, tile, size.R);
    lane.dc0 = state<Value<T>>(args_.dc0, size.c_state, tile, size.H);
    lane.c_before = state_before<Value<T>>(kept_values.c_states, tile, size.H);
    lane.h_before = state_before<T>(kept_values.h_states, tile, size.R);
    return lane;
  }

  const Runner<T>& run_;
  const rnn_engine_backward_args& args_;
  const BackwardScratch<T>& scratch_;
  const ForwardTile<T> replay_;
  const BackwardTile<T> tile_;
};

}  // namespace

template <class T>
void run_backward(const Plan& plan, const rnn_engine_backward_args& args, TileStreams& streams) {
  streams.run([&](const Tile& tile, std::int64_t index, Stream stream) {
    Arena arena(args.scratch);
    const BackwardScratch<T> scratch(plan.layout(), arena, index);
    const Runner<T> runner{plan, stream, scratch.tables};
    Backward<T>(runner, args, scratch).run(tile);
  });
}

template void run_backward<float>(const Plan&, const rnn_engine_backward_args&, TileStreams&);
template void run_backward<double>(const Plan&, const rnn_engine_backward_args&, TileStreams&);
template void run_backward<BFloat16>(const Plan&, const rnn_engine_backward_args&, TileStreams&);
template void run_backward<Float16>(const Plan&, const rnn_engine_backward_args&, TileStreams&);

}  // namespace rnn_engine::cuda
