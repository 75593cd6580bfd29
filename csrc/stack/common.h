// What forward and backward share: typed views of the caller's pointers and of the arenas.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "backend/kernels.h"
#include "base/pool.h"
#include "plan/plan.h"

namespace rnn_engine {

// Matrices are stored as T, vectors as they are computed with. The gradients of both are sums:
// Weights<Value<T>>.
template <class T>
struct Weights {
  T *weight_ih, *weight_hh, *weight_hr;
  Value<T>* bias_ih;
  Value<T>* bias_hh;
  Value<T>* extra[kMaxExtra];

  explicit Weights(const rnn_engine_weights& w)
      : weight_ih(static_cast<T*>(w.weight_ih)),
        weight_hh(static_cast<T*>(w.weight_hh)),
        weight_hr(static_cast<T*>(w.weight_hr)),
        bias_ih(static_cast<Value<T>*>(w.bias_ih)),
        bias_hh(static_cast<Value<T>*>(w.bias_hh)) {
    for (int e = 0; e < kMaxExtra; ++e) extra[e] = static_cast<Value<T>*>(w.extra[e]);
  }
};

// Rows of an array of which only a piece may be there: `data` holds rows [first, ...), `stride` values apart.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t first = 0, stride = 0;

  T* at(std::int64_t row) const { return data + (row - first) * stride; }
  explicit operator bool() const { return data != nullptr; }
  Rows<const T> as_const() const { return {data, first, stride}; }
};

// The plan and what runs it, for one thread.
template <class T>
struct Runner {
  Team& team;
  const Plan& plan;
  const Kernels<T>& kernels;
  const Kernels<Value<T>>& cells;

  const Shape& shape() const { return plan.shape; }
  int width() const { return plan.machine.width; }
  // This thread's hidden units, in vectors, and its columns of h.
  Team::Range unit_tiles(std::int64_t H) const { return team.share((H + width() - 1) / width()); }
  Team::Range columns(std::int64_t count) const { return team.share(count, width()); }
};

// Some rows of a step, and some hidden units of them: what one thread's cells work on.
struct Region {
  Team::Range rows, units;
};

// The vectors of a cell from hidden unit `unit` on.
template <class T>
void set_vectors(const Shape& s, const Weights<T>& weights, std::int64_t unit, CellTile<T>& cell) {
  const auto from = [&](const Value<T>* vector) { return vector ? vector + unit : nullptr; };
  for (int e = 0; e < s.cell.vectors(); ++e) cell.extra[e] = from(weights.extra[e]);
  cell.bias_ih = from(weights.bias_ih);
  cell.bias_hh = from(weights.bias_hh);
}

// What begins the recurrent product of a cell that gets it by itself.
template <class T>
const Value<T>* recurrent_bias(const Shape& s, const Weights<T>& weights) {
  return s.cell.adds_bias ? nullptr : weights.bias_hh;
}

// Rounds what the cells left to what is stored: all gates (parts = 4) or one value of a region.
template <class T>
void narrow_units(const Runner<T>& run, const Region& region, std::int64_t H, int parts, const Value<T>* from,
                  std::int64_t from_row, T* to, std::int64_t to_row) {
  if (!to) return;
  const std::int64_t row = region.rows.begin, unit = region.units.begin;
  run.kernels.narrow({region.rows.end - row, parts, region.units.end - unit, H, from + row * from_row + unit,
                      from_row, to + row * to_row + unit, to_row});
}

inline void* offset_by(const void* base, std::size_t bytes) {
  return const_cast<std::byte*>(static_cast<const std::byte*>(base)) + bytes;
}

template <class T>
KeptLayer<T> kept_layer(const Plan& plan, void* kept, std::int64_t layer) {
  Arena arena(offset_by(kept, plan.kept_slots[static_cast<std::size_t>(layer)]));
  return KeptLayer<T>(plan.layout(), layer, arena);
}

// The piece of a state array [L*D, B, width] that belongs to a lane; nullptr stays nullptr.
template <class T, class Void>
T* lane_state(Void* states, std::int64_t first, std::int64_t direction, std::int64_t values) {
  return states ? static_cast<T*>(states) + first + direction * values : nullptr;
}

}  // namespace rnn_engine
