// Products of several left sides that lie side by side, without putting them together: a chain goes on from one to the
// next. What comes behind the product is done a block at a time, while that is in the second cache.
#pragma once

#include <span>

#include "cpu/gemm/gemm.h"

namespace rnn_engine {

// a[rows, k] * packed, where packed [k, n] lies in panels of 4 vectors.
template <class T>
struct Side {
  const T* a;
  std::int64_t a_row, k;
  const T* packed;
};

// Columns and rows that are in work together. `rounded` is each thread's place for a block where T is not its own
// Value.
inline constexpr std::int64_t kBlockColumns = 512, kBlockRows = 96, kBlockValues = 128 << 10;
template <class T>
inline constexpr std::int64_t kBlockSize = kRounds<T> ? kBlockRows * kBlockColumns : 0;

// c[rows, n] = finish(init + sum over sides), for this thread's share. finish(row, first, rows, columns, product,
// product_row) takes what stands in product, which is c where T is its own Value, to c.
template <class T, class Finish>
void multiply_side_by_side(const Team& team, const Kernels<T>& kernels, std::int64_t rows, std::int64_t n,
                           std::span<const Side<T>> sides, const Value<T>* init, T* c, std::int64_t c_row,
                           Value<T>* rounded, const Finish& finish) {
  using S = Value<T>;
  std::int64_t depth = 0;
  for (const Side<T>& side : sides) depth += side.k;
  const std::int64_t panel_columns = kPanelVectors * kernels.width;
  const std::int64_t panels = (n + panel_columns - 1) / panel_columns, group = kBlockColumns / panel_columns;
  // As in multiply: many rows are shared by the threads, few are everybody's.
  const bool by_rows = rows >= team.size() * 4 * kRowBlock;
  const Team::Range my_rows = by_rows ? team.share(rows, kRowBlock) : Team::Range{0, rows};
  const Team::Range mine = by_rows ? Team::Range{0, panels} : team.share(panels);
  // Left sides stay in the second cache while all panels pass.
  const std::int64_t most = std::clamp(kBlockValues / depth / kRowBlock * kRowBlock, std::int64_t{24}, kBlockRows);
  for (std::int64_t row = my_rows.begin; row < my_rows.end; row += most) {
    const std::int64_t height = std::min(most, my_rows.end - row);
    for (std::int64_t begin = mine.begin; begin < mine.end; begin += group) {
      const std::int64_t end = std::min(begin + group, mine.end), first = begin * panel_columns;
      const std::int64_t columns = std::min(n, end * panel_columns) - first;
      if (team.stopped(2 * height * depth * columns)) return;
      S* product = rounded;
      std::int64_t product_row = kBlockColumns;
      if constexpr (!kRounds<T>) {
        product = c + row * c_row + first;
        product_row = c_row;
      }
      for (std::int64_t panel = begin; panel < end; ++panel) {
        const std::int64_t at = panel * panel_columns, width = std::min(panel_columns, n - at);
        const std::int64_t padded = round_up(width, kernels.width);
        GemmTile<T> tile{};
        tile.a_col = 1;
        tile.rows = height;
        tile.vectors = static_cast<int>(padded / kernels.width);
        tile.init = init ? init + at : nullptr;
        tile.c = product + (at - first);
        tile.c_row = product_row;
        tile.vector_stride = kernels.width;
        tile.columns = width;
        for (const Side<T>& side : sides)
          for (std::int64_t k = 0; k < side.k; k += kDepth<T>) {
            tile.a = side.a + row * side.a_row + k;
            tile.a_row = side.a_row;
            tile.k = std::min(kDepth<T>, side.k - k);
            tile.panel = side.packed + at * packed_depth<T>(side.k) + k * padded;
            kernels.gemm(tile);
            tile.init = tile.c;
            tile.init_row = product_row;
          }
      }
      finish(row, first, height, columns, static_cast<const S*>(product), product_row);
    }
  }
}

}  // namespace rnn_engine
