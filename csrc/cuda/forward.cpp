// The forward call: runs a plan's forward tiles.
#include "cuda/forward_tile.h"

namespace rnn_engine::cuda {
namespace {

template <class T>
class Forward {
 public:
  Forward(const Runner<T>& run, const rnn_engine_forward_args& args, const ForwardScratch<T>& scratch)
      : run_(run), args_(args), scratch_(scratch), tile_(run, scratch.rolling) {}

  void run(const Tile& tile) const {
    const LayerShape& size = run_.shape().layer(tile.layer);
    const ForwardLane<T> lane = make_lane(tile);
    if (tile.s0 == 0)
      tile_.begin(lane, state<const T>(args_.h0, size.h_state, tile, size.R),
                  state<const Value<T>>(args_.c0, size.c_state, tile, size.H));
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

  Weights<T> weights(const Tile& tile, std::size_t index) const {
    Weights<T> all(args_.weights[index]);
    if (!run_.shape().prepacked) return all;
    Arena arena(offset_by(args_.packed, run_.plan.packed_slots[index]));
    const PackedLane<T> packed(run_.shape(), tile.layer, tile.direction, arena);
    all.weight_ih = packed.weight_ih;
    all.weight_hh = packed.weight_hh;
    all.weight_hr = packed.weight_hr;
    all.bias_ih = packed.bias_ih;
    all.bias_hh = packed.bias_hh;
    return all;
  }

  ForwardLane<T> make_lane(const Tile& tile) const {
    const Shape& s = run_.shape();
    const LayerShape& size = s.layer(tile.layer);
    const auto index = static_cast<std::size_t>(tile.layer * s.D + tile.direction);
    Arena arena(offset_by(args_.scratch, run_.plan.forward_slots[index]));
    ForwardLane<T> lane(tile, weights(tile, index),
                        LaneStates<T>(run_.plan.layout(), tile.layer, tile.direction, arena));
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

void write_tables(const Plan& plan, void* scratch, Stream stream) {
  Arena arena(scratch);
  const TableScratch tables(plan.shape, arena);
  write_table(stream, plan.offsets.data(), static_cast<std::int64_t>(plan.offsets.size()), tables.offsets);
  write_table(stream, plan.row_ids.data(), static_cast<std::int64_t>(plan.row_ids.size()),
              reinterpret_cast<std::int32_t*>(tables.row_ids));
  if (!tables.key) return;
  const std::int32_t key[] = {static_cast<std::int32_t>(plan.shape.seed),
                              static_cast<std::int32_t>(plan.shape.seed >> 32)};
  write_table(stream, key, 2, reinterpret_cast<std::int32_t*>(tables.key));
}

template <class T>
void run_forward(const Plan& plan, const rnn_engine_forward_args& args, TileStreams& streams) {
  streams.run([&](const Tile& tile, std::int64_t index, Stream stream) {
    Arena arena(args.scratch);
    const ForwardScratch<T> scratch(plan.layout(), arena, index);
    const Runner<T> runner{plan, stream, scratch.tables};
    Forward<T>(runner, args, scratch).run(tile);
  });
}

template <class T>
void run_pack(const Plan& plan, const rnn_engine_weights* weights, void* packed, Stream stream) {
  const Shape& s = plan.shape;
  for_each_lane(s, [&](std::int64_t layer, std::int64_t d) {
    const auto index = static_cast<std::size_t>(layer * s.D + d);
    const LayerShape& size = s.layer(layer);
    const Weights<T> from(weights[index]);
    Arena arena(offset_by(packed, plan.packed_slots[index]));
    const PackedLane<T> to(s, layer, d, arena);
    copy_values<T>(stream, from.weight_ih, size.Z * size.I, to.weight_ih);
    copy_values<T>(stream, from.weight_hh, size.Z * size.R, to.weight_hh);
    if (s.projected) copy_values<T>(stream, from.weight_hr, size.R * size.H, to.weight_hr);
    if (!s.bias) return;
    copy_values<Value<T>>(stream, from.bias_ih, size.Z, to.bias_ih);
    copy_values<Value<T>>(stream, from.bias_hh, size.Z, to.bias_hh);
  });
}

template void run_forward<float>(const Plan&, const rnn_engine_forward_args&, TileStreams&);
template void run_forward<double>(const Plan&, const rnn_engine_forward_args&, TileStreams&);
template void run_forward<BFloat16>(const Plan&, const rnn_engine_forward_args&, TileStreams&);
template void run_forward<Float16>(const Plan&, const rnn_engine_forward_args&, TileStreams&);
template void run_pack<float>(const Plan&, const rnn_engine_weights*, void*, Stream);
template void run_pack<double>(const Plan&, const rnn_engine_weights*, void*, Stream);
template void run_pack<BFloat16>(const Plan&, const rnn_engine_weights*, void*, Stream);
template void run_pack<Float16>(const Plan&, const rnn_engine_weights*, void*, Stream);

}  // namespace rnn_engine::cuda
