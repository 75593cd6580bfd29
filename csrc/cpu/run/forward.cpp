// The forward call: runs a plan's forward tiles.
#include "cpu/run/forward_tile.h"
#include "cpu/run/run.h"
#include "cpu/run/run_tiles.h"

namespace rnn_engine {
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

  // Ends with a barrier.
  void run(const Tile& tile) {
    const Shape& s = run_.shape();
    ForwardPseudoLayer<T> pseudo{call_.rows_of(tile), packed(tile)};
    if (!pseudo.h) pseudo.h = {rolling_.h, step_range(s, tile.direction, tile.s0, tile.s1).row0, pseudo.size.R};
    if (tile.s0 == 0) {
      if (!s.prepacked) pack_forward(run_.team, run_.kernels, s, pseudo.size, pseudo.weights, pseudo.packed);
      tile_.begin(pseudo, call_.h0(tile), call_.c0(tile));
      run_.team.barrier();
    }
    const auto index = static_cast<std::int64_t>(pseudo_layer_index(s, tile));
    tile_.run(pseudo, tile.s0, tile.s1, index == last_);
    last_ = index;
  }

 private:
  PackedForward<T> packed(const Tile& tile) const {
    const bool before = run_.shape().prepacked;
    const Slots& slots = before ? run_.plan.packed_slots : run_.plan.forward_slots;
    Arena arena(offset_by(before ? args_.packed : args_.workspace, slots[pseudo_layer_index(run_.shape(), tile)]));
    const LayoutInput in = run_.plan.layout();
    return before ? PackedForward<T>(in, tile.layer, tile.direction, arena)
                  : PackedForward<T>::of_call(in, tile.layer, tile.direction, arena);
  }

  const Runner<T>& run_;
  const rnn_engine_forward_args& args_;
  const ForwardCall<T> call_;
  const Rolling<T>& rolling_;
  const ForwardTile<T> tile_;
  std::int64_t last_ = -1;  // the pseudo-layer of the tile before
};

}  // namespace

template <class T>
void run_forward(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_forward_args& args,
                 Interrupt& interrupt) {
  run_tiles(plan, pool, false, interrupt, {args.before_step, args.before_step_user},
            [&](Team& team, std::int64_t group, const auto& each_tile) {
              Arena arena(args.workspace);
              const ForwardWorkspace<T> workspace(plan.layout(), arena, group);
              const Runner<T> runner{team, plan, args.masks, backend.template kernels<T>(),
                                     backend.template kernels<Value<T>>()};
              Forward<T> forward(runner, args, workspace);
              each_tile([&](const Tile& tile) { forward.run(tile); });
            });
}

template <class T>
void run_pack(const Plan& plan, const Backend& backend, Pool& pool, const rnn_engine_weights* weights, void* packed) {
  pool.run([&](Team& team) {
    for_each_pseudo_layer(plan.shape, [&](std::int64_t layer, std::int64_t d) {
      const auto index = static_cast<std::size_t>(layer * plan.shape.D + d);
      Arena arena(offset_by(packed, plan.packed_slots[index]));
      pack_forward(team, backend.template kernels<T>(), plan.shape, plan.shape.layer(layer), Weights<T>(weights[index]),
                   PackedForward<T>(plan.layout(), layer, d, arena));
    });
  });
}

template void run_forward<float>(const Plan&, const Backend&, Pool&, const rnn_engine_forward_args&, Interrupt&);
template void run_forward<double>(const Plan&, const Backend&, Pool&, const rnn_engine_forward_args&, Interrupt&);
template void run_forward<BFloat16>(const Plan&, const Backend&, Pool&, const rnn_engine_forward_args&, Interrupt&);
template void run_pack<float>(const Plan&, const Backend&, Pool&, const rnn_engine_weights*, void*);
template void run_pack<double>(const Plan&, const Backend&, Pool&, const rnn_engine_weights*, void*);
template void run_pack<BFloat16>(const Plan&, const Backend&, Pool&, const rnn_engine_weights*, void*);

}  // namespace rnn_engine
