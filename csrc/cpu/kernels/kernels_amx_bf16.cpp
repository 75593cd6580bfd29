// Compiled as AVX-512 is: bfloat16 has products of its own here, in the matrix unit.
//
// One instruction multiplies 16 rows of 32 k with 16 columns of them, and adds the sum over these k to what stands in
// the result. Bits therefore follow from how k is cut: into groups of kGroup from where a product begins, the last one
// filled up with zeros.
#include "base/build.h"
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/pairs_avx512.h"
#include "cpu/kernels/tiles_amx.h"

namespace rnn_engine::cpu {

Backend avx512_backend();

namespace {

using P = Avx512Pairs;
using V = P::Vector;
constexpr int kWidth = P::kWidth, kWord = 2 * kWidth;  // values of a vector of float, and of bfloat16
constexpr int kGroup = kTileBytes / sizeof(BFloat16);
static_assert(kLargestGroup % kGroup == 0);

struct MultiplyBfloat16 {
  template <int kResult, int kLeft, int kRight>
  static RNN_ENGINE_INLINE void add() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kResult), "i"(kLeft), "i"(kRight));
  }
};

class TiledProduct {
 public:
  explicit TiledProduct(const GemmTile<BFloat16>& t)
      : t_(t), whole_(t.k / kGroup * kGroup), rest_(static_cast<int>(t.k - whole_)) {
    if (rest_) fill_right();
  }

  void run() {
    for_each_pair_of_blocks(t_.rows, [&](std::int64_t row, int first, int second) {
      if (rest_) fill_left(row, first + second);
      if (second == 0) return run_block(row, first);
      int j = 0;
      for (; j + 2 <= t_.vectors; j += 2) multiply<2, 2>(row, first, second, j);
      if (j < t_.vectors) multiply<2, 1>(row, first, second, j);
    });
    release_tiles();
  }

 private:
  static constexpr std::ptrdiff_t kValue = sizeof(BFloat16), kSum = sizeof(float);
  static constexpr int kSumsRow = kPanelVectors * kWidth;

  void run_block(std::int64_t row, int rows) {
    switch (t_.vectors) {
      case 1:
        return multiply<1, 1>(row, rows, 0, 0);
      case 2:
        return multiply<1, 2>(row, rows, 0, 0);
      case 3:
        return multiply<1, 3>(row, rows, 0, 0);
      default:
        return multiply<1, 4>(row, rows, 0, 0);
    }
  }

  // What the last group of k holds, filled up with zeros: what lies behind it may be no number.
  void fill_right() {
    const std::int64_t values = t_.vectors * kWidth * round_up_to_two(rest_);
    std::memcpy(right_, t_.panel + whole_ * t_.vectors * kWidth, static_cast<std::size_t>(kValue * values));
    const std::int64_t all = t_.vectors * kWidth * kGroup;
    std::memset(right_ + values, 0, static_cast<std::size_t>(kValue * (all - values)));
  }
  void fill_left(std::int64_t row, int rows) {
    const BFloat16* from = t_.a + row * t_.a_row + whole_;
    for (int i = 0; i < rows; ++i) P::load(from + i * t_.a_row, rest_).store(left_ + i * kGroup);
  }

  template <int kBlocks, int kVectors>
  void multiply(std::int64_t row, int first, int second, int vector) {
    begin<kBlocks, kVectors>(row, first, second, vector);
    const BFloat16 *a = t_.a + row * t_.a_row, *panel = t_.panel + vector * kWord;
    const std::ptrdiff_t a_row = kValue * t_.a_row, panel_row = t_.vectors * kTileBytes;
    for (std::int64_t k = 0; k < whole_; k += kGroup, a += kGroup, panel += t_.vectors * kWidth * kGroup)
      multiply_tiles<MultiplyBfloat16, kBlocks, kVectors>(a, a_row, first * a_row, panel, panel_row, kTileBytes);
    if (rest_)
      multiply_tiles<MultiplyBfloat16, kBlocks, kVectors>(left_, kTileBytes, first * kTileBytes,
                                                          right_ + vector * kWord, panel_row, kTileBytes);
    end<kBlocks, kVectors>(row, first, second, vector);
  }

  // Whether tiles can be loaded and stored where the values lie.
  bool full(int vector, int vectors) const { return lanes_of<V>(t_, t_.gates ? 0 : vector + vectors - 1) == kWidth; }

  template <int kBlocks, int kVectors>
  void begin(std::int64_t row, int first, int second, int vector) {
    if (!t_.init && !t_.stored_init)
      return for_each_of<kBlocks>(
          [&]<int i>() { for_each_of<kVectors>([&]<int j>() { clear_tile<tile_of<kBlocks>(i, j)>(); }); });
    const float* from = sums_;
    std::ptrdiff_t from_row = kSumsRow, from_vector = kWidth;
    if (t_.init && full(vector, kVectors)) {
      from = t_.init + row * t_.init_row + vector * t_.vector_stride;
      from_row = t_.init_row;
      from_vector = t_.vector_stride;
    } else {
      for (int i = 0; i < first + second; ++i)
        for (int j = 0; j < kVectors; ++j) {
          const std::ptrdiff_t place = (row + i) * t_.init_row + (vector + j) * t_.vector_stride;
          const int lanes = lanes_of<V>(t_, vector + j);
          const V values = t_.init ? V::load(t_.init + place, lanes) : load_units<V>(t_.stored_init + place, lanes);
          values.store(sums_ + i * kSumsRow + j * kWidth);
        }
    }
    for_each_of<kBlocks>([&]<int i>() {
      for_each_of<kVectors>([&]<int j>() {
        load_tile<tile_of<kBlocks>(i, j)>(from + i * first * from_row + j * from_vector, kSum * from_row);
      });
    });
  }

  template <int kBlocks, int kVectors>
  void end(std::int64_t row, int first, int second, int vector) {
    const bool direct = t_.c && full(vector, kVectors);
    float* to = direct ? t_.c + row * t_.c_row + vector * t_.vector_stride : sums_;
    const std::ptrdiff_t to_row = direct ? t_.c_row : kSumsRow, to_vector = direct ? t_.vector_stride : kWidth;
    for_each_of<kBlocks>([&]<int i>() {
      for_each_of<kVectors>(
          [&]<int j>() { store_tile<tile_of<kBlocks>(i, j)>(to + i * first * to_row + j * to_vector, kSum * to_row); });
    });
    for (int i = 0; !direct && i < first + second; ++i)
      for (int j = 0; j < kVectors; ++j) {
        const std::ptrdiff_t place = (row + i) * t_.c_row + (vector + j) * t_.vector_stride;
        const int lanes = lanes_of<V>(t_, vector + j);
        const V values = V::load(sums_ + i * kSumsRow + j * kWidth);
        if (t_.c)
          values.store(t_.c + place, lanes);
        else
          store_units(values, t_.stored_c + place, lanes);
      }
  }

  const GemmTile<BFloat16>& t_;
  const std::int64_t whole_;  // k of whole groups
  const int rest_;
  alignas(kTileBytes) BFloat16 left_[2 * kTileRows * kGroup];
  alignas(kTileBytes) BFloat16 right_[kPanelVectors * kWidth * kGroup];
  alignas(kTileBytes) float sums_[2 * kTileRows * kSumsRow];
};

void gemm_in_tiles(const GemmTile<BFloat16>& t) { TiledProduct(t).run(); }

// Rows that are packed by themselves are a transpose, which is what a block's tile is loaded from.
void pack_rows_or_pairs(const PairedRows& t) {
  if (t.block != 1) return pack_pairs<P>(t);
  for (std::int64_t k = 0; k < t.k; k += kWord) {
    const int pairs = static_cast<int>(t.k - k < kWord ? (t.k - k + 1) / 2 : kWidth);
    for (std::int64_t column = 0; column < t.columns; column += kWidth) {
      const int valid = static_cast<int>(t.columns - column < kWidth ? t.columns - column : kWidth);
      V block[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        const std::int64_t at = k + 2 * i, from = t.first + column;
        const BFloat16* first = at < t.k ? t.rows[at] : nullptr;
        const BFloat16* second = at + 1 < t.k ? t.rows[at + 1] : nullptr;
        block[i] = P::join(values_at(first, from, t), first ? valid : 0, values_at(second, from, t), second ? valid : 0)
                       .as_vector();
      }
      transpose(block);
      for (int j = 0; j < valid; ++j) P::from(block[j]).store(t.packed + (column + j) * t.block_stride + k, pairs);
    }
  }
}

double peak_of_tiles(std::int64_t iterations) {
  constexpr int kChains = 16;
  constexpr double kOperations = 2.0 * kChains * kTileRows * kWidth * kGroup;
  configure(TileShapes(kTileRows, kTileRows));
  for_each_of<8>([]<int i>() { clear_tile<i>(); });
  for (std::int64_t n = 0; n < iterations; ++n)
    for_each_of<kChains>([]<int i>() { MultiplyBfloat16::add<i % kLeftTile, kLeftTile, kRightTile>(); });
  release_tiles();
  return kOperations * static_cast<double>(iterations);
}

}  // namespace

Backend amx_bf16_backend() {
  Backend backend = avx512_backend();
  backend.isa = "amx_bf16";
  if constexpr (!kTranslatingAlone) {
    Kernels<BFloat16>& table = backend.bf16;
    table.k_group = kGroup;
    table.left_block = 1;
    table.gemm = gemm_in_tiles;
    table.pack_pairs = pack_rows_or_pairs;
    table.peak = peak_of_tiles;
  }
  return backend;
}

}  // namespace rnn_engine::cpu
