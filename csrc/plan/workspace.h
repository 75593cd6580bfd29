// Workspace that every device has: what goes from layer to layer, and a pseudo-layer's own in the backward call.
#pragma once

#include "plan/reserve.h"

namespace rnn_engine {

// An arena whose pieces live as long as a call.
inline Arena& begun(const LayoutInput& in, bool in_backward, Arena& arena) {
  arena.set_life(in.whole(in_backward));
  return arena;
}

// Outputs of the layers below the last, in turn, where they are not kept: [chunks at once, rows of a chunk, stride].
//
// Those of a residual stack are sums: each layer's stands where that of the layer below stood, whose rows nobody reads
// after a tile of its own; with two directions, which read what both wrote, where that of the second below stood. The
// caller's y is one of these places.
template <class T>
struct LayerOutputs {
  T* output[2];
  std::int64_t stride, chunk;  // values of a row, of a chunk

  LayerOutputs(const LayoutInput& in, Arena& arena) {
    const Shape& s = in.shape;
    bool needed[2] = {};
    for (std::int64_t layer = 0; layer < s.L; ++layer)
      if (!in_reserve(s, in.schedule, layer) && !in_y(s, layer) && !unread(s, layer)) needed[place(s, layer)] = true;
    stride = s.D * Widest(s).R;
    chunk = in.rows(in.schedule.chunk) * stride;
    const std::int64_t all = in.schedule.chunks_at_once * chunk;
    output[0] = arena.take<T>("layer output, even", needed[0] ? all : 0);
    output[1] = arena.take<T>("layer output, odd", needed[1] ? all : 0);
  }

  // Whether what a layer puts out is kept for the backward call.
  static bool in_reserve(const Shape& s, const Schedule& schedule, std::int64_t layer) {
    return s.training && !schedule.checkpoint() && layer + 1 < s.L && (layer == 0 || !s.residual);
  }
  // Whether y holds it, if only until the layer above has read it.
  static bool in_y(const Shape& s, std::int64_t layer) {
    return s.output && (layer == s.L - 1 || (s.residual && place(s, layer) == place(s, s.L - 1)));
  }
  // Whether nobody asks for it.
  static bool unread(const Shape& s, std::int64_t layer) { return s.residual && !s.output && layer == s.L - 1; }
  // Which of the two holds it otherwise.
  static std::size_t place(const Shape& s, std::int64_t layer) {
    return static_cast<std::size_t>(!s.residual ? layer % 2 : s.D == 1 ? 0 : (s.L - 1 - layer) % 2);
  }
};

// Gradients handed from layer to layer. In a one-directional stack a tile's input gradient may replace its output
// gradient, for their rows lie equally far apart; with checkpoints only one piece of time is under way.
template <class T>
struct LayerGradients {
  T* gradient[2];
  std::int64_t stride;  // values of a row

  LayerGradients(const LayoutInput& in, Arena& arena) {
    const Shape& s = in.shape;
    stride = Widest(s).input;
    const std::int64_t all = (in.schedule.checkpoint() ? in.rows(in.schedule.backward_steps) : s.N) * stride;
    const bool needed = s.L > 1 && !through_dx(s, in.schedule);
    gradient[0] = arena.take<T>("gradient between layers", needed ? all : 0);
    gradient[1] = arena.take<T>("gradient between layers, odd", s.L > 2 && s.D == 2 ? all : 0);
  }

  // The caller's dx holds them before it holds its own.
  static bool through_dx(const Shape& s, const Schedule& schedule) {
    return s.input_gradient && !schedule.checkpoint() && s.L > 1 && s.D == 1 && s.layer(0).I == Widest(s).input;
  }
};

// One pseudo-layer's in the backward call: gradients that go from step to step, and what was not kept.
template <class T>
struct PseudoLayerPieces {
  Value<T>* dc;      // [B, H]
  T* boundary;       // [B, Z] d_uh of the step after the piece, unless gates were kept
  Value<T>* past_h;  // zoneout: [B, R] gradient of h that passes the step by
  T* h;              // of a replay: [B, R], [B, H]
  Value<T>* c;
  // Of a piece of K steps.
  Value<T>*piece_c, *piece_c_candidate;
  T *piece_wx, *piece_uh, *piece_h_unprojected, *piece_h;

  // `runs_cells`: c is needed where gates are recomputed, too.
  PseudoLayerPieces(const LayoutInput& in, std::int64_t layer, std::int64_t d, bool runs_cells, Arena& arena) {
    const Shape& s = in.shape;
    const LayerShape& size = s.layer(layer);
    const Policy policy = in.schedule.of(layer);
    const bool store = policy == Policy::kStore, replayed = policy == Policy::kCheckpoint;
    dc = arena.take<Value<T>>("dc", s.B * size.H, layer, d);
    boundary = arena.take<T>("recurrent gradient of the next piece", store ? 0 : s.B * size.G, layer, d);
    past_h = arena.take<Value<T>>("gradient past zoneout of h", s.zoneout_h > 0 ? s.B * size.R : 0, layer, d);
    h = arena.take<T>("h of the replay", replayed ? s.B * size.R : 0, layer, d);
    const bool cells = replayed || (runs_cells && !store);
    c = arena.take<Value<T>>("c of the replay", cells ? s.B * size.H : 0, layer, d);
    const std::int64_t rows = store ? 0 : in.rows(in.schedule.backward_steps);
    piece_wx = arena.take<T>("gates of a piece", rows * size.G, layer, d);
    piece_uh = arena.take<T>("recurrent product of a piece", s.cell.split ? rows * size.G : 0, layer, d);
    piece_c = arena.take<Value<T>>("c of a piece", rows * size.H, layer, d);
    piece_c_candidate =
        arena.take<Value<T>>("c before zoneout of a piece", s.zoneout_c > 0 ? rows * size.H : 0, layer, d);
    piece_h_unprojected = arena.take<T>("h before projection of a piece", s.projected ? rows * size.H : 0, layer, d);
    piece_h = arena.take<T>("h of a piece", replayed ? rows * size.R : 0, layer, d);
  }
};

}  // namespace rnn_engine
