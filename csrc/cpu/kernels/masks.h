// Dropout, zoneout, sums and products of rows. V says what is computed in, and keeps the copies of different
// instruction sets apart.
#pragma once

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/philox_lanes.h"

namespace rnn_engine::cpu {

inline constexpr int kMarkColumns = 4 * kPhiloxLanes;

// The marks of some columns from `start` on, a multiple of four: 1 for each value that the mask marks, else
// 0. Counter: (block of four columns, row, step, site).
template <class V>
__attribute__((noinline)) void find_marks(const Mask& mask, std::int64_t start,
                                          typename V::Scalar (&marks)[kMarkColumns]) {
  using T = typename V::Scalar;
  std::uint32_t words[4][kPhiloxLanes];
  for (int lane = 0; lane < kPhiloxLanes; ++lane) {
    words[0][lane] = static_cast<std::uint32_t>(start / 4) + static_cast<std::uint32_t>(lane);
    words[1][lane] = mask.row;
    words[2][lane] = mask.step;
    words[3][lane] = mask.site;
  }
  philox(words, mask.key);
  const auto mark = [&](int i, int lane) { return words[i][lane] < mask.threshold ? T(1) : T(0); };
  for (int lane = 0; lane < kPhiloxLanes; ++lane) {  // four by hand: the compiler then sees a loop of vectors
    marks[4 * lane] = mark(0, lane);
    marks[4 * lane + 1] = mark(1, lane);
    marks[4 * lane + 2] = mark(2, lane);
    marks[4 * lane + 3] = mark(3, lane);
  }
}

// Calls visit(first, last, marks) for pieces of the columns [0, columns).
template <class V, class Visit>
RNN_ENGINE_INLINE void for_each_marks(const Mask& mask, std::int64_t columns, const Visit& visit) {
  const std::int64_t end = mask.first + columns;
  for (std::int64_t start = mask.first / 4 * 4; start < end; start += kMarkColumns) {
    typename V::Scalar marks[kMarkColumns];
    find_marks<V>(mask, start, marks);
    const std::int64_t first = start < mask.first ? mask.first : start;
    const std::int64_t last = end < start + kMarkColumns ? end : start + kMarkColumns;
    visit(first - mask.first, last - mask.first, marks + (first - start));
  }
}

template <class V, class Stored = typename V::Scalar>
void dropout(const DropoutRow<Stored>& t) {
  using T = typename V::Scalar;
  const T scale = t.scale;  // which the compiler takes for one of the values that are written
  for_each_marks<V>(t.mask, t.columns, [&](std::int64_t first, std::int64_t last, const T* marks) {
    if (!t.in)
      for (std::int64_t i = first; i < last; ++i) t.out[i] = narrow<Stored>((T(1) - marks[i - first]) * scale);
    else
      for (std::int64_t i = first; i < last; ++i)
        t.out[i] = narrow<Stored>(widen(t.in[i]) * ((T(1) - marks[i - first]) * scale));
  });
}

template <class V, class Stored = typename V::Scalar>
void add(const SumRow<Stored>& t) {
  for (std::int64_t i = 0; i < t.columns; ++i) t.out[i] = narrow<Stored>(widen(t.a[i]) + widen(t.b[i]));
}

template <class V, class Stored = typename V::Scalar>
void scale(const ScaledRow<Stored>& t) {
  for (std::int64_t i = 0; i < t.columns; ++i) t.out[i] = narrow<Stored>(t.factors[i] * widen(t.in[i]));
}

template <class V, class Stored = typename V::Scalar>
void scale_and_add(const ScaledSumRow<Stored>& t) {
  for (std::int64_t i = 0; i < t.columns; ++i)
    t.value[i] = t.value[i] * t.factors[i] + (t.added ? widen(t.added[i]) : typename V::Scalar(0));
}

// update(i, how much of value i stays)
template <class V, class Stored, class Update>
RNN_ENGINE_INLINE void zoneout(const ZoneoutRow<Stored>& t, const Update& update) {
  using T = typename V::Scalar;
  if (!t.drawn) {
    for (std::int64_t i = 0; i < t.columns; ++i) update(i, t.share);
    return;
  }
  for_each_marks<V>(t.mask, t.columns, [&](std::int64_t first, std::int64_t last, const T* marks) {
    for (std::int64_t i = first; i < last; ++i) update(i, marks[i - first]);
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
