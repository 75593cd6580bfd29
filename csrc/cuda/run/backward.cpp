// The backward call: runs a plan's backward tiles, and replays of forward where the plan keeps checkpoints.
#include "cuda/run/backward_tile.h"
#include "cuda/run/forward_tile.h"

namespace rnn_engine::cuda {
namespace {

template <class T>
class Backward {
 public:
  Backward(const Runner<T>& run, const rnn_engine_backward_args& args, const BackwardWorkspace<T>& workspace)
      : run_(run),
        call_(run.plan, args, workspace.between, nullptr),
        replay_(run, workspace.own.replay),
        tile_(run, workspace.own, args.overwrite != 0) {}

  void run(const Tile& tile) const {
    if (tile.kind == TileKind::kReplay) return run_replay(tile);
    const BackwardPseudoLayer<T> pseudo = call_.rows_of(tile);
    if (tile.kind == TileKind::kWeightGradients) return tile_.run_weight_gradients(pseudo, tile.s0, tile.s1);
    if (tile.kind == TileKind::kInputGradient) return tile_.run_input_gradient(pseudo, tile.s0, tile.s1);
    if (tile.s1 == run_.shape().T) tile_.begin(pseudo);
    tile_.run(pseudo, tile.s0, tile.s1, run_.plan.schedule.of(tile.layer) == Policy::kRecompute);
  }

 private:
  void run_replay(const Tile& tile) const {
    const PseudoLayerBackward<T> own = call_.workspace_of(tile);
    const ForwardPseudoLayer<T> pseudo{call_.replayed_rows(tile, own), own.states};
    replay_.begin(pseudo, call_.replayed_h0(tile), call_.replayed_c0(tile));
    replay_.run(pseudo, tile.s0, tile.s1);
  }

  const Runner<T>& run_;
  const BackwardCall<T, PseudoLayerBackward<T>> call_;
  const ForwardTile<T> replay_;
  const BackwardTile<T> tile_;
};

}  // namespace

template <class T>
void run_backward(const Plan& plan, const rnn_engine_backward_args& args, TileStreams& streams) {
  streams.run([&](const Tile& tile, std::int64_t index, Stream stream) {
    Arena arena(args.workspace);
    const BackwardWorkspace<T> workspace(plan.layout(), arena, index);
    const Runner<T> runner{plan, stream, workspace.tables};
    Backward<T>(runner, args, workspace).run(tile);
  });
}

template void run_backward<float>(const Plan&, const rnn_engine_backward_args&, TileStreams&);
template void run_backward<double>(const Plan&, const rnn_engine_backward_args&, TileStreams&);
template void run_backward<BFloat16>(const Plan&, const rnn_engine_backward_args&, TileStreams&);
template void run_backward<Float16>(const Plan&, const rnn_engine_backward_args&, TileStreams&);

}  // namespace rnn_engine::cuda
