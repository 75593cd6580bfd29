// Masks that all steps of a sequence share: each is drawn once, not once a step.
#pragma once

#include <algorithm>

#include "cpu/kernels/kernels.h"

namespace rnn_engine {

// Calls use(b, first, count, factors) for pieces of the columns of every sequence: factors are what the columns
// [first, first + count) of all its steps are multiplied by. `row` has key, site, threshold and scale; row_of(b) is the
// sequence's row of the mask.
template <class S, class RowOf, class Use>
void for_each_sentence_mask(const Kernels<S>& kernels, DropoutRow<S> row, std::int64_t batch, std::int64_t columns,
                            const RowOf& row_of, const Use& use) {
  constexpr std::int64_t kPiece = 256;
  S factors[kPiece];
  row.in = nullptr;
  row.out = factors;
  row.mask.step = 0;
  for (std::int64_t b = 0; b < batch; ++b) {
    row.mask.row = row_of(b);
    for (std::int64_t first = 0; first < columns; first += kPiece) {
      row.mask.first = first;
      row.columns = std::min(kPiece, columns - first);
      kernels.dropout(row);
      use(b, first, row.columns, factors);
    }
  }
}

}  // namespace rnn_engine
