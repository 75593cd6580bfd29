// The table of cells: the one place that lists them.
#pragma once

#include "cells/cell.h"
#include "cells/lstm.h"
#include "cells/mi_lstm.h"

namespace rnn_engine {

// Facts about a cell that planner and runner need; index as in rnn_engine.h.
struct CellTraits {
  const char* name;
  bool split;
  int extra;
  bool extra_bias;
  int sums;
};

template <class Cell>
constexpr CellTraits traits_of() {
  return {Cell::kName, Cell::kSplit, Cell::kExtra, Cell::kExtraBias, Cell::kSums};
}

// Calls visit.operator()<Cell>(index) for every cell.
template <class Visitor>
constexpr void for_each_cell(Visitor visit) {
  visit.template operator()<LstmCell>(0);
  visit.template operator()<MiLstmCell>(1);
}

inline constexpr int kCells = 2;
inline constexpr CellTraits kCellTable[kCells] = {traits_of<LstmCell>(), traits_of<MiLstmCell>()};

}  // namespace rnn_engine
