// The cells' kernels: cells/ on tiles of rows and units.
#pragma once

#include "backend/kernels.h"
#include "cells/lanes.h"

namespace rnn_engine::cpu {

template <class V, class Cell>
inline __attribute__((always_inline)) void load_extra(const CellTile<typename V::Scalar>& t, int units,
                                                      V (&extra)[kMaxExtra][Cell::kGates]) {
  for (int p = 0; p < Cell::kExtra; ++p)
    for (int k = 0; k < Cell::kGates; ++k)
      extra[p][k] =
          t.extra[p] ? load_units<V>(t.extra[p] + k * t.gate_stride, units) : V(typename V::Scalar(0));
}

// Without kHidden the compiler leaves out what only h is made of.
template <class V, class Cell, bool kHidden>
void cell_rows(const CellTile<typename V::Scalar>& t) {
  const int units = static_cast<int>(t.units);
  V extra[kMaxExtra][Cell::kGates];
  load_extra<V, Cell>(t, units, extra);
  for (std::int64_t row = 0; row < t.rows; ++row) {
    V a[Cell::kGates], r[Cell::kGates], c, h;
    for (int k = 0; k < Cell::kGates; ++k) {
      a[k] = load_units<V>(t.a + row * t.a_row + k * t.gate_stride, units);
      if constexpr (Cell::kSplit) r[k] = load_units<V>(t.r + row * t.r_row + k * t.gate_stride, units);
    }
    Cell::forward(a, r, extra, load_units<V>(t.c_prev + row * t.c_prev_row, units), c, h);
    for (int k = 0; k < Cell::kGates; ++k) {
      if constexpr (!Cell::kSplit) store_units(a[k], t.a + row * t.a_row + k * t.gate_stride, units);
    }
    store_units(c, t.c + row * t.c_row, units);
    if constexpr (kHidden) store_units(h, t.h + row * t.h_row, units);
  }
}

// The rows of a tile, kCellRows at a time.
template <class T, class Visit>
inline __attribute__((always_inline)) void for_each_block(const CellTile<T>& t, const Visit& visit) {
  for (std::int64_t row = 0; row < t.rows; row += kCellRows)
    visit(row, static_cast<int>(t.rows - row < kCellRows ? t.rows - row : kCellRows));
}

template <class V, class Cell>
void cell_forward(const CellTile<typename V::Scalar>& t) {
  static_assert(Cell::kGates <= kPanelVectors && Cell::kSums <= kMaxSums &&
                Cell::kExtra + Cell::kUnitVectors <= kMaxExtra);
  if constexpr (Cell::kWholeRows)
    for_each_block(t, [&](std::int64_t first, int rows) { Cell::template forward<V>(t, first, rows); });
  else if (t.h)
    cell_rows<V, Cell, true>(t);
  else
    cell_rows<V, Cell, false>(t);
}

template <class V, class Cell>
void unit_backward(const CellTile<typename V::Scalar>& t) {
  const int units = static_cast<int>(t.units);
  V extra[kMaxExtra][Cell::kGates], sums[kMaxSums][Cell::kGates];
  load_extra<V, Cell>(t, units, extra);
  for (int s = 0; s < Cell::kSums; ++s)
    for (int k = 0; k < Cell::kGates; ++k)
      sums[s][k] = load_units<V>(t.sums + (s * Cell::kGates + k) * t.gate_stride, units);
  for (std::int64_t row = 0; row < t.rows; ++row) {
    V a[Cell::kGates], r[Cell::kGates];
    for (int k = 0; k < Cell::kGates; ++k) {
      a[k] = load_units<V>(t.a + row * t.a_row + k * t.gate_stride, units);
      if constexpr (Cell::kSplit) r[k] = load_units<V>(t.r + row * t.r_row + k * t.gate_stride, units);
    }
    V dc = load_units<V>(t.dc + row * t.dc_row, units);
    Cell::backward(a, r, extra, load_units<V>(t.c_prev + row * t.c_prev_row, units),
                   load_units<V>(t.c + row * t.c_row, units), load_units<V>(t.dh + row * t.dh_row, units), dc,
                   sums);
    for (int k = 0; k < Cell::kGates; ++k) {
      store_units(a[k], t.a + row * t.a_row + k * t.gate_stride, units);
      if constexpr (Cell::kSplit) store_units(r[k], t.r + row * t.r_row + k * t.gate_stride, units);
    }
    store_units(dc, t.dc + row * t.dc_row, units);
  }
  for (int s = 0; s < Cell::kSums; ++s)
    for (int k = 0; k < Cell::kGates; ++k)
      store_units(sums[s][k], t.sums + (s * Cell::kGates + k) * t.gate_stride, units);
}

template <class V, class Cell>
void cell_backward(const CellTile<typename V::Scalar>& t) {
  if constexpr (Cell::kWholeRows)
    for_each_block(t, [&](std::int64_t first, int rows) { Cell::template backward<V>(t, first, rows); });
  else
    unit_backward<V, Cell>(t);
}

}  // namespace rnn_engine::cpu
