// One lane of the forward call, a layer and direction, and where its steps find their rows.
#pragma once

#include "stack/common.h"

namespace rnn_engine {

// One layer, one direction: what it reads and writes.
template <class T>
struct ForwardLane {
  const LayerShape& size;
  std::int64_t layer, direction;
  Weights<T> weights;
  PackedForward<T> packed;
  Rows<const T> input;
  Rows<T> a, r, raw;        // where they are kept; else empty, and rolling buffers serve
  Rows<Value<T>> c, cell;   // the same
  Rows<T> h;                // from this direction's first unit
  Rows<Value<T>> c_output;  // the caller's copy of c, or empty
  T* hn = nullptr;          // [B, R]
  Value<T>* cn = nullptr;   // [B, H]
  // Kept at the beginning of every piece of K steps but the first, or nullptr.
  Value<T>* c_states = nullptr;
  T* h_states = nullptr;

  ForwardLane(const Shape& shape, const Tile& tile, const Weights<T>& w)
      : size(shape.layer(tile.layer)), layer(tile.layer), direction(tile.direction), weights(w) {}
};

// Where a step finds its rows.
template <class T>
struct ForwardStep {
  std::int64_t row, before;  // first row of the step, and of the one before it
  Value<T>* a;               // a, r and c: what the cells work on
  Value<T>* r;
  Value<T>* c;
  T* raw;
  Value<T>* cell;  // what the cell puts out for c: c itself, unless zoneout follows
  const T* seen;   // h before the step after recurrent dropout
  T* seen_next;
  bool first, last;  // of the tile
};

// Calls visit(rows, h before, its stride, c before) for the parts of a step: inside a tile, rows that
// continue a sequence find their states at the step before; all others in hn, cn.
template <class T, class Visit>
void for_each_part(const ForwardLane<T>& lane, const Step& step, const ForwardStep<T>& at,
                   const Visit& visit) {
  const LayerShape& size = lane.size;
  const std::int64_t carried = at.first ? 0 : step.carried;
  if (carried)
    visit(Team::Range{0, carried}, lane.h.at(at.before), lane.h.stride,
          lane.c ? lane.c.at(at.before) : lane.cn);
  if (carried < step.rows)
    visit(Team::Range{carried, step.rows}, lane.hn + carried * size.R, size.R, lane.cn + carried * size.H);
}

}  // namespace rnn_engine
