// Dropout and zoneout of a row. V only keeps the copies of different instruction sets apart.
#pragma once

#include "backend/kernels.h"

namespace rnn_engine::cpu {

// Calls visit(first, last, marked) for pieces of the columns [0, columns), with what the mask marks of each.
// Counter: (block of four columns, row, step, site), kBlocks blocks at a time.
template <int kBlocks, class Visit>
inline __attribute__((always_inline)) void visit_mask(const Mask& mask, std::int64_t columns,
                                                      const Visit& visit) {
  const std::int64_t end = mask.first + columns;
  for (std::int64_t start = mask.first / 4 * 4; start < end; start += 4 * kBlocks) {
    std::uint32_t words[4][kBlocks];
    for (int block = 0; block < kBlocks; ++block) {
      words[0][block] = static_cast<std::uint32_t>(start / 4) + static_cast<std::uint32_t>(block);
      words[1][block] = mask.row;
      words[2][block] = mask.step;
      words[3][block] = mask.site;
    }
    philox(words, mask.key);
    bool marked[4 * kBlocks];
    for (int block = 0; block < kBlocks; ++block)
      for (int i = 0; i < 4; ++i) marked[4 * block + i] = words[i][block] < mask.threshold;
    const std::int64_t first = start < mask.first ? mask.first : start;
    const std::int64_t last = end < start + 4 * kBlocks ? end : start + 4 * kBlocks;
    visit(first - mask.first, last - mask.first, marked + (first - start));
  }
}

// A tile of units is narrow, a thread's columns are not.
template <class V, class Visit>
inline __attribute__((always_inline)) void for_each_marked(const Mask& mask, std::int64_t columns,
                                                           const Visit& visit) {
  if (columns <= 16)
    visit_mask<4>(mask, columns, visit);
  else
    visit_mask<16>(mask, columns, visit);
}

template <class V, class Stored = typename V::Scalar>
void dropout(const DropoutRow<Stored>& t) {
  using T = typename V::Scalar;
  for_each_marked<V>(t.mask, t.columns, [&](std::int64_t first, std::int64_t last, const bool* marked) {
    for (std::int64_t i = first; i < last; ++i)
      t.out[i] = narrow<Stored>((t.in ? widen(t.in[i]) : T(1)) * (marked[i - first] ? T(0) : t.scale));
  });
}

// update(i, how much of value i stays)
template <class V, class Stored, class Update>
inline __attribute__((always_inline)) void zoneout(const ZoneoutRow<Stored>& t, const Update& update) {
  using T = typename V::Scalar;
  if (!t.drawn) {
    for (std::int64_t i = 0; i < t.columns; ++i) update(i, t.share);
    return;
  }
  for_each_marked<V>(t.mask, t.columns, [&](std::int64_t first, std::int64_t last, const bool* marked) {
    for (std::int64_t i = first; i < last; ++i) update(i, marked[i - first] ? T(1) : T(0));
  });
}

template <class V, class Stored = typename V::Scalar>
void zoneout_forward(const ZoneoutRow<Stored>& t) {
  using T = typename V::Scalar;
  zoneout<V>(t, [&](std::int64_t i, T s) {
    t.value[i] = narrow<Stored>(s * widen(t.before[i]) + (T(1) - s) * widen(t.next[i]));
  });
}

template <class V>
void zoneout_backward(const ZoneoutRow<typename V::Scalar>& t) {
  using T = typename V::Scalar;
  zoneout<V>(t, [&](std::int64_t i, T s) {
    t.past[i] = s * t.value[i];
    t.value[i] = (T(1) - s) * t.value[i];
  });
}

}  // namespace rnn_engine::cpu
