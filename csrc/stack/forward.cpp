// The forward call: runs a plan's forward tiles.
#include "stack/forward_tile.h"
#include "stack/run_tiles.h"
#include "stack/stack.h"

namespace rnn_engine {
namespace {

template <class T>
class Forward {
 public:
  Forward(const Runner<T>& run, const rnn_engine_forward_args& args, const ForwardScratch<T>& scratch)
      : run_(run), args_(args), scratch_(scratch), tile_(run, scratch.rolling) {}

  // Ends with a barrier.
  void run(const Tile& tile) const {
    const ForwardLane<T> lane = make_lane(tile);
    if (tile.s0 == 0) {
      const LayerShape& size = run_.shape().layer(tile.layer);
      if (!run_.shape().prepacked)
        pack_forward(run_.team, run_.kernels, run_.shape(), size, lane.weights, lane.packed);
      tile_.begin(lane, state<const T>(args_.h0, size.h_state, tile, size.R),
                  state<const Value<T>>(args_.c0, size.c_state, tile, size.H));
      run_.team.barrier();
    }
    tile_.run(lane, tile.s0, tile.s1);
  }

 private:
  template <class Any, class Void>
  Any* state(Void* states, std::int64_t first, const Tile& tile, std::int64_t width) const {
    return lane_state<Any>(states, first, tile.direction, run_.shape().B * width);
  }

  // All directions' outputs of a layer.
  Rows<T> output(std::int64_t layer, const Tile& tile) const {
    const Shape& s = run_.shape();
    const Schedule& schedule = run_.plan.schedule;
    const std::int64_t stride = s.D * s.layer(layer).R;
    if (layer == s.L - 1 && s.output) return {static_cast<T*>(args_.y), 0, stride};
    if (s.training && !schedule.checkpoint())
      return {kept_layer<T>(run_.plan, args_.kept, layer).h, 0, stride};
    const std::int64_t chunk = tile.s0 / schedule.chunk, place = chunk % schedule.chunks_at_once;
    return {scratch_.output[layer % 2] + place * scratch_.output_chunk, s.offset(chunk * schedule.chunk),
            scratch_.output_stride};
  }

  ForwardLane<T> make_lane(const Tile& tile) const {
    const Shape& s = run_.shape();
    const LayerShape& size = s.layer(tile.layer);
    const auto index = static_cast<std::size_t>(tile.layer * s.D + tile.direction);
    ForwardLane<T> lane(s, tile, Weights<T>(args_.weights[index]));
    const Slots& slots = s.prepacked ? run_.plan.packed_slots : run_.plan.forward_slots;
    Arena arena(offset_by(s.prepacked ? args_.packed : args_.scratch, slots[index]));
    lane.packed = PackedForward<T>(run_.plan.layout(), tile.layer, tile.direction, arena);
    lane.input = tile.layer == 0 ? Rows<const T>{static_cast<const T*>(args_.x), 0, size.I}
                                 : output(tile.layer - 1, tile).as_const();
    lane.h = output(tile.layer, tile);
    lane.h.data += tile.direction * size.R;
    if (args_.cy && tile.layer == s.L - 1)
      lane.c_output = {static_cast<Value<T>*>(args_.cy) + tile.direction * size.H, 0, s.D * size.H};
    lane.hn = state<T>(args_.hn, size.h_state, tile, size.R);
    lane.cn = state<Value<T>>(args_.cn, size.c_state, tile, size.H);
    if (s.training) {
      const KeptDirection<T> kept =
          kept_layer<T>(run_.plan, args_.kept, tile.layer).direction[tile.direction];
      lane.a = {kept.a, 0, size.G};
      lane.r = {kept.r, 0, size.G};
      lane.c = {kept.c, 0, size.H};
      lane.cell = {kept.cell, 0, size.H};
      lane.raw = {kept.raw, 0, size.H};
      lane.c_states = kept.c_states;
      lane.h_states = kept.h_states;
    }
    return lane;
  }

  const Runner<T>& run_;
  const rnn_engine_forward_args& args_;
  const ForwardScratch<T>& scratch_;
  const ForwardTile<T> tile_;
};

}  // namespace

template <class T>
void run_forward(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_forward_args& args) {
  run_tiles(plan, pool, false, [&](Team& team, std::int64_t group, const auto& each_tile) {
    Arena arena(args.scratch);
    const ForwardScratch<T> scratch(plan.layout(), arena, group);
    const Runner<T> runner{team, plan, backend.template kernels<T>(), backend.template kernels<Value<T>>()};
    const Forward<T> forward(runner, args, scratch);
    each_tile([&](const Tile& tile) { forward.run(tile); });
  });
}

template <class T>
void run_pack(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_weights* weights,
              void* packed) {
  pool.run([&](Team& team) {
    for_each_lane(plan.shape, [&](std::int64_t layer, std::int64_t d) {
      const auto index = static_cast<std::size_t>(layer * plan.shape.D + d);
      Arena arena(offset_by(packed, plan.packed_slots[index]));
      pack_forward(team, backend.template kernels<T>(), plan.shape, plan.shape.layer(layer),
                   Weights<T>(weights[index]), PackedForward<T>(plan.layout(), layer, d, arena));
    });
  });
}

template void run_forward<float>(const Plan&, const Backend&, Pool&, const rnn_engine_forward_args&);
template void run_forward<double>(const Plan&, const Backend&, Pool&, const rnn_engine_forward_args&);
template void run_forward<BFloat16>(const Plan&, const Backend&, Pool&, const rnn_engine_forward_args&);
template void run_pack<float>(const Plan&, const Backend&, Pool&, const rnn_engine_weights*, void*);
template void run_pack<double>(const Plan&, const Backend&, Pool&, const rnn_engine_weights*, void*);
template void run_pack<BFloat16>(const Plan&, const Backend&, Pool&, const rnn_engine_weights*, void*);

}  // namespace rnn_engine
