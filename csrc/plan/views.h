// Typed views of the caller's pointers and of the arenas.
#pragma once

#include <cstdint>

#include "plan/plan.h"

namespace rnn_engine {

// Matrices are stored as T, vectors as they are computed with. The gradients of both are sums: Weights<Value<T>>.
template <class T>
struct Weights {
  T *weight_ih, *weight_hh, *weight_hr;
  Value<T>*bias_ih, *bias_hh, *vector_params[kMaxVectorParams];

  explicit Weights(const rnn_engine_weights& w)
      : weight_ih(static_cast<T*>(w.weight_ih)),
        weight_hh(static_cast<T*>(w.weight_hh)),
        weight_hr(static_cast<T*>(w.weight_hr)),
        bias_ih(static_cast<Value<T>*>(w.bias_ih)),
        bias_hh(static_cast<Value<T>*>(w.bias_hh)) {
    for (int e = 0; e < kMaxVectorParams; ++e) vector_params[e] = static_cast<Value<T>*>(w.vector_params[e]);
  }
};

// Rows of an array of which only a piece may be there: `data` holds rows [first, ...), `stride` values apart.
template <class T>
struct RowWindow {
  T* data = nullptr;
  std::int64_t first = 0, stride = 0;

  // nullptr of an empty one
  T* at(std::int64_t row) const { return data ? data + (row - first) * stride : nullptr; }
  explicit operator bool() const { return data != nullptr; }
  RowWindow<const T> as_const() const { return {data, first, stride}; }
};

inline void* offset_by(const void* base, std::size_t bytes) {
  return const_cast<std::byte*>(static_cast<const std::byte*>(base)) + bytes;
}

template <class T>
ReserveLayer<T> reserve_layer(const PlanBase& plan, void* reserve, std::int64_t layer) {
  Arena arena(offset_by(reserve, plan.reserve_slots[static_cast<std::size_t>(layer)]));
  return ReserveLayer<T>(plan.layout(), layer, arena);
}

// The piece of a state array [L*D, B, width] that belongs to a tile's pseudo-layer; nullptr stays nullptr.
// `first`: values before its layer's.
template <class T, class Void>
T* pseudo_layer_state(const Shape& s, Void* states, std::int64_t first, const Tile& tile, std::int64_t width) {
  return states ? static_cast<T*>(states) + first + tile.direction * s.B * width : nullptr;
}

inline std::size_t pseudo_layer_index(const Shape& s, const Tile& tile) {
  return static_cast<std::size_t>(tile.layer * s.D + tile.direction);
}

}  // namespace rnn_engine
