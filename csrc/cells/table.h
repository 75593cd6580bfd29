// The table of cells: the one place that lists them.
#pragma once

#include <cstdint>

#include "cells/gru.h"
#include "cells/layer_norm.h"
#include "cells/lstm.h"
#include "cells/mi_lstm.h"

namespace rnn_engine {

// Facts about a cell that planner and runner need (cells/cell.h); index as in rnn_engine.h.
struct CellTraits {
  const char* name;
  int gates;
  bool single_state;
  bool split, adds_bias, whole_rows;
  int vector_params, unit_vectors;
  unsigned bias_vectors;
  int sums, work;

  int vectors() const { return vector_params + unit_vectors; }
  bool is_bias(int vector) const { return bias_vectors >> vector & 1; }
  // Values of vector `vector`, and of one set of sums, for each hidden unit.
  int vector_width(int vector) const { return vector < vector_params ? gates : 1; }
  int sums_width() const { return sums * gates + unit_vectors; }
};

template <class Cell>
constexpr CellTraits traits_of() {
  return {Cell::kName,        Cell::kGates,     Cell::kSingleState,  Cell::kSeparateRecurrentProduct,
          Cell::kAddsBias,    Cell::kWholeRows, Cell::kVectorParams, Cell::kUnitVectors,
          Cell::kBiasVectors, Cell::kSums,      Cell::kWork};
}

// Calls visit.operator()<Cell>(index) for every cell.
template <class Visitor>
constexpr void for_each_cell(Visitor visit) {
  visit.template operator()<LstmCell>(0);
  visit.template operator()<MiLstmCell>(1);
  visit.template operator()<LayerNormLstmCell>(2);
  visit.template operator()<LayerNormMiLstmCell>(3);
  visit.template operator()<GruCell>(4);
}

inline constexpr int kCells = 5;
inline constexpr CellTraits kCellTable[kCells] = {traits_of<LstmCell>(), traits_of<MiLstmCell>(),
                                                  traits_of<LayerNormLstmCell>(), traits_of<LayerNormMiLstmCell>(),
                                                  traits_of<GruCell>()};

}  // namespace rnn_engine
