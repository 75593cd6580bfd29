// What lies where in a GPU's workspace. Pure functions of the plan, walked by the planner without memory and
// by the run with it; kept memory is laid out as on the CPU (plan/reserve.h).
#pragma once

#include "base/float16.h"
#include "cuda/kernels/kernels.h"
#include "plan/workspace.h"

namespace rnn_engine::cuda {

// Streams of the backward call: one for each group, and, where products are tiles of their own, one for
// those that nothing waits for.
inline std::int64_t streams_of(const Schedule& schedule) {
  const bool apart = std::any_of(schedule.policy.begin(), schedule.policy.end(),
                                 [](Policy policy) { return policy == Policy::kStore; });
  return schedule.thread_groups == 1 ? 1 : schedule.thread_groups + (apart ? 1 : 0);
}

// Whether a call draws masks.
inline bool draws(const Shape& s) {
  const bool zones = s.zoneout_masks && (s.zoneout_c > 0 || s.zoneout_h > 0);
  return s.dropout || s.recurrent_dropout > 0 || zones;
}

// Tables that kernels read: only where a batch is ragged, or masks are drawn.
struct TableWorkspace {
  std::int32_t* offsets;   // [T + 1]
  std::uint32_t* row_ids;  // [B]
  PhiloxKey* key;          // one

  TableWorkspace() = default;
  TableWorkspace(const Shape& s, Arena& arena) {
    offsets = arena.take<std::int32_t>("first rows of steps", static_cast<std::int64_t>(s.offsets.size()));
    row_ids = arena.take<std::uint32_t>("the caller's rows", draws(s) ? s.B : 0);
    key = arena.take<PhiloxKey>("key of the masks", draws(s) ? 1 : 0);
  }
};

// One pseudo-layer's weights as a packed block holds them: copies, as products read them where they lie.
template <class T>
struct PackedPseudoLayer {
  T *weight_ih, *weight_hh, *weight_hr;
  Value<T>*bias_ih, *bias_hh;

  PackedPseudoLayer(const LayoutInput& in, std::int64_t layer, std::int64_t d, Arena& arena) {
    const Shape& s = in.shape;
    const LayerShape& size = s.layer(layer);
    weight_ih = arena.take<T>("packed weight_ih", size.Z * size.I, layer, d);
    weight_hh = arena.take<T>("packed weight_hh", size.Z * size.R, layer, d);
    weight_hr = arena.take<T>("packed weight_hr", s.projected ? size.R * size.H : 0, layer, d);
    bias_ih = arena.take<Value<T>>("packed bias_ih", s.bias ? size.Z : 0, layer, d);
    bias_hh = arena.take<Value<T>>("packed bias_hh", s.bias ? size.Z : 0, layer, d);
  }
};

// Rolling buffers of the tile that runs on a stream, shared by all layers.
template <class T>
struct Rolling {
  T* dropped;             // [rows of a tile, D*R] the layer's input after dropout
  Value<T>* wx;           // [rows of a tile, Z] where gates are not kept, or kept rounded
  Value<T>* uh;           // [B, Z]
  T* h_unprojected;       // [B, H] with a projection
  Value<T>* c_candidate;  // [B, H] c before zoneout, of a cell on whole rows
  Value<T>* h;            // [B, H] of a cell on whole rows
  T* residual_h;          // [rows of a tile, R] of a residual layer, where it is not kept

  Rolling() = default;
  // `gates`: whether any layer's are not kept as they are made.
  Rolling(const LayoutInput& in, std::int64_t steps, bool gates, Arena& arena) {
    const Shape& s = in.shape;
    const Widest widest(s);
    dropped = arena.take<T>("layer input after dropout", s.dropout ? in.rows(steps) * widest.input : 0);
    wx = arena.take<Value<T>>("input product, rolling", gates ? in.rows(steps) * widest.G : 0);
    uh = arena.take<Value<T>>("recurrent product, rolling", gates && s.cell.split ? s.B * widest.G : 0);
    h_unprojected = arena.take<T>("h before projection, rolling", gates && s.projected ? s.B * widest.H : 0);
    c_candidate =
        arena.take<Value<T>>("c before zoneout, rolling", s.cell.whole_rows && s.zoneout_c > 0 ? s.B * widest.H : 0);
    h = arena.take<Value<T>>("h before rounding", s.cell.whole_rows ? s.B * widest.H : 0);
    const bool sums = s.residual && (!s.training || in.schedule.checkpoint());
    residual_h = arena.take<T>("h of a residual layer, rolling", sums ? in.rows(steps) * widest.R : 0);
  }
};

// A pseudo-layer's states while it runs forward.
template <class T>
struct PseudoLayerStates {
  T* next[2];         // [B, R] what U sees, of steps in turn
  Value<T>* factors;  // [B, R] what recurrent dropout multiplies h by

  PseudoLayerStates() = default;
  PseudoLayerStates(const LayoutInput& in, std::int64_t layer, std::int64_t d, Arena& arena) {
    const Shape& s = in.shape;
    const std::int64_t values = s.B * s.layer(layer).R;
    next[0] = arena.take<T>("h before even steps", values, layer, d);
    next[1] = arena.take<T>("h before odd steps", values, layer, d);
    factors = arena.take<Value<T>>("recurrent dropout", s.recurrent_dropout > 0 ? values : 0, layer, d);
  }
};

// What the tiles of one stream see of the forward call's workspace.
template <class T>
struct ForwardWorkspace {
  TableWorkspace tables;
  LayerOutputs<T> between;
  Rolling<T> rolling;  // the stream's own

  // `slots`: also lay out the pseudo-layers' states, and say where; the run has that from the plan.
  ForwardWorkspace(const LayoutInput& in, Arena& arena, std::int64_t stream, Slots* slots = nullptr)
      : tables(in.shape, begun(in, false, arena)), between(in, arena) {
    const bool gates = !in.shape.training || kRounds<T> || !in.schedule.stores_all();
    for (std::int64_t i = 0; i < in.schedule.thread_groups; ++i) {
      const Rolling<T> part(in, in.schedule.forward_steps, gates, arena);
      if (i == stream) rolling = part;
    }
    if (!slots) return;
    lay_out_pseudo_layers(in, false, arena, *slots, [&](std::int64_t layer, std::int64_t d, Arena& own) {
      PseudoLayerStates<T>(in, layer, d, own);
    });
  }
};

// Values of one block's sums, and of all.
inline std::int64_t sums_size(const Shape& s, std::int64_t hidden) { return s.cell.sums_width() * hidden; }
inline std::int64_t row_blocks(const Shape& s) { return (s.B + sum_rows(s.cell) - 1) / sum_rows(s.cell); }

// What one pseudo-layer's backward tiles share.
template <class T>
struct PseudoLayerBackward : PseudoLayerPieces<T> {
  PseudoLayerStates<T> states;  // of a replay; else only the factors are used
  Value<T>* sums;               // [blocks of rows, kSums * Z + unit vectors * H]

  PseudoLayerBackward(const LayoutInput& in, std::int64_t layer, std::int64_t d, Arena& arena)
      : PseudoLayerPieces<T>(in, layer, d, true, arena) {
    const Shape& s = in.shape;
    const LayerShape& size = s.layer(layer);
    if (in.schedule.of(layer) == Policy::kCheckpoint) {
      states = PseudoLayerStates<T>(in, layer, d, arena);
    } else {
      states = {};
      states.factors = arena.take<Value<T>>("recurrent dropout", s.recurrent_dropout > 0 ? s.B * size.R : 0, layer, d);
    }
    sums = arena.take<Value<T>>("sums of vector gradients", row_blocks(s) * sums_size(s, size.H), layer, d);
  }
};

// What backward tiles use while they run: one set for each stream, shared by all layers.
template <class T>
struct StreamBackward {
  Value<T>* product;                  // [B, R] d_uh U of a step
  Value<T>* dh;                       // [B, H] with a projection: gradient of the cell's output
  T* dstate;                          // [rows of a tile, R] with a projection: gradient of h
  T* input;                           // [rows of a tile, D*R] a layer's, if a sum or dropped; then its gradient
  T* h_previous;                      // [rows of a tile, R] h' as U saw it
  Rolling<T> replay;                  // what a replay, or recomputing gates, needs beside what it keeps
  Value<T>*work, *wide_wx, *wide_uh;  // of a cell on whole rows: see CellBackward
  Value<T>*piece_wx, *piece_uh;       // [rows of a piece, Z] gates that are recomputed, before they are rounded

  StreamBackward() = default;
  StreamBackward(const LayoutInput& in, Arena& arena) {
    const Shape& s = in.shape;
    const Schedule& schedule = in.schedule;
    const Widest widest(s);
    product = arena.take<Value<T>>("recurrent gradient of a step", s.cell.gates * s.B * widest.R);
    dh = arena.take<Value<T>>("gradient of the cells' output", s.projected ? s.B * widest.H : 0);
    dstate = arena.take<T>("gradient of h", s.projected ? in.rows(schedule.backward_steps) * widest.R : 0);
    const std::int64_t rows = in.rows(std::max(schedule.gradient_steps, schedule.backward_steps));
    const bool made = s.dropout || (s.residual && s.L > 2);
    input = arena.take<T>("layer input made again", made ? rows * widest.input : 0);
    h_previous = arena.take<T>("h before each step", rows * widest.R);
    const bool whole = s.cell.whole_rows, wide = whole && kRounds<T>;
    work = arena.take<Value<T>>("cells' working memory", whole ? s.B * whole_rows_work(s.cell.work) * widest.H : 0);
    wide_wx = arena.take<Value<T>>("gates in work", wide ? s.B * widest.G : 0);
    wide_uh = arena.take<Value<T>>("recurrent product in work", wide ? s.B * widest.G : 0);
    replay = {};
    replay.c_candidate =
        arena.take<Value<T>>("c before zoneout, rolling", whole && s.zoneout_c > 0 ? s.B * widest.H : 0);
    replay.h = arena.take<Value<T>>("h before rounding", whole ? s.B * widest.H : 0);
    replay.dropped = input;
    const bool rounded = kRounds<T> && !schedule.stores_all();
    const std::int64_t again = rounded ? in.rows(schedule.backward_steps) * widest.G : 0;
    piece_wx = arena.take<Value<T>>("gates of a piece before rounding", again);
    piece_uh = arena.take<Value<T>>("recurrent product of a piece before rounding", s.cell.split ? again : 0);
    replay.wx = piece_wx;
    replay.uh = piece_uh;
  }
};

// What the tiles of one stream see of the backward call's workspace.
template <class T>
struct BackwardWorkspace {
  TableWorkspace tables;
  LayerGradients<T> between;
  StreamBackward<T> own;

  // `slots`: also lay out the pseudo-layers' own parts, and say where.
  BackwardWorkspace(const LayoutInput& in, Arena& arena, std::int64_t stream, Slots* slots = nullptr)
      : tables(in.shape, begun(in, true, arena)), between(in, arena) {
    for (std::int64_t i = 0; i < streams_of(in.schedule); ++i) {
      const StreamBackward<T> part(in, arena);
      if (i == stream) own = part;
    }
    if (!slots) return;
    lay_out_pseudo_layers(in, true, arena, *slots, [&](std::int64_t layer, std::int64_t d, Arena& pseudo) {
      PseudoLayerBackward<T>(in, layer, d, pseudo);
    });
  }
};

}  // namespace rnn_engine::cuda
