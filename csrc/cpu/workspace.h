// What lies where in the CPU's workspace, which lives inside one call: layers, pieces of time and the two
// calls lie over one another in it. Pure functions, as those of plan/reserve.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/kernels/kernels.h"
#include "plan/workspace.h"

namespace rnn_engine {

// Values of a [K, N] matrix packed into panels of 4 vectors (the last may have fewer).
inline std::int64_t packed_size(const Machine& machine, std::int64_t k, std::int64_t n) {
  return round_up(k, machine.k_interleave) * round_up(n, machine.width);
}
// Values of a [K, Z] matrix packed with the gates of the same units side by side.
inline std::int64_t packed_gates_size(const Machine& machine, std::int64_t k, std::int64_t hidden, int gates) {
  return round_up(k, machine.k_interleave) * gates * round_up(hidden, machine.width);
}

// Weight-gradient products pack at most this many rows (of 4H) at once, for each thread, and this many steps
// of k. What they are multiplied by is packed once for all of them; the packed rows themselves are read one
// after the other, for which the third cache is near enough.
inline constexpr std::int64_t kGradientRows = 2112;
inline constexpr std::int64_t kGradientSteps = 256;  // times kInterleave
template <class T>
inline constexpr std::int64_t kGradientDepth = kGradientSteps * kInterleave<T>;
// Of `rows` shared by threads in whole blocks of kRowBlock.
inline std::int64_t gradient_rows(std::int64_t rows, std::int64_t threads) {
  return std::min(kGradientRows, round_up((rows + threads - 1) / threads, std::int64_t{kRowBlock}));
}
// Other products run through k in pieces of this many, so that a piece of a panel stays in a near cache;
// those that pack their panels on the way pack no more at once.
template <class T>
inline constexpr std::int64_t kDepth = 1024 * kInterleave<T>;
// Cuts of k are between whole groups, of whichever kernels.
static_assert(kGradientDepth<BFloat16> % kLargestGroup == 0 && kDepth<BFloat16> % kLargestGroup == 0);
template <class T>
inline std::int64_t large_depth(std::int64_t k) {
  return kRounds<T> ? k : std::min(kDepth<T>, k);
}

// A cell that runs on whole rows sums over rows in at most this many blocks of neighbouring rows, which no
// number of threads changes.
inline constexpr std::int64_t kSumRowBlocks = 16;
inline std::int64_t row_block(const Shape& s) {
  if (!s.cell.whole_rows) return s.B;
  const std::int64_t least = (s.B + kSumRowBlocks - 1) / kSumRowBlocks;
  return least <= kCellRows ? least : round_up(least, kCellRows);
}
// Values of one block's sums.
inline std::int64_t sums_size(const Shape& s, std::int64_t hidden) { return s.cell.sums_width() * hidden; }

// One pseudo-layer's weights, packed for the forward direction: in a forward call, or where its results are recomputed.
template <class T>
struct PackedForward {
  T *weight_ih = nullptr, *weight_hh = nullptr, *weight_hr;
  Value<T>* bias;  // [4H] sum of the biases that begin the input product
  // Of a call with a single step, which uses every weight once: where each thread packs a tile of units right before
  // its use, in place of weight_ih and weight_hh. Packing all of them first would take a trip through a far cache.
  T* panels = nullptr;
  std::int64_t panel_size = 0;

  PackedForward() = default;
  PackedForward(const LayoutInput& in, std::int64_t layer, std::int64_t d, Arena& arena) {
    const Shape& s = in.shape;
    const LayerShape& size = s.layer(layer);
    weight_ih =
        arena.take<T>("packed weight_ih", packed_gates_size(in.machine, size.I, size.H, s.cell.gates), layer, d);
    weight_hh =
        arena.take<T>("packed weight_hh", packed_gates_size(in.machine, size.R, size.H, s.cell.gates), layer, d);
    take_rest(in, layer, d, arena);
  }

  // What a forward call packs for itself.
  static PackedForward of_call(const LayoutInput& in, std::int64_t layer, std::int64_t d, Arena& arena) {
    const LayerShape& size = in.shape.layer(layer);
    if (in.shape.T > 1) return PackedForward(in, layer, d, arena);
    PackedForward packed;
    packed.panel_size = packed_gates_size(in.machine, std::max(size.I, size.R), in.machine.width, in.shape.cell.gates);
    packed.panels = arena.take<T>("panels of weights", in.machine.threads * packed.panel_size, layer, d);
    packed.take_rest(in, layer, d, arena);
    return packed;
  }

 private:
  void take_rest(const LayoutInput& in, std::int64_t layer, std::int64_t d, Arena& arena) {
    const Shape& s = in.shape;
    const LayerShape& size = s.layer(layer);
    weight_hr = arena.take<T>("packed weight_hr", s.projected ? packed_size(in.machine, size.H, size.R) : 0, layer, d);
    bias = arena.take<Value<T>>("bias", s.bias && !s.cell.adds_bias ? size.Z : 0, layer, d);
  }
};

// Rolling buffers of forward tiles: one set for each group of threads, shared by all layers.
template <class T>
struct Rolling {
  T* dropped = nullptr;             // [rows of a tile, D*R] the layer's input after dropout
  T* h = nullptr;                   // [rows of a tile, R] of a residual layer, where it is not kept
  Value<T>* wx = nullptr;           // [rows of a tile, 4H]
  Value<T>* uh = nullptr;           // [B, 4H]
  T* h_unprojected = nullptr;       // [B, H] with a projection
  Value<T>* work = nullptr;         // [B, H] working memory of cells that run on whole rows
  Value<T>* c_candidate = nullptr;  // [B, H] c before zoneout
  Value<T>* factors = nullptr;      // [B, R] what recurrent dropout multiplies h by
  T* h_dropped[2] = {};             // [B, R] h after recurrent dropout, of steps in turn

  Rolling() = default;
  // `steps`: of a tile. `gates`: whether any layer's are not kept.
  Rolling(const LayoutInput& in, std::int64_t steps, bool gates, Arena& arena) {
    const Shape& s = in.shape;
    const Widest widest(s);
    dropped = arena.take<T>("layer input after dropout", s.dropout ? in.rows(steps) * widest.input : 0);
    const bool sums = s.residual && (!s.training || in.schedule.checkpoint());
    h = arena.take<T>("h of a residual layer, rolling", sums ? in.rows(steps) * widest.R : 0);
    wx = arena.take<Value<T>>("input product, rolling", gates ? in.rows(steps) * widest.G : 0);
    uh = arena.take<Value<T>>("recurrent product, rolling", gates && s.cell.split ? s.B * widest.G : 0);
    h_unprojected = arena.take<T>("h before projection, rolling", gates && s.projected ? s.B * widest.H : 0);
    work = arena.take<Value<T>>("cells' working memory, rolling", s.cell.whole_rows ? s.B * widest.H : 0);
    c_candidate = arena.take<Value<T>>("c before zoneout, rolling", gates && s.zoneout_c > 0 ? s.B * widest.H : 0);
    take_recurrent(s, widest, arena);
  }

  void take_recurrent(const Shape& s, const Widest& widest, Arena& arena) {
    const std::int64_t values = s.recurrent_dropout > 0 ? s.B * widest.R : 0;
    factors = arena.take<Value<T>>("recurrent dropout", values);
    h_dropped[0] = arena.take<T>("h after recurrent dropout, even", values);
    h_dropped[1] = arena.take<T>("h after recurrent dropout, odd", values);
  }
};

// What a group of threads sees of the forward call's workspace.
template <class T>
struct ForwardWorkspace {
  LayerOutputs<T> between;
  Rolling<T> rolling;  // the group's own

  // `slots`: also lay out the pseudo-layers' packed weights, and say where; the run has that from the plan.
  ForwardWorkspace(const LayoutInput& in, Arena& arena, std::int64_t group, Slots* slots = nullptr)
      : between(in, begun(in, false, arena)) {
    const Shape& s = in.shape;
    const Schedule& schedule = in.schedule;
    bool gates = !s.training || kRounds<T>;  // gates are kept rounded, and made elsewhere
    for (const Policy policy : schedule.policy) gates = gates || policy != Policy::kStore;
    for (std::int64_t g = 0; g < schedule.thread_groups; ++g) {
      const Rolling<T> own(in, schedule.forward_steps, gates, arena);
      if (g == group) rolling = own;
    }
    if (!slots || s.prepacked) return;
    lay_out_pseudo_layers(in, false, arena, *slots, [&](std::int64_t layer, std::int64_t d, Arena& own) {
      PackedForward<T>::of_call(in, layer, d, own);
    });
  }
};

// What one pseudo-layer's backward tiles share.
template <class T>
struct PseudoLayerBackward : PseudoLayerPieces<T> {
  PackedForward<T> forward{};  // checkpoint: for the replay
  Value<T>* bias;              // recompute: [4H] as in PackedForward
  T *weight_hh, *weight_hr;    // packed for the gradients' products of single steps
  Value<T>* sums;              // [blocks of rows, kSums * 4H + unit vectors * H]
  Value<T>* factors;           // [B, R] what recurrent dropout multiplies h by

  PseudoLayerBackward(const LayoutInput& in, std::int64_t layer, std::int64_t d, Arena& arena)
      : PseudoLayerPieces<T>(in, layer, d, false, arena) {
    const Shape& s = in.shape;
    const LayerShape& size = s.layer(layer);
    const Policy policy = in.schedule.of(layer);
    if (policy == Policy::kCheckpoint) forward = PackedForward<T>(in, layer, d, arena);
    const bool begins = s.bias && !s.cell.adds_bias && policy == Policy::kRecompute;
    bias = arena.take<Value<T>>("bias", begins ? size.Z : 0, layer, d);
    weight_hh = arena.take<T>("packed weight_hh^T", packed_size(in.machine, size.Z, size.R), layer, d);
    weight_hr =
        arena.take<T>("packed weight_hr^T", s.projected ? packed_size(in.machine, size.R, size.H) : 0, layer, d);
    const std::int64_t blocks = (s.B + row_block(s) - 1) / row_block(s);
    sums = arena.take<Value<T>>("sums of vector gradients", blocks * sums_size(s, size.H), layer, d);
    factors = arena.take<Value<T>>("recurrent dropout", s.recurrent_dropout > 0 ? s.B * size.R : 0, layer, d);
  }
};

// What backward tiles use while they run: one set for each group of threads, shared by all layers.
template <class T>
struct GroupBackward {
  std::int64_t* order;  // [rows of a tile] rows in the order in which backward meets them; -1: none
  const T** previous;   // [rows of a tile] h before each of them
  Value<T>* dh;         // [B, H] gradient of the cell's output; before the recurrence: cells' working memory
  T* dstate;            // [rows of a tile, R] with a projection: gradient of h
  Value<T>* dstep;      // [B, R] with a projection: that of one step, where it is then rounded
  T* input;             // [rows of a tile, D*R] a layer's input, where it is a sum, or dropped; then its gradient
  T* h_dropped;         // [rows of a tile, R] h' after recurrent dropout
  Value<T>* past_c;     // zoneout: [B, H] gradient of c that passes the step by
  Rolling<T> replay;    // what a replay needs beside what it keeps
  T *pack_a, *pack_b;   // one piece a thread
  T* pack_gates;        // recompute: one panel of weights a thread
  Value<T>* work;       // the cell's, for each thread
  // Where gates are kept rounded: [rows of a piece, 4H] products of a piece whose gates are recomputed.
  Value<T>* piece_wx;
  Value<T>* piece_uh;
  std::int64_t pack_a_rows, pack_a_size, pack_b_size, pack_gates_size, work_size;

  GroupBackward() = default;
  GroupBackward(const LayoutInput& in, Arena& arena) {
    const Shape& s = in.shape;
    const Widest widest(s);
    const std::int64_t threads = in.threads_of_group();
    const std::int64_t rows = in.rows(in.schedule.gradient_steps);  // no tile has more
    const std::int64_t ordered = in.grouped_rows(in.schedule.gradient_steps);
    order = arena.take<std::int64_t>("rows in backward order", ordered);
    previous = arena.take<const T*>("previous h of each row", ordered);
    dh = arena.take<Value<T>>("dh", s.B * widest.H);
    dstate = arena.take<T>("gradient of h", s.projected ? in.grouped_rows(in.schedule.backward_steps) * widest.R : 0);
    dstep = arena.take<Value<T>>("gradient of h before rounding", kRounds<T> && s.projected ? s.B * widest.R : 0);
    const bool made = s.dropout || (s.residual && s.L > 2);
    input = arena.take<T>("layer input made again", made ? rows * widest.input : 0);
    h_dropped = arena.take<T>("h after recurrent dropout", s.recurrent_dropout > 0 ? rows * widest.R : 0);
    past_c = arena.take<Value<T>>("gradient past zoneout of c", s.zoneout_c > 0 ? s.B * widest.H : 0);
    replay.dropped = input;
    if (in.schedule.checkpoint()) replay.take_recurrent(s, widest, arena);
    pack_a_rows = gradient_rows(std::max(s.cell.gates * widest.H, widest.R), threads);
    pack_a_size = pack_a_rows * std::min(kGradientDepth<T>, ordered);
    pack_b_size = std::max(std::min(kGradientDepth<T>, ordered),
                           large_depth<T>(round_up(s.cell.gates * widest.H, in.machine.k_interleave))) *
                  kPanelVectors * in.machine.width;
    pack_gates_size = 0;
    for (std::int64_t layer = 0; layer < s.L; ++layer)
      if (in.schedule.of(layer) == Policy::kRecompute)
        pack_gates_size =
            std::max(pack_gates_size,
                     packed_gates_size(in.machine, std::max(s.layer(layer).I, s.layer(layer).R), 1, s.cell.gates));
    pack_gates = arena.take<T>("packed weights of some units", pack_gates_size * threads);
    pack_a = arena.take<T>("packed rows of gradients", pack_a_size * threads);
    pack_b = arena.take<T>("packed columns of inputs", pack_b_size * threads);
    work_size = kCellRows * s.cell.work * widest.H;
    work = arena.take<Value<T>>("cells' working memory", work_size * threads);
    bool recomputes = false;
    for (const Policy policy : in.schedule.policy) recomputes = recomputes || policy != Policy::kStore;
    const std::int64_t gates = kRounds<T> && recomputes ? in.rows(in.schedule.backward_steps) * widest.G : 0;
    piece_wx = arena.take<Value<T>>("gates of a piece before rounding", gates);
    piece_uh = arena.take<Value<T>>("recurrent product of a piece before rounding", s.cell.split ? gates : 0);
    if constexpr (kRounds<T>) {
      replay.wx = piece_wx;
      replay.uh = piece_uh;
    }
    replay.work = dh;
  }
};

// What a group of threads sees of the backward call's workspace.
template <class T>
struct BackwardWorkspace {
  LayerGradients<T> between;
  GroupBackward<T> own;
  Value<T>* zeros;  // [B, widest state] stands for absent initial states

  // `slots`: also lay out the pseudo-layers' own parts, and say where.
  BackwardWorkspace(const LayoutInput& in, Arena& arena, std::int64_t group, Slots* slots = nullptr)
      : between(in, begun(in, true, arena)) {
    const Shape& s = in.shape;
    const Widest widest(s);
    zeros = arena.take<Value<T>>("zeros", s.B * std::max(widest.H, widest.R));
    for (std::int64_t g = 0; g < in.schedule.thread_groups; ++g) {
      const GroupBackward<T> part(in, arena);
      if (g == group) own = part;
    }
    if (!slots) return;
    lay_out_pseudo_layers(in, true, arena, *slots, [&](std::int64_t layer, std::int64_t d, Arena& pseudo) {
      PseudoLayerBackward<T>(in, layer, d, pseudo);
    });
  }
};

// Bytes of the arenas, without the table.
rnn_engine_sizes arena_sizes(const Shape& shape, const Machine& machine, const Schedule& schedule);

}  // namespace rnn_engine
