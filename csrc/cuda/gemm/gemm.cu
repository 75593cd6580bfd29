// The products' kernel, and the choice of its tiles.
#include <type_traits>

#include "cuda/gemm/cublas.h"
#include "cuda/gemm/gemm_mma.cuh"
#include "cuda/gemm/gemm_simt.cuh"
#include "cuda/gemm/item_products.h"
#include "cuda/gemm/slices.cuh"
#include "cuda/kernels/launched.cuh"

namespace rnn_engine::cuda {
namespace {

template <class Tile>
struct Buffers {
  typename Tile::Buffer half[2];
};

// A block's slice of k, in place of the whole product; returns the first row of its tile.
template <class T>
__device__ inline std::int64_t take_slice(Product<T>& p, int rows) {
  const std::int64_t tiles = (p.m + rows - 1) / rows, slice = block_x() / tiles;
  if (p.slices > 1) {
    p.k /= p.slices;
    p.a.data += slice * p.k * p.a.column;
    p.b.data += slice * p.k * p.b.column;
    p.c += slice * p.slice_c;
  }
  if (slice > 0) {
    p.bias[0] = p.bias[1] = p.init = nullptr;
    p.stored_init = nullptr;
  }
  return block_x() % tiles * rows;
}

// The values of a tile of c before its product, and after.
template <class Tile>
__device__ inline void begin_tile(const Product<typename Tile::T>& p, std::int64_t row0, std::int64_t column0,
                                  Tile& tile) {
  using S = Value<typename Tile::T>;
  tile.for_each([&](int row, int column, S& sum) {
    const bool inside = row0 + row < p.m && column0 + column < p.n;
    sum = inside ? initial_value(p, row0 + row, column0 + column) : S(0);
  });
}
template <class Tile>
__device__ inline void end_tile(const Product<typename Tile::T>& p, std::int64_t row0, std::int64_t column0,
                                Tile& tile) {
  tile.for_each([&](int row, int column, Value<typename Tile::T>& sum) {
    if (row0 + row < p.m && column0 + column < p.n) end_value(p, row0 + row, column0 + column, sum);
  });
}

// One block computes one tile of c.
template <class Tile>
__device__ inline void matrix_tile(const Product<typename Tile::T>& p, std::int64_t row0, std::int64_t column0) {
  Tile tile;
  begin_tile(p, row0, column0, tile);
  tile.multiply(p.a, p.b, p.k, NeighbouringRows{row0, p.m}, NeighbouringRows{column0, p.n});
  end_tile(p, row0, column0, tile);
}

// The same. While a block computes with one half of shared memory, the other is filled.
template <class Tile>
__device__ inline void simt_tile(const Product<typename Tile::T>& p, std::int64_t row0, std::int64_t column0) {
  using T = typename Tile::T;
  auto& buffers = shared_memory<Buffers<Tile>>();
  Tile tile;
  begin_tile(p, row0, column0, tile);
  Loader<T, Tile::kM, Tile::kDepth, Tile::kThreads> a;
  Loader<T, Tile::kN, Tile::kDepth, Tile::kThreads> b;
  a.fetch(p.a, row0, 0, p.m, p.k);
  b.fetch(p.b, column0, 0, p.n, p.k);
  int half = 0;
  for (std::int64_t k = 0; k < p.k; k += Tile::kDepth) {
    auto& buffer = buffers.half[half];
    a.put(p.a, [&](int row, int at, T value) { buffer.put_a(row, at, value); });
    b.put(p.b, [&](int row, int at, T value) { buffer.put_b(row, at, value); });
    barrier();
    if (k + Tile::kDepth < p.k) {
      a.fetch(p.a, row0, k + Tile::kDepth, p.m, p.k);
      b.fetch(p.b, column0, k + Tile::kDepth, p.n, p.k);
    }
    const std::int64_t left = p.k - k;
    tile.multiply(buffer, left < Tile::kDepth ? static_cast<int>(left) : Tile::kDepth);
    half ^= 1;
  }
  end_tile(p, row0, column0, tile);
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1) matrix_kernel(Product<typename Tile::T> p) {
  if constexpr (!kMatrixLaunched<typename Tile::T>) return;
  const std::int64_t row0 = take_slice(p, Tile::kM);
  matrix_tile<Tile>(p, row0, block_y() * Tile::kN);
}
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads) simt_kernel(Product<typename Tile::T> p) {
  const std::int64_t row0 = take_slice(p, Tile::kM);
  simt_tile<Tile>(p, row0, block_y() * Tile::kN);
}

// A block's item, in place of the arrays; returns the first row of its tile.
template <class T>
__device__ inline std::int64_t take_item(const ItemProducts<T>& all, int rows, Product<T>& p) {
  p = all.product;
  const std::int64_t tiles = (p.m + rows - 1) / rows, index = block_x() / tiles;
  const Slice& s = all.slice;
  const Item item{index / s.heads, index % s.heads, s.first + index / s.heads};
  const auto extent = [&](Extent which, std::int64_t whole) {
    return which == Extent::kWhole    ? whole
           : which == Extent::kSource ? source_length(s, item.b)
                                      : target_rows(s, item.b);
  };
  p.m = extent(all.m, p.m);
  p.n = extent(all.n, p.n);
  p.k = extent(all.k, p.k);
  p.a.data += all.a.of(item);
  p.b.data += all.b.of(item);
  if (p.c) p.c += all.c.of(item);
  if (p.stored_c) p.stored_c += all.stored_c.of(item);
  if (p.init) p.init += all.init.of(item);
  return block_x() % tiles * rows;
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1) matrix_items_kernel(ItemProducts<typename Tile::T> all) {
  if constexpr (!kMatrixLaunched<typename Tile::T>) return;
  Product<typename Tile::T> p;
  const std::int64_t row0 = take_item(all, Tile::kM, p), column0 = block_y() * Tile::kN;
  if (row0 < p.m && column0 < p.n) matrix_tile<Tile>(p, row0, column0);
}
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads) simt_items_kernel(ItemProducts<typename Tile::T> all) {
  Product<typename Tile::T> p;
  const std::int64_t row0 = take_item(all, Tile::kM, p), column0 = block_y() * Tile::kN;
  if (row0 < p.m && column0 < p.n) simt_tile<Tile>(p, row0, column0);
}

template <class Tile>
Grid grid_of(const Product<typename Tile::T>& p) {
  return {(p.m + Tile::kM - 1) / Tile::kM * (p.slices ? p.slices : 1), (p.n + Tile::kN - 1) / Tile::kN};
}

template <class Tile>
void multiply_with(Stream stream, const Product<typename Tile::T>& p) {
  if constexpr (requires { Tile::kStages; })
    launch<typename Tile::Shared>(matrix_kernel<Tile>, grid_of<Tile>(p), Tile::kThreads, stream, p);
  else
    launch<Buffers<Tile>>(simt_kernel<Tile>, grid_of<Tile>(p), Tile::kThreads, stream, p);
}

// Large tiles load less for each product; small ones keep all processors at work.
template <class Tiles, class T>
void multiply_with_fitting(Stream stream, const Product<T>& p, int processors) {
  const auto enough = [&](const Grid& grid) { return grid.x * grid.y >= processors; };
  if (enough(grid_of<typename Tiles::Large>(p)))
    multiply_with<typename Tiles::Large>(stream, p);
  else if (enough(grid_of<typename Tiles::Middle>(p)))
    multiply_with<typename Tiles::Middle>(stream, p);
  else
    multiply_with<typename Tiles::Small>(stream, p);
}

template <class T>
struct MatrixTiles {
  static constexpr int kDepth = 64 / sizeof(T);
  using Large = MatrixTile<T, 2, 4, 4, 4, kDepth, 3>;      // 128 x 128
  using Middle = MatrixTile<T, 4, 2, 2, 4, kDepth, 3>;     // 128 x 64
  using Small = MatrixTile<T, 2, 2, 1, 2, 2 * kDepth, 4>;  // 32 x 32
};
template <class T>
struct SimtTiles {
  using Large = SimtTile<T, 64, 64, 16, 4, 4>;
  using Middle = Large;
  using Small = SimtTile<T, 32, 32, 32, 2, 4>;
};

// Of items, which are small: one tile of 64 x 64, or of 32 x 32 where less is asked for.
template <class T>
struct ItemTiles {
  static constexpr int kDepth = 64 / sizeof(T);
  using Matrix = MatrixTile<T, 2, 2, 2, 4, kDepth, 3>;  // 64 x 64
  using SmallMatrix = typename MatrixTiles<T>::Small;
  using Simt = typename SimtTiles<T>::Large;
  using SmallSimt = typename SimtTiles<T>::Small;
};

template <class Tile>
void multiply_items_with(Stream stream, const ItemProducts<typename Tile::T>& all) {
  Grid grid = grid_of<Tile>(all.product);
  grid.x *= all.slice.count * all.slice.heads;
  if constexpr (requires { Tile::kHigh; })
    launch<typename Tile::Shared>(matrix_items_kernel<Tile>, grid, Tile::kThreads, stream, all);
  else
    launch<Buffers<Tile>>(simt_items_kernel<Tile>, grid, Tile::kThreads, stream, all);
}

template <class Large, class Small>
void multiply_items_with_fitting(Stream stream, const ItemProducts<typename Large::T>& all) {
  if (all.product.m > Small::kM && all.product.n > Small::kN)
    multiply_items_with<Large>(stream, all);
  else
    multiply_items_with<Small>(stream, all);
}

}  // namespace

template <class T>
void multiply_items(Stream stream, const ItemProducts<T>& all, const Multipliers& with) {
  using Tiles = ItemTiles<T>;
  if (all.product.m == 0 || all.product.n == 0) return;
  bool matrix = false;
  if constexpr (!std::is_same_v<T, double>) {
    matrix = !std::is_same_v<T, float> || with.tf32;
    if (matrix) multiply_items_with_fitting<typename Tiles::Matrix, typename Tiles::SmallMatrix>(stream, all);
  }
  if constexpr (!kRounds<T>) {
    if (!matrix) multiply_items_with_fitting<typename Tiles::Simt, typename Tiles::SmallSimt>(stream, all);
  }
}

template <class T>
void multiply(Stream stream, const Product<T>& p, const Multipliers& with) {
  if (p.m == 0 || p.n == 0) return;
  if (p.any_order && with.cublas && with.cublas->multiply(stream, p, with.tf32)) return;
  if constexpr (std::is_same_v<T, double>) {
    multiply_with_fitting<SimtTiles<T>>(stream, p, with.processors);
  } else if constexpr (std::is_same_v<T, float>) {
    if (with.tf32)
      multiply_with_fitting<MatrixTiles<T>>(stream, p, with.processors);
    else
      multiply_with_fitting<SimtTiles<T>>(stream, p, with.processors);
  } else {
    multiply_with_fitting<MatrixTiles<T>>(stream, p, with.processors);
  }
}

template void multiply_items<float>(Stream, const ItemProducts<float>&, const Multipliers&);
template void multiply_items<double>(Stream, const ItemProducts<double>&, const Multipliers&);
template void multiply_items<BFloat16>(Stream, const ItemProducts<BFloat16>&, const Multipliers&);
template void multiply_items<Float16>(Stream, const ItemProducts<Float16>&, const Multipliers&);
template void multiply<float>(Stream, const Product<float>&, const Multipliers&);
template void multiply<double>(Stream, const Product<double>&, const Multipliers&);
template void multiply<BFloat16>(Stream, const Product<BFloat16>&, const Multipliers&);
template void multiply<Float16>(Stream, const Product<Float16>&, const Multipliers&);

}  // namespace rnn_engine::cuda
