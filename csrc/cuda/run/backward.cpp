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
        workspace_(workspace.own),
        replay_(run, workspace.own.replay),
        tile_(run, workspace.own, args.overwrite != 0) {}

  void run(const Tile& tile) const {
    if (tile.kind == TileKind::kReplay) return run_replay(tile);
    BackwardPseudoLayer<T> pseudo = call_.rows_of(tile);
    if (!pseudo.input && (tile.kind == TileKind::kWeightGradients || !pseudo.stored)) pseudo.input = input_of(tile);
    if (tile.kind == TileKind::kWeightGradients) return tile_.run_weight_gradients(pseudo, tile.s0, tile.s1);
    if (tile.kind == TileKind::kInputGradient) return tile_.run_input_gradient(pseudo, tile.s0, tile.s1);
    if (tile.s1 == run_.shape().T) tile_.begin(pseudo);
    tile_.run(pseudo, tile.s0, tile.s1, run_.plan.schedule.of(tile.layer) == Policy::kRecompute);
  }

 private:
  void run_replay(const Tile& tile) const {
    const PseudoLayerBackward<T> own = call_.workspace_of(tile);
    ForwardPseudoLayer<T> pseudo{call_.replayed_rows(tile, own), own.states};
    if (!pseudo.input) pseudo.input = input_of(tile);
    replay_.begin(pseudo, call_.replayed_h0(tile), call_.replayed_c0(tile));
    replay_.run(pseudo, tile.s0, tile.s1);
  }

  // What a residual layer above the second read in forward, made again of every layer's h by the same sums.
  RowWindow<const T> input_of(const Tile& tile) const {
    const Shape& s = run_.shape();
    const StepRange range = step_range(s, tile.direction, tile.s0, tile.s1);
    const RowWindow<T> input{workspace_.input, range.row0, s.layer(tile.layer).I};
    RowWindow<const T> sum = call_.h_of(0, tile);
    for (std::int64_t layer = 1; layer < tile.layer; ++layer) {
      run_.add(range, input.stride, sum, call_.h_of(layer, tile), input);
      sum = input.as_const();
    }
    return sum;
  }

  const Runner<T>& run_;
  const BackwardCall<T, PseudoLayerBackward<T>> call_;
  const StreamBackward<T>& workspace_;
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
