// One lane of the forward call, a layer and direction, and where its steps find their rows.
#pragma once

#include "cpu/run/common.h"
#include "plan/forward_pseudo_layer.h"

namespace rnn_engine {

template <class T>
struct ForwardLane : ForwardRows<T> {
  PackedForward<T> packed;
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
