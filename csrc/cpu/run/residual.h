// What a residual stack adds up: each layer above the first puts out its h plus what the layer below put out.
#pragma once

#include "cpu/run/common.h"

namespace rnn_engine {

// out = a + b for some rows; out may be either.
template <class T>
void add_rows(const Runner<T>& run, Team::Range rows, std::int64_t columns, const RowWindow<const T>& a,
              const RowWindow<const T>& b, const RowWindow<T>& out) {
  for (std::int64_t row = rows.begin; row < rows.end; ++row)
    run.kernels.add({a.at(row), b.at(row), out.at(row), columns});
}

// What a layer above the second read in forward, made again of every layer's h by the same sums: this thread's share of
// the steps of `range`.
template <class T, class Call>
void add_layers_below(const Runner<T>& run, const Call& call, const Tile& tile, const StepRange& range,
                      const RowWindow<T>& out) {
  const Shape& s = run.shape();
  const Team::Range rows = own_rows(run, range);
  RowWindow<const T> sum = call.h_of(0, tile);
  for (std::int64_t layer = 1; layer < tile.layer; ++layer) {
    add_rows(run, rows, s.layer(tile.layer).I, sum, call.h_of(layer, tile), out);
    sum = out.as_const();
  }
}

}  // namespace rnn_engine
