// What lies where in memory: what every layout needs, and the kept arena, which lives from forward to
// backward and holds what the layers' policies keep. Pure functions of (shape, machine, schedule): the
// planner calls them without memory, the run calls them again with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/arena.h"
#include "base/bfloat16.h"
#include "plan/schedule.h"
#include "plan/tiles.h"

namespace rnn_engine {

inline std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

using Slots = std::vector<std::size_t>;  // offsets in an arena

template <class Visit>
void for_each_pseudo_layer(const Shape& shape, const Visit& visit) {
  for (std::int64_t layer = 0; layer < shape.L; ++layer)
    for (std::int64_t d = 0; d < shape.D; ++d) visit(layer, d);
}

// Everything that the layout functions need to know. `tiles` is only for the lives in the table of buffers.
struct LayoutInput {
  const Shape& shape;
  const Machine& machine;
  const Schedule& schedule;
  const Tiles* tiles;

  Life life(std::int64_t layer, std::int64_t direction, bool in_backward) const {
    return tiles ? tiles->life(layer, direction, in_backward) : Life{0, 0};
  }
  // The first tile of the forward or the backward call to its last.
  Life whole(bool in_backward) const {
    if (!tiles) return {0, 0};
    const auto forward = static_cast<std::int64_t>(tiles->forward.size());
    return in_backward ? Life{forward, tiles->count() - 1} : Life{0, forward - 1};
  }
  std::int64_t threads_of_group() const { return machine.threads / schedule.thread_groups; }
  // The most rows of any piece of `steps` steps that a call may have.
  std::int64_t rows(std::int64_t steps) const { return std::min(shape.N, steps * shape.B); }
  // The same with each step's rows filled up to whole groups, as weight gradients sum over them.
  std::int64_t grouped_rows(std::int64_t steps) const {
    return std::min(shape.N + steps * (machine.k_group - 1), steps * round_up(shape.B, machine.k_group));
  }
  // States are kept at the beginning of every piece of K steps but the first.
  std::int64_t kept_states() const { return (shape.T + schedule.backward_steps - 1) / schedule.backward_steps - 1; }
};

template <class T>
struct ReserveDirection {
  T* wx;                  // store: [N, 4H] what the cell keeps: LSTM activated gates, a split cell W x (+ b)
  T* uh;                  // store: [N, 4H] of a split cell: U h' (+ b)
  Value<T>* c;            // store: [N, H]
  Value<T>* c_candidate;  // store, with zoneout of c: [N, H] c before zoneout
  T* h_unprojected;       // store, with a projection: [N, H] o tanh(c)
  Value<T>* c_states;     // else: [pieces - 1, B, H] c before each piece of K steps but the first
  T* h_states;            // checkpoint: [pieces - 1, B, R]
};

template <class T>
struct ReserveLayer {
  ReserveDirection<T> direction[2];
  // [N, D*R]; nullptr in the last layer, whose output is the caller's y, unless the stack is residual; and with
  // checkpoints.
  T* h;

  ReserveLayer(const LayoutInput& in, std::int64_t layer, Arena& arena) {
    const Shape& s = in.shape;
    const LayerShape& size = s.layer(layer);
    const Policy policy = in.schedule.of(layer);
    const bool store = policy == Policy::kStore;
    const std::int64_t states = store ? 0 : in.kept_states() * s.B;
    Life life = in.life(layer, 0, true);
    for (std::int64_t d = 0; d < s.D; ++d) {
      arena.set_life({in.life(layer, d, false).first, in.life(layer, d, true).last});
      life.last = in.life(layer, d, true).last;
      direction[d].wx = arena.take<T>("input product / gates", store ? s.N * size.G : 0, layer, d);
      direction[d].uh = arena.take<T>("recurrent product", store && s.cell.split ? s.N * size.G : 0, layer, d);
      direction[d].c = arena.take<Value<T>>("c", store ? s.N * size.H : 0, layer, d);
      direction[d].c_candidate =
          arena.take<Value<T>>("c before zoneout", store && s.zoneout_c > 0 ? s.N * size.H : 0, layer, d);
      direction[d].h_unprojected =
          arena.take<T>("h before projection", store && s.projected ? s.N * size.H : 0, layer, d);
      direction[d].c_states = arena.take<Value<T>>("c every K steps", states * size.H, layer, d);
      direction[d].h_states =
          arena.take<T>("h every K steps", policy == Policy::kCheckpoint ? states * size.R : 0, layer, d);
    }
    arena.set_life({in.life(layer, 0, false).first, life.last});
    const bool keeps_h = (layer + 1 < s.L || s.residual) && policy != Policy::kCheckpoint;
    h = arena.take<T>("h", keeps_h ? s.N * s.D * size.R : 0, layer);
  }
};

// Gives each pseudo-layer a part of the arena; of the pseudo-layers in the order in which they begin, number
// i has the slot i modulo `pseudo_layers_at_once`. `lay_out(layer, direction, arena)` takes a pseudo-layer's
// part; `slots` is indexed by pseudo-layer.
template <class LayOut>
void lay_out_pseudo_layers(const LayoutInput& in, bool in_backward, Arena& arena, Slots& slots, const LayOut& lay_out) {
  const Shape& s = in.shape;
  const std::int64_t pseudo_layers = s.L * s.D, count = std::min(in.schedule.pseudo_layers_at_once, pseudo_layers);
  const auto layer_of = [&](std::int64_t i) { return in_backward ? s.L - 1 - i / s.D : i / s.D; };
  std::size_t end = arena.mark();
  std::vector<std::size_t> begin;
  for (std::int64_t slot = 0; slot < count; ++slot) {
    begin.push_back(end);
    std::size_t largest = 0;
    for (std::int64_t i = slot; i < pseudo_layers; i += count) {
      Arena alone;
      lay_out(layer_of(i), i % s.D, alone);
      largest = std::max(largest, alone.size());
    }
    end += largest;
  }
  slots.resize(static_cast<std::size_t>(pseudo_layers));
  for (std::int64_t i = 0; i < pseudo_layers; ++i) {
    const std::int64_t layer = layer_of(i), d = i % s.D;
    arena.rewind(begin[static_cast<std::size_t>(i % count)]);
    arena.set_life(in.life(layer, d, in_backward));
    slots[static_cast<std::size_t>(layer * s.D + d)] = arena.mark();
    lay_out(layer, d, arena);
  }
  arena.rewind(end);
}

struct Widest {
  std::int64_t H = 0, R = 0, G = 0, input = 0;  // input: of the layers above the first
  explicit Widest(const Shape& s) {
    for (const LayerShape& size : s.layers) {
      H = std::max(H, size.H);
      R = std::max(R, size.R);
      G = std::max(G, size.G);
      if (&size != &s.layers.front()) input = std::max(input, size.I);
    }
  }
};

}  // namespace rnn_engine
