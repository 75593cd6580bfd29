// The forward call: runs a plan's forward tiles.
#include "cuda/run/forward_tile.h"

namespace rnn_engine::cuda {
namespace {

template <class T>
class Forward {
 public:
  Forward(const Runner<T>& run, const rnn_engine_forward_args& args, const ForwardWorkspace<T>& workspace)
      : run_(run),
        args_(args),
        call_(run.plan, args, workspace.between),
        rolling_(workspace.rolling),
        tile_(run, workspace.rolling) {}

  void run(const Tile& tile) const {
    const ForwardPseudoLayer<T> pseudo = make_pseudo_layer(tile);
    if (tile.s0 == 0) tile_.begin(pseudo, call_.h0(tile), call_.c0(tile));
    tile_.run(pseudo, tile.s0, tile.s1);
  }

 private:
  ForwardPseudoLayer<T> make_pseudo_layer(const Tile& tile) const {
    const LayoutInput in = run_.plan.layout();
    const std::size_t index = pseudo_layer_index(run_.shape(), tile);
    Arena arena(offset_by(args_.workspace, run_.plan.forward_slots[index]));
    ForwardPseudoLayer<T> pseudo{call_.rows_of(tile), PseudoLayerStates<T>(in, tile.layer, tile.direction, arena)};
    if (!pseudo.h)
      pseudo.h = {rolling_.residual_h, step_range(run_.shape(), tile.direction, tile.s0, tile.s1).row0, pseudo.size.R};
    if (!run_.shape().prepacked) return pseudo;
    Arena before(offset_by(args_.packed, run_.plan.packed_slots[index]));
    const PackedPseudoLayer<T> packed(in, tile.layer, tile.direction, before);
    pseudo.weights.weight_ih = packed.weight_ih;
    pseudo.weights.weight_hh = packed.weight_hh;
    pseudo.weights.weight_hr = packed.weight_hr;
    pseudo.weights.bias_ih = packed.bias_ih;
    pseudo.weights.bias_hh = packed.bias_hh;
    return pseudo;
  }

  const Runner<T>& run_;
  const rnn_engine_forward_args& args_;
  const ForwardCall<T> call_;
  const Rolling<T>& rolling_;
  const ForwardTile<T> tile_;
};

}  // namespace

void write_tables(const Plan& plan, const rnn_engine_masks& masks, void* workspace, Stream stream) {
  Arena arena(workspace);
  const TableWorkspace tables(plan.shape, arena);
  write_table(stream, plan.offsets.data(), static_cast<std::int64_t>(plan.offsets.size()), tables.offsets);
  if (!tables.key) return;
  std::vector<std::int32_t> rows;
  for (std::int64_t b = 0; b < plan.shape.B; ++b) rows.push_back(static_cast<std::int32_t>(row_id(masks, b)));
  write_table(stream, rows.data(), plan.shape.B, reinterpret_cast<std::int32_t*>(tables.row_ids));
  const std::int32_t key[] = {static_cast<std::int32_t>(masks.seed), static_cast<std::int32_t>(masks.seed >> 32)};
  write_table(stream, key, 2, reinterpret_cast<std::int32_t*>(tables.key));
}

template <class T>
void run_forward(const Plan& plan, const rnn_engine_forward_args& args, TileStreams& streams) {
  streams.run([&](const Tile& tile, std::int64_t index, Stream stream) {
    Arena arena(args.workspace);
    const ForwardWorkspace<T> workspace(plan.layout(), arena, index);
    const Runner<T> runner{plan, stream, workspace.tables};
    Forward<T>(runner, args, workspace).run(tile);
  });
}

template <class T>
void run_pack(const Plan& plan, const rnn_engine_weights* weights, void* packed, Stream stream) {
  const Shape& s = plan.shape;
  for_each_pseudo_layer(s, [&](std::int64_t layer, std::int64_t d) {
    const auto index = static_cast<std::size_t>(layer * s.D + d);
    const LayerShape& size = s.layer(layer);
    const Weights<T> from(weights[index]);
    Arena arena(offset_by(packed, plan.packed_slots[index]));
    const PackedPseudoLayer<T> to(plan.layout(), layer, d, arena);
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
