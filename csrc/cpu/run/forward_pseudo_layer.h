// One pseudo-layer of the forward call, a layer and direction, and where its steps find their rows.
#pragma once

#include "cpu/run/common.h"
#include "plan/forward_pseudo_layer.h"

namespace rnn_engine {

template <class T>
struct ForwardPseudoLayer : ForwardRows<T> {
  PackedForward<T> packed;
};

// Where a step finds its rows.
template <class T>
struct ForwardStep {
  std::int64_t row, before;  // first row of the step, and of the one before it
  Value<T>* wx;              // wx, uh and c: what the cells work on
  Value<T>* uh;
  Value<T>* c;
  T* h_unprojected;
  Value<T>* c_candidate;  // what the cell puts out for c: c itself, unless zoneout follows
  const T* h_dropped;     // h before the step after recurrent dropout
  T* h_dropped_next;
  bool first, last;  // of the tile
};

// Calls visit(rows, h before, its stride, c before) for the parts of a step: inside a tile, rows that
// continue a sequence find their states at the step before; all others in hn, cn.
template <class T, class Visit>
void for_each_part(const ForwardPseudoLayer<T>& pseudo, const Step& step, const ForwardStep<T>& at,
                   const Visit& visit) {
  const LayerShape& size = pseudo.size;
  const std::int64_t carried = at.first ? 0 : step.carried;
  if (carried)
    visit(Team::Range{0, carried}, pseudo.h.at(at.before), pseudo.h.stride,
          pseudo.c ? pseudo.c.at(at.before) : pseudo.cn);
  if (carried < step.rows)
    visit(Team::Range{carried, step.rows}, pseudo.hn + carried * size.R, size.R, pseudo.cn + carried * size.H);
}

}  // namespace rnn_engine
