// The cells' kernels: cells/ on tiles of rows and units. V is what is computed with, Stored what gates
// and h are stored as.
#pragma once

#include "base/build.h"
#include "cells/lanes.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pairs.h"

namespace rnn_engine::cpu {

template <class V, class Cell, class Tile>
RNN_ENGINE_INLINE void load_vector_params(const Tile& t, int units,
                                          V (&vector_params)[kMaxVectorParams][Cell::kGates]) {
  for (int p = 0; p < Cell::kVectorParams; ++p)
    for (int k = 0; k < Cell::kGates; ++k)
      vector_params[p][k] =
          t.vector_params[p] ? load_units<V>(t.vector_params[p] + k * t.gate_stride, units) : V(typename V::Scalar(0));
}

// Rows that what was kept, or is to be, is fetched ahead of its use: it lies in the third cache or in memory,
// and its rows too far apart for the processor to see where the next one is.
inline constexpr std::int64_t kRowsAhead = 4;

// `write`: 1 where the row is written only.
template <int kGates, int write, class Tile>
RNN_ENGINE_INLINE void fetch_row(const Tile& t, std::int64_t row) {
  for (int k = 0; k < kGates; ++k) {
    const std::ptrdiff_t place = row * t.gates_row + k * t.gate_stride;
    __builtin_prefetch(t.gates_wx + place, write);
    if (t.gates_uh) __builtin_prefetch(t.gates_uh + place, write);
  }
  __builtin_prefetch(t.c + row * t.c_row, write);
}

// Without kHidden the compiler leaves out what only h is made of.
template <class V, class Stored, class Cell, bool kHidden>
void cell_rows(const CellTile<Stored>& t) {
  constexpr bool kStores = !Cell::kSeparateRecurrentProduct || kRounds<Stored>;
  const int units = static_cast<int>(t.units);
  V vector_params[kMaxVectorParams][Cell::kGates];
  load_vector_params<V, Cell>(t, units, vector_params);
  for (std::int64_t row = 0; row < t.rows; ++row) {
    V wx[Cell::kGates], uh[Cell::kGates], c, h;
    for (int k = 0; k < Cell::kGates; ++k) {
      const std::ptrdiff_t place = row * t.product_row + k * t.gate_stride;
      wx[k] = load_units<V>(t.wx + place, units);
      if constexpr (Cell::kSeparateRecurrentProduct) uh[k] = load_units<V>(t.uh + place, units);
    }
    if (t.gates_wx) fetch_row<Cell::kGates, 1>(t, row + kRowsAhead);
    Cell::forward(wx, uh, vector_params, load_units<V>(t.c_prev + row * t.c_prev_row, units), c, h);
    for (int k = 0; kStores && t.gates_wx && k < Cell::kGates; ++k) {
      const std::ptrdiff_t place = row * t.gates_row + k * t.gate_stride;
      store_units(wx[k], t.gates_wx + place, units);
      if constexpr (Cell::kSeparateRecurrentProduct) store_units(uh[k], t.gates_uh + place, units);
    }
    store_units(c, t.c + row * t.c_row, units);
    if constexpr (kHidden) store_units(h, t.h + row * t.h_row, units);
  }
}

// The rows of a tile, kCellRows at a time.
template <class T, class Visit>
RNN_ENGINE_INLINE void for_each_block(const CellTile<T>& t, const Visit& visit) {
  for (std::int64_t row = 0; row < t.rows; row += kCellRows)
    visit(row, static_cast<int>(t.rows - row < kCellRows ? t.rows - row : kCellRows));
}

// Rounds the products of some rows of all units, where that is not done with the cell.
template <class V, int kGates, class Tile>
RNN_ENGINE_INLINE void keep_products(const Tile& t, std::int64_t first, int rows) {
  for (std::int64_t row = first; row < first + rows; ++row)
    for (int k = 0; k < kGates; ++k)
      for (std::int64_t unit = 0; unit < t.units; unit += V::kWidth) {
        const int valid = units_at<V>(unit, t.units);
        const std::ptrdiff_t from = row * t.product_row + k * t.gate_stride + unit;
        const std::ptrdiff_t to = row * t.gates_row + k * t.gate_stride + unit;
        store_units(load_units<V>(t.wx + from, valid), t.gates_wx + to, valid);
        store_units(load_units<V>(t.uh + from, valid), t.gates_uh + to, valid);
      }
}

template <class V, class Stored, class Cell>
void cell_forward(const CellTile<Stored>& t) {
  static_assert(Cell::kGates <= kPanelVectors && Cell::kSums <= kMaxSums &&
                Cell::kVectorParams + Cell::kUnitVectors <= kMaxVectorParams);
  if constexpr (Cell::kWholeRows)
    for_each_block(t, [&](std::int64_t first, int rows) {
      Cell::template forward<V>(t, first, rows);
      if constexpr (kRounds<Stored>)
        if (t.gates_wx) keep_products<V, Cell::kGates>(t, first, rows);
    });
  else if (t.h)
    cell_rows<V, Stored, Cell, true>(t);
  else
    cell_rows<V, Stored, Cell, false>(t);
}

template <class V, class Stored, class Cell>
void unit_backward(const CellTile<Stored>& t) {
  const int units = static_cast<int>(t.units);
  V vector_params[kMaxVectorParams][Cell::kGates], sums[kMaxSums][Cell::kGates];
  load_vector_params<V, Cell>(t, units, vector_params);
  for (int s = 0; s < Cell::kSums; ++s)
    for (int k = 0; k < Cell::kGates; ++k)
      sums[s][k] = load_units<V>(t.sums + (s * Cell::kGates + k) * t.gate_stride, units);
  for (std::int64_t row = 0; row < t.rows; ++row) {
    V wx[Cell::kGates], uh[Cell::kGates];
    for (int k = 0; k < Cell::kGates; ++k) {
      const std::ptrdiff_t place = row * t.gates_row + k * t.gate_stride;
      wx[k] = load_units<V>(t.gates_wx + place, units);
      if constexpr (Cell::kSeparateRecurrentProduct) uh[k] = load_units<V>(t.gates_uh + place, units);
    }
    fetch_row<Cell::kGates, 0>(t, row + kRowsAhead);
    __builtin_prefetch(t.c_prev + (row + kRowsAhead) * t.c_prev_row);
    V dc = load_units<V>(t.dc + row * t.dc_row, units);
    Cell::backward(wx, uh, vector_params, load_units<V>(t.c_prev + row * t.c_prev_row, units),
                   load_units<V>(t.c + row * t.c_row, units), load_units<V>(t.dh + row * t.dh_row, units), dc, sums);
    for (int k = 0; k < Cell::kGates; ++k) {
      const std::ptrdiff_t place = row * t.gates_row + k * t.gate_stride;
      store_units(wx[k], t.gates_wx + place, units);
      if constexpr (Cell::kSeparateRecurrentProduct) store_units(uh[k], t.gates_uh + place, units);
    }
    store_units(dc, t.dc + row * t.dc_row, units);
  }
  for (int s = 0; s < Cell::kSums; ++s)
    for (int k = 0; k < Cell::kGates; ++k)
      store_units(sums[s][k], t.sums + (s * Cell::kGates + k) * t.gate_stride, units);
}

template <class V, class Stored, class Cell>
void cell_backward(const CellTile<Stored>& t) {
  if constexpr (Cell::kWholeRows)
    for_each_block(t, [&](std::int64_t first, int rows) { Cell::template backward<V>(t, first, rows); });
  else
    unit_backward<V, Stored, Cell>(t);
}

template <class V, class Stored>
void set_cells(Kernels<Stored>& table) {
  for_each_cell([&]<class Cell>(int index) {
    table.cell_forward[index] = cell_forward<V, Stored, Cell>;
    if constexpr (!kTranslatingAlone) table.cell_backward[index] = cell_backward<V, Stored, Cell>;
  });
}

}  // namespace rnn_engine::cpu
