// Products for the gates of many rows, and the packing of a pseudo-layer's weights for them.
#pragma once

#include "cpu/gemm/gemm.h"
#include "cpu/run/common.h"
#include "cpu/run/masks.h"

namespace rnn_engine {

// A thread that computes input products for the units that it owns in the recurrence finds them in its own
// cache there, and need not wait for the others. Where the units do not divide evenly, rows do.
inline bool gates_by_units(const Team& team, std::int64_t tiles) {
  const std::int64_t most = (tiles + team.size() - 1) / team.size();
  return most * team.size() * 20 <= tiles * 21;  // at most 5 % of waiting
}

// c[rows, Z] = init + a[rows, k] W^T with W packed by pack_gates.
template <class T>
struct GateProduct {
  int gates;
  std::int64_t rows, k, H;
  std::int64_t c_row;
  const T* a;
  std::int64_t a_row;
  const T* packed;
  const Value<T>* init;  // [Z] for all rows, or nullptr; if `onto`, c itself is
  bool onto;
  Value<T>* c;
};

// All threads together; each of them its own units (gates_by_units), else its share of the rows, and then a
// barrier must follow.
template <class T>
void multiply_gates(const Runner<T>& run, const GateProduct<T>& p) {
  constexpr std::int64_t kRows = 96;  // rows of a that stay in the second cache while all panels pass
  const std::int64_t width = run.width(), count = (p.H + width - 1) / width;
  const bool by_units = gates_by_units(run.team, count);
  const Team::Range tiles = by_units ? run.team.share(count) : Team::Range{0, count};
  const Team::Range share = by_units ? Team::Range{0, p.rows} : run.team.share(p.rows, kRowBlock);
  for (std::int64_t row = share.begin; row < share.end; row += kRows) {
    for (std::int64_t k = 0; k < p.k; k += kDepth<T>) {
      for (std::int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
        GemmTile<T> gemm{};
        gemm.a = p.a + row * p.a_row + k;
        gemm.a_row = p.a_row;
        gemm.a_col = 1;
        gemm.panel = p.packed + (tile * packed_depth<T>(p.k) + k) * p.gates * width;
        gemm.rows = std::min(kRows, share.end - row);
        gemm.k = std::min(kDepth<T>, p.k - k);
        gemm.vectors = p.gates;
        gemm.c = p.c + row * p.c_row + tile * width;
        gemm.c_row = p.c_row;
        const bool continued = k > 0 || p.onto;
        gemm.init = continued ? gemm.c : p.init ? p.init + tile * width : nullptr;
        gemm.init_row = continued ? p.c_row : 0;
        gemm.vector_stride = p.H;
        gemm.gates = true;
        gemm.columns = std::min(width, p.H - tile * width);
        if (run.team.stopped(operations_of(gemm))) return;
        run.kernels.gemm(gemm);
      }
    }
  }
}

// The sum of the biases that begin the input product, [Z].
template <class T>
void sum_biases(const Shape& s, const LayerShape& size, const Weights<T>& w, Value<T>* sum) {
  for (std::int64_t j = 0; j < size.Z; ++j) sum[j] = s.cell.split ? w.bias_ih[j] : w.bias_ih[j] + w.bias_hh[j];
}

// This thread's share of a pseudo-layer's packed weights, but for what is packed on the way. A barrier must follow.
template <class T>
void pack_forward(const Team& team, const Kernels<T>& kernels, const Shape& s, const LayerShape& size,
                  const Weights<T>& w, const PackedForward<T>& packed) {
  if (!packed.panels) {
    pack_gates(team, kernels, s.cell.gates, w.weight_ih, size.H, size.I, packed.weight_ih);
    pack_gates(team, kernels, s.cell.gates, w.weight_hh, size.H, size.R, packed.weight_hh);
  }
  if (s.projected) pack_weight_transposed(team, kernels, w.weight_hr, size.R, size.H, packed.weight_hr);
  if (team.id() == 0 && s.bias && !s.cell.adds_bias) sum_biases(s, size, w, packed.bias);
}

}  // namespace rnn_engine
