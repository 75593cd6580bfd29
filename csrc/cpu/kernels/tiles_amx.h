// Registers of AMX, the matrix unit: eight tiles of 16 rows of 64 bytes. Its few instructions are written out, so that
// any compiler and its flags do; what they do to tiles is not known to the compiler, which has no use for them itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/device.h"

namespace rnn_engine::cpu {
namespace {

constexpr int kTileRows = 16, kTileBytes = 64;  // bytes of a row

// Tiles 0 to 3 hold results: of one block of rows and up to four panels, or of two blocks and up to two panels each.
// Tiles 4 and 5 are the blocks', 6 and 7 the panels'.
constexpr int kLeftTile = 4, kRightTile = 6;
template <int kBlocks>
constexpr int tile_of(int block, int panel) {
  return kBlocks == 2 ? 2 * block + panel : panel;
}

// Of a block of `first` rows, and one of `second` behind it, or none.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {};
  std::uint8_t rows[16] = {};

  TileShapes(int first, int second) {
    for (int tile = 0; tile < 8; ++tile) {
      const bool of_second = second > 0 && (tile == 2 || tile == 3 || tile == kLeftTile + 1);
      bytes[tile] = kTileBytes;
      rows[tile] = static_cast<std::uint8_t>(tile >= kRightTile ? kTileRows : of_second ? second : first);
    }
  }
};

RNN_ENGINE_INLINE void configure(const TileShapes& shapes) { asm volatile("ldtilecfg %0" : : "m"(shapes)); }
RNN_ENGINE_INLINE void release_tiles() { asm volatile("tilerelease"); }
template <int kTile>
RNN_ENGINE_INLINE void clear_tile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
// Rows lie `stride` bytes apart; 0: one row for all.
template <int kTile>
RNN_ENGINE_INLINE void load_tile(const void* rows, std::ptrdiff_t stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(kTile), "r"(rows), "r"(stride) : "memory");
}
template <int kTile>
RNN_ENGINE_INLINE void store_tile(void* rows, std::ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(kTile), "r"(rows), "r"(stride) : "memory");
}

// Calls visit<i>() for i in [0, kCount).
template <int kCount, int kFirst = 0, class Visit>
RNN_ENGINE_INLINE void for_each_of(const Visit& visit) {
  if constexpr (kFirst < kCount) {
    visit.template operator()<kFirst>();
    for_each_of<kCount, kFirst + 1>(visit);
  }
}

// result += blocks * panels over as many k as a tile's row holds. Blocks lie a_block bytes apart and their rows a_row;
// panels b_panel, and their rows b_row. M multiplies two tiles.
template <class M, int kBlocks, int kPanels>
RNN_ENGINE_INLINE void multiply_tiles(const void* a, std::ptrdiff_t a_row, std::ptrdiff_t a_block, const void* b,
                                      std::ptrdiff_t b_row, std::ptrdiff_t b_panel) {
  const char *left = static_cast<const char*>(a), *right = static_cast<const char*>(b);
  for_each_of<kBlocks>([&]<int i>() { load_tile<kLeftTile + i>(left + i * a_block, a_row); });
  for_each_of<kPanels>([&]<int j>() {
    load_tile<kRightTile + j % 2>(right + j * b_panel, b_row);
    for_each_of<kBlocks>(
        [&]<int i>() { M::template add<tile_of<kBlocks>(i, j), kLeftTile + i, kRightTile + j % 2>(); });
  });
}

// Cuts rows into pairs of blocks of kTileRows, and calls visit(row, first, second) for each pair, with tiles of that
// shape.
template <class Visit>
RNN_ENGINE_INLINE void for_each_pair_of_blocks(std::int64_t rows, const Visit& visit) {
  constexpr std::int64_t kPair = 2 * kTileRows;
  std::int64_t row = 0;
  if (rows >= kPair) {
    configure(TileShapes(kTileRows, kTileRows));
    for (; row + kPair <= rows; row += kPair) visit(row, kTileRows, kTileRows);
  }
  if (const int left = static_cast<int>(rows - row)) {
    const int first = left < kTileRows ? left : kTileRows;
    configure(TileShapes(first, left - first));
    visit(row, first, left - first);
  }
}

}  // namespace
}  // namespace rnn_engine::cpu
