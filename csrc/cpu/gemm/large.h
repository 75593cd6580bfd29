// Products of many rows that pack their right-hand side on the way, a panel at a time: with enough rows the
// packing is lost in the product, and no packed copy of the weights has to lie around.
#pragma once

#include "cpu/run/gates.h"

namespace rnn_engine {

// Each thread takes some of `count` panels if they divide evenly, with at most 5 % of waiting; else some of
// the rows, and packs all panels.
struct LargeShare {
  Team::Range panels, rows;
  bool by_panels;

  LargeShare(Team::Range some_panels, Team::Range some_rows) : panels(some_panels), rows(some_rows), by_panels(true) {}
  LargeShare(const Team& team, std::int64_t count, std::int64_t all_rows)
      : panels{0, count}, rows{0, all_rows}, by_panels(gates_by_units(team, count)) {
    if (by_panels)
      panels = team.share(count);
    else
      rows = team.share(all_rows, kRowBlock);
  }
};

// Runs a tile whose panel holds all of k, in pieces of k that stay in the nearest cache. `init` as in
// GemmTile, for the first piece.
template <class T>
void multiply_in_depths(const Kernels<T>& kernels, GemmTile<T> tile, std::int64_t k) {
  const T* a = tile.a;
  const T* panel = tile.panel;
  for (std::int64_t k0 = 0; k0 < k; k0 += kDepth<T>) {
    tile.k = std::min(kDepth<T>, k - k0);
    tile.a = a + k0 * tile.a_col;
    tile.panel = panel + k0 * tile.vectors * kernels.width;
    kernels.gemm(tile);
    set_init(tile, static_cast<const Value<T>*>(tile.c));
    tile.init_row = tile.c_row;
  }
}

// As multiply_gates, with W [Z, k] as it is, for some tiles of units and some rows; `panel` is this
// thread's, of 4 k vectors.
template <class T>
void multiply_gates_large(const Runner<T>& run, const GateProduct<T>& p, const T* weight, T* panel,
                          const LargeShare& share) {
  const std::int64_t width = run.width();
  for (std::int64_t i = share.panels.begin; i < share.panels.end; ++i) {
    const std::int64_t unit = i * width, units = std::min(width, p.H - unit);
    if (run.team.stopped(2 * (share.rows.end - share.rows.begin) * p.k * p.gates * units)) return;
    pack_unit_tile(run.kernels, p.gates, weight, p.H, p.k, i, panel);
    GemmTile<T> gemm{};
    gemm.a = p.a + share.rows.begin * p.a_row;
    gemm.a_row = p.a_row;
    gemm.a_col = 1;
    gemm.panel = panel;
    gemm.rows = share.rows.end - share.rows.begin;
    gemm.vectors = p.gates;
    gemm.c = p.c + share.rows.begin * p.c_row + unit;
    gemm.c_row = p.c_row;
    gemm.init = p.onto ? gemm.c : p.init ? p.init + unit : nullptr;
    gemm.init_row = p.onto ? gemm.c_row : 0;
    gemm.vector_stride = p.H;
    gemm.gates = true;
    gemm.columns = units;
    if (gemm.rows > 0) multiply_in_depths(run.kernels, gemm, p.k);
  }
}

// c[rows, n] = init + a[rows, k] b with b [k, n] as it is (p.packed); `panel` is this thread's, of 4
// large_depth(k) vectors. A product that ends rounded is not cut.
template <class T>
void multiply_large(const Runner<T>& run, const Product<T, T>& p, T* panel) {
  const std::int64_t width = run.width(), panel_columns = kPanelVectors * width;
  const LargeShare share(run.team, (p.n + panel_columns - 1) / panel_columns, p.rows);
  for (std::int64_t i = share.panels.begin; i < share.panels.end; ++i) {
    const std::int64_t first = i * panel_columns, columns = std::min(panel_columns, p.n - first);
    for (std::int64_t k0 = 0; k0 < p.k; k0 += large_depth<T>(p.k)) {
      const std::int64_t depth = std::min(large_depth<T>(p.k), p.k - k0);
      if (run.team.stopped(2 * (share.rows.end - share.rows.begin) * depth * columns)) return;
      pack_panel(run.kernels, depth, first, columns, [&](std::int64_t k) { return p.packed + (k0 + k) * p.n; }, panel);
      GemmTile<T> gemm{};
      gemm.a = p.a + share.rows.begin * p.a_row + k0;
      gemm.a_row = p.a_row;
      gemm.a_col = 1;
      gemm.panel = panel;
      gemm.rows = share.rows.end - share.rows.begin;
      gemm.k = depth;
      gemm.vectors = static_cast<int>((columns + width - 1) / width);
      T* c = p.c + share.rows.begin * p.c_row + first;
      const T* init = k0 > 0 ? c : p.init ? p.init + share.rows.begin * p.init_row + first : nullptr;
      set_init(gemm, init);
      set_end(gemm, c);
      gemm.c_row = p.c_row;
      gemm.init_row = k0 > 0 ? p.c_row : p.init_row;
      gemm.vector_stride = width;
      gemm.columns = columns;
      if (gemm.rows > 0) run.kernels.gemm(gemm);
    }
  }
}

}  // namespace rnn_engine
