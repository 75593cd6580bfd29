// What lies where in the two arenas. Pure functions of (shape, machine): the planner calls them without
// memory.
//
//   kept     lives from forward to backward: what the `store` policy keeps of every step
//   scratch  lives inside one call and is shared by all layers, directions and steps
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/arena.h"
#include "plan/shape.h"

namespace rnn_engine {

struct Machine {
  int width;    // values in a vector
  int threads;  // of the context
};

inline std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Values of a [K, N] matrix packed into panels of 4 vectors (the last may have fewer).
inline std::int64_t packed_size(const Machine& machine, std::int64_t k, std::int64_t n) {
  return k * round_up(n, machine.width);
}
// Values of a [K, 4H] matrix packed with the four gates of the same units side by side.
inline std::int64_t packed_gates_size(const Machine& machine, std::int64_t k, std::int64_t hidden) {
  return k * 4 * round_up(hidden, machine.width);
}

// Weight-gradient products pack blocks of this many rows (of 4H) and this many steps of k.
inline constexpr std::int64_t kGradientRows = 528, kGradientDepth = 256;
// Other products run through k in pieces of this many, so that a piece of a panel stays in the nearest cache.
inline constexpr std::int64_t kDepth = 1024;
// Rows of input products computed ahead of the recurrence, so that it finds them in a near cache.
inline constexpr std::int64_t kChunkRows = 256;

// Steps whose input products are computed together.
inline std::int64_t chunk_steps(const Shape& shape) {
  return std::clamp<std::int64_t>(kChunkRows / shape.B, 1, shape.T);
}

template <class T>
struct KeptDirection {
  T* a;  // [N, 4H] what the cell keeps: LSTM activated gates, MI-LSTM W x + b
  T* r;  // [N, 4H] MI-LSTM U h' + b
  T* c;  // [N, H]
};

// Each layer's piece of `kept` is equally large, but the last layer's output is the caller's y.
template <class T>
struct KeptLayer {
  KeptDirection<T> direction[2];
  T* h;  // [N, D*H]; nullptr in the last layer

  KeptLayer(const Shape& s, std::int64_t layer, Arena& arena) {
    for (std::int64_t d = 0; d < s.D; ++d) {
      direction[d].a = arena.take<T>("input product / gates", s.N * 4 * s.H, layer, d);
      direction[d].r = arena.take<T>("recurrent product", s.cell.split ? s.N * 4 * s.H : 0, layer, d);
      direction[d].c = arena.take<T>("c", s.N * s.H, layer, d);
    }
    h = arena.take<T>("h", layer + 1 < s.L ? s.N * s.D * s.H : 0, layer);
  }

  static std::size_t bytes(const Shape& s) {
    Arena arena;
    KeptLayer(s, -1, arena);  // -1: any layer but the last
    return arena.used();
  }
  static KeptLayer at(const Shape& s, std::int64_t layer, void* kept) {
    Arena arena(static_cast<std::byte*>(kept) + static_cast<std::size_t>(layer) * bytes(s));
    return KeptLayer(s, layer, arena);
  }
};

template <class T>
struct ForwardScratch {
  std::int64_t* offsets;  // [T + 1] first row of each step
  T* zeros;               // [B, H] stands for absent initial states
  T* weight_ih;           // packed
  T* weight_hh;           // packed
  T* bias;                // [4H] sum of the biases that begin the input product
  T* dropped;             // [N, D*H] the layer's input after dropout
  // Forward only: rolling buffers in place of what training keeps.
  T* a;          // [chunk rows, 4H]
  T* r;          // [B, 4H]
  T* c;          // [B, H]
  T* output[2];  // [N, D*H] of the layers below the last, in turn

  ForwardScratch(const Shape& s, const Machine& m, Arena& arena) {
    const std::int64_t widest = s.L > 1 ? std::max(s.I, s.D * s.H) : s.I;
    offsets = arena.take<std::int64_t>("first row of each step", s.T + 1);
    zeros = arena.take<T>("zeros", s.B * s.H);
    weight_ih = arena.take<T>("packed weight_ih", packed_gates_size(m, widest, s.H));
    weight_hh = arena.take<T>("packed weight_hh", packed_gates_size(m, s.H, s.H));
    bias = arena.take<T>("bias", s.problem->bias ? 4 * s.H : 0);
    dropped = arena.take<T>("layer input after dropout", s.dropout ? s.N * s.D * s.H : 0);
    const bool rolling = !s.training;
    a = arena.take<T>("input product, rolling", rolling ? chunk_steps(s) * s.B * 4 * s.H : 0);
    r = arena.take<T>("recurrent product, rolling", rolling && s.cell.split ? s.B * 4 * s.H : 0);
    c = arena.take<T>("c, rolling", rolling ? s.B * s.H : 0);
    output[0] = arena.take<T>("layer output, even", rolling && s.L > 1 ? s.N * s.D * s.H : 0);
    output[1] = arena.take<T>("layer output, odd", rolling && s.L > 2 ? s.N * s.D * s.H : 0);
  }
};

template <class T>
struct BackwardScratch {
  std::int64_t* offsets;   // [T + 1]
  std::int64_t* order;     // [N] rows in the order in which backward meets them
  std::int64_t* previous;  // [N] row of the step before, or -1 - b: the initial state of sequence b
  T* zeros;                // [B, H]
  T* weight_ih;            // packed
  T* weight_hh;            // packed
  T* dh;                   // [B, H]
  T* dc;                   // [B, H]
  T* doutput;              // [N, D*H] gradient handed from layer to layer
  T* dropped;              // [N, D*H]
  T* sums;                 // [kSums, 4H]
  T* pack_a;               // one piece a thread
  T* pack_b;               // one piece a thread
  std::int64_t pack_a_size, pack_b_size;

  BackwardScratch(const Shape& s, const Machine& m, Arena& arena) {
    offsets = arena.take<std::int64_t>("first row of each step", s.T + 1);
    order = arena.take<std::int64_t>("rows in backward order", s.N);
    previous = arena.take<std::int64_t>("previous row of each row", s.N);
    zeros = arena.take<T>("zeros", s.B * s.H);
    const std::int64_t widest = s.L > 1 ? std::max(s.I, s.D * s.H) : s.I;
    weight_ih = arena.take<T>("packed weight_ih", packed_size(m, 4 * s.H, widest));
    weight_hh = arena.take<T>("packed weight_hh", packed_size(m, 4 * s.H, s.H));
    dh = arena.take<T>("dh", s.B * s.H);
    dc = arena.take<T>("dc", s.B * s.H);
    doutput = arena.take<T>("gradient between layers", s.L > 1 ? s.N * s.D * s.H : 0);
    dropped = arena.take<T>("layer input after dropout", s.dropout ? s.N * s.D * s.H : 0);
    sums = arena.take<T>("sums of vector gradients", s.cell.sums * 4 * s.H);
    pack_a_size = kGradientRows * kGradientDepth;
    pack_b_size = kGradientDepth * 4 * m.width;
    pack_a = arena.take<T>("packed rows of gate gradients", pack_a_size * m.threads);
    pack_b = arena.take<T>("packed columns of inputs", pack_b_size * m.threads);
  }
};

}  // namespace rnn_engine
