// The backward call: runs a plan's backward tiles, and replays of forward where the plan keeps checkpoints.
#include "cpu/run/backward_tile.h"
#include "cpu/run/forward_tile.h"
#include "cpu/run/run.h"
#include "cpu/run/run_tiles.h"

namespace rnn_engine {
namespace {

template <class T>
class Backward {
 public:
  Backward(const Runner<T>& run, const rnn_engine_backward_args& args, const BackwardWorkspace<T>& workspace)
      : run_(run),
        call_(run.plan, args, workspace.between, workspace.zeros),
        workspace_(workspace.own),
        replay_(run, workspace.own.replay),
        tile_(run, workspace.own, args.overwrite != 0) {}

  // Ends with a barrier.
  void run(const Tile& tile) const {
    const bool first = tile.s1 == run_.shape().T;
    if (tile.kind == TileKind::kReplay) return run_replay(tile, first);
    BackwardPseudoLayer<T> pseudo(run_.plan, call_.rows_of(tile));
    const Schedule& schedule = run_.plan.schedule;
    const bool reads = tile.kind == TileKind::kWeightGradients || (!pseudo.stored && !schedule.stepwise);
    if (!pseudo.input && reads) pseudo.input = input_of(tile);
    if (tile.kind == TileKind::kWeightGradients) return tile_.run_weight_gradients(pseudo, tile.s0, tile.s1);
    if (tile.kind == TileKind::kInputGradient) return tile_.run_input_gradient(pseudo, tile.s0, tile.s1);
    if (first) {
      tile_.begin(pseudo);
      run_.team.barrier();
    }
    if (schedule.stepwise) {
      const std::int64_t s0 = schedule.piece(tile.s0);
      return tile_.run_step(pseudo, tile.s0, s0, std::min(run_.shape().T, s0 + schedule.backward_steps));
    }
    tile_.run(pseudo, tile.s0, tile.s1, schedule.of(tile.layer) == Policy::kRecompute);
  }

 private:
  void run_replay(const Tile& tile, bool first) const {
    const PseudoLayerBackward<T> own = call_.workspace_of(tile);
    ForwardPseudoLayer<T> pseudo{call_.replayed_rows(tile, own), own.forward};
    if (!pseudo.input) pseudo.input = input_of(tile);
    if (first) pack_forward(run_.team, run_.kernels, run_.shape(), pseudo.size, pseudo.weights, own.forward);
    replay_.begin(pseudo, call_.replayed_h0(tile), call_.replayed_c0(tile));
    run_.team.barrier();
    replay_.run(pseudo, tile.s0, tile.s1);
  }

  // Of a residual layer above the second. Dropout may follow in the same shares; else a barrier must.
  RowWindow<const T> input_of(const Tile& tile) const {
    const Shape& s = run_.shape();
    const StepRange range = step_range(s, tile.direction, tile.s0, tile.s1);
    const RowWindow<T> input{workspace_.input, range.row0, s.layer(tile.layer).I};
    add_layers_below(run_, call_, tile, range, input);
    return input.as_const();
  }

  const Runner<T>& run_;
  const BackwardCall<T, PseudoLayerBackward<T>> call_;
  const GroupBackward<T>& workspace_;
  const ForwardTile<T> replay_;
  const BackwardTile<T> tile_;
};

}  // namespace

template <class T>
void run_backward(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_backward_args& args,
                  Interrupt& interrupt) {
  if (!args.h0 || !args.c0) {
    const Widest widest(plan.shape);
    Arena arena(args.workspace);
    std::fill_n(BackwardWorkspace<T>(plan.layout(), arena, 0).zeros, plan.shape.B * std::max(widest.H, widest.R),
                Value<T>(0));
  }
  run_tiles(plan, pool, true, interrupt, {args.before_step, args.before_step_user},
            [&](Team& team, std::int64_t group, const auto& each_tile) {
              Arena arena(args.workspace);
              const BackwardWorkspace<T> workspace(plan.layout(), arena, group);
              const Runner<T> runner{team, plan, args.masks, backend.template kernels<T>(),
                                     backend.template kernels<Value<T>>()};
              const Backward<T> backward(runner, args, workspace);
              each_tile([&](const Tile& tile) { backward.run(tile); });
            });
}

template void run_backward<float>(const Plan&, const Backend&, Pool&, const rnn_engine_backward_args&, Interrupt&);
template void run_backward<double>(const Plan&, const Backend&, Pool&, const rnn_engine_backward_args&, Interrupt&);
template void run_backward<BFloat16>(const Plan&, const Backend&, Pool&, const rnn_engine_backward_args&, Interrupt&);

}  // namespace rnn_engine
