// Matrix products over packed right-hand sides, shared by a team of threads.
//
// How a product is cut changes no bit of it (cpu/kernels/kernels.h); the cuts here are for caches and threads only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/pool.h"
#include "cpu/kernels/kernels.h"
#include "cpu/workspace.h"

namespace rnn_engine {

// How many k a packed operand holds: pairs are filled up with zeros.
template <class T>
std::int64_t packed_depth(std::int64_t k) {
  return round_up(k, kInterleave<T>);
}

// Packs rows of k in pairs; `tile` says which columns of them, and how. row(k) may be nullptr: zeros.
template <class Row>
void pack_pairs(const Kernels<BFloat16>& kernels, std::int64_t k, const Row& row, PairedRows tile,
                std::int64_t values_a_row) {
  constexpr std::int64_t kMost = 256;
  const BFloat16* rows[kMost];
  BFloat16* packed = tile.packed;
  for (std::int64_t k0 = 0; k0 < k; k0 += kMost) {
    tile.k = std::min(kMost, k - k0);
    for (std::int64_t i = 0; i < tile.k; ++i) rows[i] = row(k0 + i);
    tile.rows = rows;
    tile.packed = packed + k0 * values_a_row;
    kernels.pack_pairs(tile);
  }
}

// Packs columns [first, first + columns) of a matrix whose row k begins at row(k): at most 4 vectors.
template <class T, class Row>
void pack_panel(const Kernels<T>& kernels, std::int64_t k, std::int64_t first, std::int64_t columns, const Row& row,
                T* panel) {
  const std::int64_t width = kernels.width, padded = round_up(columns, width);
  if constexpr (kInterleave<T> == 2)
    return pack_pairs(kernels, k, row, {nullptr, 0, first, columns, panel, padded, 0, width}, padded);
  else
    for (std::int64_t i = 0; i < k; ++i, panel += padded) {
      std::memcpy(panel, row(i) + first, sizeof(T) * columns);
      for (std::int64_t j = columns; j < padded; ++j) panel[j] = T(0);
    }
}

// weight [N, K] row-major, of rows `weight_row` apart (0: K) -> the right-hand side [K, N] of x W^T, in panels; this
// thread's share.
template <class T>
void pack_weight_transposed(const Team& team, const Kernels<T>& kernels, const T* weight, std::int64_t n,
                            std::int64_t k, T* packed, std::int64_t weight_row = 0) {
  if (weight_row == 0) weight_row = k;
  const int width = kernels.width;
  const std::int64_t panel_columns = kPanelVectors * width;
  const Team::Range panels = team.share((n + panel_columns - 1) / panel_columns);
  for (std::int64_t p = panels.begin; p < panels.end; ++p) {
    const std::int64_t first = p * panel_columns, columns = std::min(panel_columns, n - first);
    const std::int64_t padded = round_up(columns, width);
    for (std::int64_t j = 0; j < columns; j += width)
      kernels.pack_transposed({weight + (first + j) * weight_row, weight_row,
                               std::min<std::int64_t>(width, columns - j), k,
                               packed + first * packed_depth<T>(k) + j * kInterleave<T>, padded});
  }
}

// The panel of one tile of `width` units x `gates` of a weight [Z, K].
template <class T>
void pack_unit_tile(const Kernels<T>& kernels, int gates, const T* weight, std::int64_t hidden, std::int64_t k,
                    std::int64_t tile, T* panel) {
  const std::int64_t width = kernels.width, unit = tile * width, units = std::min(width, hidden - unit);
  for (std::int64_t gate = 0; gate < gates; ++gate)
    kernels.pack_transposed(
        {weight + (gate * hidden + unit) * k, k, units, k, panel + gate * width * kInterleave<T>, gates * width});
}

// weight [Z, K] -> panels of `width` units x `gates`; this thread's share.
template <class T>
void pack_gates(const Team& team, const Kernels<T>& kernels, int gates, const T* weight, std::int64_t hidden,
                std::int64_t k, T* packed) {
  const int width = kernels.width;
  const Team::Range tiles = team.share((hidden + width - 1) / width);
  for (std::int64_t p = tiles.begin; p < tiles.end; ++p)
    pack_unit_tile(kernels, gates, weight, hidden, k, p, packed + p * gates * width * packed_depth<T>(k));
}

// Cuts columns into panels of at most 4 vectors, as equal as can be, and calls visit(first column, columns).
template <class Visit>
void for_each_panel(int width, Team::Range columns, const Visit& visit) {
  const std::int64_t vectors = (columns.end - columns.begin + width - 1) / width;
  const std::int64_t panels = (vectors + kPanelVectors - 1) / kPanelVectors;
  std::int64_t vector = 0;
  for (std::int64_t p = 0; p < panels; ++p) {
    const std::int64_t take = (vectors - vector + (panels - p) - 1) / (panels - p);
    const std::int64_t first = columns.begin + vector * width;
    visit(first, std::min(columns.end - first, take * width));
    vector += take;
  }
}

// c[rows, n] = init + a[rows, k] * packed, where packed holds panels of 4 vectors. a, c and init are row-major.
template <class T, class End = Value<T>>
struct Product {
  std::int64_t rows, n, k;
  const T* a;
  std::int64_t a_row;
  const T* packed;
  const End* init;
  std::int64_t init_row;
  End* c;
  std::int64_t c_row;
};

// What a product begins with and where it ends, of either type.
template <class T>
void set_init(GemmTile<T>& tile, const Value<T>* init) {
  tile.init = init;
  tile.stored_init = nullptr;
}
template <class T>
  requires kRounds<T>
void set_init(GemmTile<T>& tile, const T* init) {
  tile.init = nullptr;
  tile.stored_init = init;
}
template <class T>
void set_end(GemmTile<T>& tile, Value<T>* c) {
  tile.c = c;
  tile.stored_c = nullptr;
}
template <class T>
  requires kRounds<T>
void set_end(GemmTile<T>& tile, T* c) {
  tile.c = nullptr;
  tile.stored_c = c;
}

// As many as a whole tile has.
template <class T>
std::int64_t operations_of(const GemmTile<T>& tile) {
  return 2 * tile.rows * tile.k * tile.vectors * tile.columns;
}

template <class T>
void multiply(const Team& team, const Kernels<T>& kernels, const Product<T>& p) {
  constexpr std::int64_t kRows = 96;  // rows of a that stay in the second cache while all panels pass
  const std::int64_t panel_columns = kPanelVectors * kernels.width;
  const std::int64_t panels = (p.n + panel_columns - 1) / panel_columns;
  // Enough rows: each thread takes some of them. Few rows: each thread takes some of the panels.
  const bool by_rows = p.rows >= team.size() * 4 * kRowBlock;
  const Team::Range rows = by_rows ? team.share(p.rows, kRowBlock) : Team::Range{0, p.rows};
  const Team::Range mine = by_rows ? Team::Range{0, panels} : team.share(panels);
  for (std::int64_t row = rows.begin; row < rows.end; row += kRows) {
    for (std::int64_t k = 0; k < p.k; k += kDepth<T>) {
      const Value<T>* init = k == 0 ? p.init : p.c;
      const std::int64_t init_row = k == 0 ? p.init_row : p.c_row;
      for (std::int64_t panel = mine.begin; panel < mine.end; ++panel) {
        const std::int64_t first = panel * panel_columns, columns = std::min(panel_columns, p.n - first);
        const std::int64_t padded = round_up(columns, kernels.width);
        GemmTile<T> tile{};
        tile.a = p.a + row * p.a_row + k;
        tile.a_row = p.a_row;
        tile.a_col = 1;
        tile.panel = p.packed + first * packed_depth<T>(p.k) + k * padded;
        tile.rows = std::min(kRows, rows.end - row);
        tile.k = std::min(kDepth<T>, p.k - k);
        tile.vectors = static_cast<int>(padded / kernels.width);
        tile.init = init ? init + row * init_row + first : nullptr;
        tile.init_row = init_row;
        tile.c = p.c + row * p.c_row + first;
        tile.c_row = p.c_row;
        tile.vector_stride = kernels.width;
        tile.gates = false;
        tile.columns = columns;
        kernels.gemm(tile);
      }
    }
  }
}

// Packs `rows` neighbouring values of each of k rows into blocks of kRowBlock: for each block, its values for
// all k. Several k at a time, so that a block's piece is written as whole cache lines.
template <class T, class Row>
void pack_rows(const Kernels<T>& kernels, std::int64_t k, std::int64_t rows, const Row& row, T* packed) {
  if constexpr (kInterleave<T> == 2)
    return pack_pairs(
        kernels, k, row,
        {nullptr, 0, 0, rows, packed, kernels.left_block, kernels.left_block * packed_depth<T>(k), kernels.left_block},
        kernels.left_block);
  constexpr std::int64_t kInterleave = 8;
  for (std::int64_t k0 = 0; k0 < k; k0 += kInterleave) {
    const std::int64_t count = std::min(kInterleave, k - k0);
    const T* source[kInterleave];
    for (std::int64_t i = 0; i < count; ++i) source[i] = row(k0 + i);
    T* target = packed + k0 * kRowBlock;
    std::int64_t r = 0;
    for (; r + kRowBlock <= rows; r += kRowBlock, target += k * kRowBlock)
      for (std::int64_t i = 0; i < count; ++i)
        std::memcpy(target + i * kRowBlock, source[i] + r, sizeof(T) * kRowBlock);
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t rest = 0; r + rest < rows; ++rest) target[i * kRowBlock + rest] = source[i][r + rest];
  }
}

// How a tile of `depth` steps of k reads what pack_rows has packed.
template <class T>
void set_packed_rows(const Kernels<T>& kernels, std::int64_t depth, GemmTile<T>& tile) {
  const bool whole = kernels.left_block == 1;
  tile.a_row = whole ? packed_depth<T>(depth) : kInterleave<T>;
  tile.a_col = whole ? 1 : kRowBlock;
  tile.a_block = whole ? 0 : kRowBlock * packed_depth<T>(depth);
}

template <class T>
inline void prefetch_values(const T* values, std::int64_t count) {
  for (std::int64_t j = 0; j < count; j += 64 / sizeof(T)) __builtin_prefetch(values + j);
}

// A sum of outer products with a common left side: c[m, n] += sum over k, ascending, of left(k)[0..m) right(k)[0..n).
// right(k) gives the rows. `overwrite`: what stands in c does not matter. Not wanted if c is nullptr. Rows of c are
// c_row apart; 0: n.
template <class T, class Right>
struct Outer {
  std::int64_t n;
  Right right;
  Value<T>* c;
  bool overwrite;
  std::int64_t c_row = 0;
};

// One panel's columns of an outer sum, for the rows and the steps of k that are packed in `packed`.
template <class T, class Right>
void accumulate_panels(const Kernels<T>& kernels, const Outer<T, Right>& outer, std::int64_t row, std::int64_t height,
                       std::int64_t k0, std::int64_t depth, const T* packed, T* panel) {
  const std::int64_t panel_columns = kPanelVectors * kernels.width, n = outer.n;
  const std::int64_t c_row = outer.c_row ? outer.c_row : n;
  // What is widened is widened once for so many rows.
  const std::int64_t most = kRounds<T> ? 16 * kRowBlock : kRowBlock;
  const std::int64_t pieces = (height + most - 1) / most, ahead = (depth + pieces - 1) / pieces;
  for (std::int64_t first = 0; first < n; first += panel_columns) {
    const std::int64_t columns = std::min(panel_columns, n - first), next = first + panel_columns;
    pack_panel(kernels, depth, first, columns, [&](std::int64_t i) { return outer.right(k0 + i); }, panel);
    GemmTile<T> tile{};
    set_packed_rows(kernels, depth, tile);
    tile.panel = panel;
    tile.k = depth;
    tile.vectors = static_cast<int>((columns + kernels.width - 1) / kernels.width);
    tile.init_row = tile.c_row = c_row;
    tile.vector_stride = kernels.width;
    tile.columns = columns;
    for (std::int64_t r = 0; r < height; r += most) {
      tile.a = packed + r * packed_depth<T>(depth);
      tile.rows = std::min(most, height - r);
      tile.c = outer.c + (row + r) * c_row + first;
      tile.init = outer.overwrite && k0 == 0 ? nullptr : tile.c;
      kernels.gemm(tile);
      // What the next panel will be packed from, a little at a time: its rows lie far apart.
      for (std::int64_t i = r / most * ahead; next < n && i < std::min(depth, (r / most + 1) * ahead); ++i)
        if (const T* source = outer.right(k0 + i)) prefetch_values(source + next, std::min(panel_columns, n - next));
    }
  }
}

// Packs the left sides of outer sums, `m` values of each of `k` rows, and calls accumulate(row, height, k0, depth) for
// each piece of this thread's share, with what was packed. left(k) gives the rows, nullptr for zeros (only where k goes
// in pairs); pack_a is this thread's, for `most_rows` of the values; `n`: values of all right sides.
template <class T, class Left, class Accumulate>
void for_each_left(const Team& team, const Kernels<T>& kernels, std::int64_t m, std::int64_t k, std::int64_t n,
                   const Left& left, std::int64_t most_rows, T* pack_a, const Accumulate& accumulate) {
  const Team::Range rows = team.share(m, kRowBlock);
  const std::int64_t count = rows.end - rows.begin, pieces = (count + most_rows - 1) / most_rows;
  const std::int64_t most = pieces ? round_up((count + pieces - 1) / pieces, kRowBlock) : 1;
  for (std::int64_t row = rows.begin; row < rows.end; row += most) {
    const std::int64_t height = std::min(most, rows.end - row);
    for (std::int64_t k0 = 0; k0 < k; k0 += kGradientDepth<T>) {
      const std::int64_t depth = std::min(kGradientDepth<T>, k - k0);
      if (team.stopped(2 * height * depth * n)) return;
      pack_rows(
          kernels, depth, height,
          [&](std::int64_t i) {
            const T* source = left(k0 + i);
            return source ? source + row : nullptr;
          },
          pack_a);
      accumulate(row, height, k0, depth);
    }
  }
}

// Outer sums over `k` rows, whose left sides are packed once for all of them; pack_b is this thread's.
template <class T, class Left, class... Right>
void accumulate_outer(const Team& team, const Kernels<T>& kernels, std::int64_t m, std::int64_t k, const Left& left,
                      std::int64_t most_rows, T* pack_a, T* pack_b, const Outer<T, Right>&... outers) {
  if (!(outers.c || ...)) return;
  for_each_left(team, kernels, m, k, (outers.n + ...), left, most_rows, pack_a,
                [&](std::int64_t row, std::int64_t height, std::int64_t k0, std::int64_t depth) {
                  const auto accumulate = [&](const auto& outer) {
                    if (outer.c) accumulate_panels(kernels, outer, row, height, k0, depth, pack_a, pack_b);
                  };
                  (accumulate(outers), ...);
                });
}

}  // namespace rnn_engine
