// Compiled for AVX-512; the matrix unit's few instructions are written out, so that any compiler and its flags do. Only
// bfloat16 has kernels of its own here.
//
// A tile holds 16 rows of 64 bytes. One instruction multiplies 16 rows of 32 k with 16 columns of them, and adds the
// sum over these k to what stands in the result. Bits therefore follow from how k is cut: into groups of kGroup from
// where a product begins, the last one filled up with zeros. What is not a number in memory that lies behind a row does
// not matter.
#include <algorithm>

#include "base/build.h"
#include "cpu/kernels/pair_kernels.h"
#include "cpu/kernels/pairs_avx512.h"

namespace rnn_engine::cpu {

Backend avx512_backend();

namespace {

using P = Avx512Pairs;
using V = P::Vector;

constexpr int kTileRows = 16, kLine = 64;  // bytes of a row
constexpr int kGroup = 32, kWidth = P::kWidth, kWord = 2 * kWidth;

// Registers: 0 to 3 are results, 4 and 5 of the left side, 6 and 7 of the right one.
constexpr int kLeft = 4, kRight = 6;

// Of the first and the second block of rows that are in work together, what the registers hold.
struct alignas(kLine) TileShapes {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {};
  std::uint8_t rows[16] = {};

  // One block of `first` rows with up to four vectors, or two blocks with up to two.
  TileShapes(int first, int second) {
    for (int tile = 0; tile < 8; ++tile) {
      bytes[tile] = kLine;
      rows[tile] = static_cast<std::uint8_t>(kTileRows);
    }
    for (int tile : {0, 1, kLeft}) rows[tile] = static_cast<std::uint8_t>(first);
    for (int tile : {2, 3, kLeft + 1}) rows[tile] = static_cast<std::uint8_t>(second > 0 ? second : first);
  }
};

RNN_ENGINE_INLINE void configure(const TileShapes& shapes) { asm volatile("ldtilecfg %0" : : "m"(shapes)); }
RNN_ENGINE_INLINE void release() { asm volatile("tilerelease"); }
template <int kTile>
RNN_ENGINE_INLINE void clear() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
// Rows lie `stride` bytes apart; 0: one row for all.
template <int kTile>
RNN_ENGINE_INLINE void load(const void* rows, std::ptrdiff_t stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(kTile), "r"(rows), "r"(stride) : "memory");
}
template <int kTile>
RNN_ENGINE_INLINE void store(void* rows, std::ptrdiff_t stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(kTile), "r"(rows), "r"(stride) : "memory");
}
template <int kSum, int kA, int kB>
RNN_ENGINE_INLINE void multiply_add() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}

// Calls visit<i>() for i in [0, kCount).
template <int kCount, int kFirst = 0, class Visit>
RNN_ENGINE_INLINE void for_each_of(const Visit& visit) {
  if constexpr (kFirst < kCount) {
    visit.template operator()<kFirst>();
    for_each_of<kCount, kFirst + 1>(visit);
  }
}

class TiledProduct {
 public:
  explicit TiledProduct(const GemmTile<BFloat16>& t)
      : t_(t), vectors_(t.vectors), whole_(t.k / kGroup * kGroup), rest_(static_cast<int>(t.k - whole_)) {
    if (rest_) fill_right();
  }

  void run() {
    std::int64_t row = 0;
    const std::int64_t two = 2 * kTileRows;
    if (t_.rows >= two) {
      configure(TileShapes(kTileRows, kTileRows));
      for (; row + two <= t_.rows; row += two) run_rows(row, kTileRows, kTileRows);
    }
    if (const int left = static_cast<int>(t_.rows - row)) {
      const int first = std::min(left, kTileRows);
      configure(TileShapes(first, left - first));
      run_rows(row, first, left - first);
    }
    release();
  }

 private:
  // What the last group of k holds, filled up with zeros.
  void fill_right() {
    const int pairs = (rest_ + 1) / 2, count = vectors_ * kWord;
    const BFloat16* from = t_.panel + whole_ * vectors_ * kWidth;
    std::memcpy(right_, from, sizeof(BFloat16) * static_cast<std::size_t>(pairs * count));
    std::memset(right_ + pairs * count, 0, sizeof(BFloat16) * static_cast<std::size_t>((kGroup / 2 - pairs) * count));
  }
  void fill_left(std::int64_t row, int rows) {
    const BFloat16* from = t_.a + row * t_.a_row + whole_;
    for (int i = 0; i < rows; ++i) P::load(from + i * t_.a_row, rest_).store(left_ + i * kGroup);
  }

  void run_rows(std::int64_t row, int first, int second) {
    if (rest_) fill_left(row, first + second);
    int j = 0;
    if (second == 0) {
      switch (vectors_) {
        case 1:
          return multiply<1, 1>(row, first, second, j);
        case 2:
          return multiply<1, 2>(row, first, second, j);
        case 3:
          return multiply<1, 3>(row, first, second, j);
        default:
          return multiply<1, 4>(row, first, second, j);
      }
    }
    for (; j + 2 <= vectors_; j += 2) multiply<2, 2>(row, first, second, j);
    if (j < vectors_) multiply<2, 1>(row, first, second, j);
  }

  // Of block i and vector j.
  template <int kBlocks>
  static constexpr int sum_of(int i, int j) {
    return kBlocks == 2 ? 2 * i + j : j;
  }

  template <int kBlocks, int kVectors>
  void multiply(std::int64_t row, int first, int second, int vector) {
    begin<kBlocks, kVectors>(row, first, second, vector);
    const std::ptrdiff_t a_row = t_.a_row * static_cast<std::ptrdiff_t>(sizeof(BFloat16));
    const std::ptrdiff_t panel_row = vectors_ * kLine;
    const BFloat16* a = t_.a + row * t_.a_row;
    const BFloat16* panel = t_.panel + vector * kWord;
    for (std::int64_t k = 0; k < whole_; k += kGroup, a += kGroup, panel += kGroup / 2 * vectors_ * kWord)
      add<kBlocks, kVectors>(a, a_row, first * t_.a_row, panel, panel_row);
    if (rest_) add<kBlocks, kVectors>(left_, kLine, first * kGroup, right_ + vector * kWord, panel_row);
    end<kBlocks, kVectors>(row, first, second, vector);
  }

  // One group of k.
  template <int kBlocks, int kVectors>
  static RNN_ENGINE_INLINE void add(const BFloat16* a, std::ptrdiff_t a_row, std::ptrdiff_t a_block,
                                    const BFloat16* panel, std::ptrdiff_t panel_row) {
    for_each_of<kBlocks>([&]<int i>() { load<kLeft + i>(a + i * a_block, a_row); });
    for_each_of<kVectors>([&]<int j>() {
      load<kRight + j % 2>(panel + j * kWord, panel_row);
      for_each_of<kBlocks>([&]<int i>() { multiply_add<sum_of<kBlocks>(i, j), kLeft + i, kRight + j % 2>(); });
    });
  }

  bool full(int vector, int vectors) const {
    for (int j = vector; j < vector + vectors; ++j)
      if (lanes_of<V>(t_, j) < kWidth) return false;
    return true;
  }

  template <int kBlocks, int kVectors>
  void begin(std::int64_t row, int first, int second, int vector) {
    if (!t_.init && !t_.stored_init)
      return for_each_of<kBlocks>(
          [&]<int i>() { for_each_of<kVectors>([&]<int j>() { clear<sum_of<kBlocks>(i, j)>(); }); });
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
    const std::ptrdiff_t stride = from_row * static_cast<std::ptrdiff_t>(sizeof(float));
    for_each_of<kBlocks>([&]<int i>() {
      for_each_of<kVectors>(
          [&]<int j>() { load<sum_of<kBlocks>(i, j)>(from + i * first * from_row + j * from_vector, stride); });
    });
  }

  template <int kBlocks, int kVectors>
  void end(std::int64_t row, int first, int second, int vector) {
    const bool direct = t_.c && full(vector, kVectors);
    float* to = direct ? t_.c + row * t_.c_row + vector * t_.vector_stride : sums_;
    const std::ptrdiff_t to_row = direct ? t_.c_row : kSumsRow, to_vector = direct ? t_.vector_stride : kWidth;
    const std::ptrdiff_t stride = to_row * static_cast<std::ptrdiff_t>(sizeof(float));
    for_each_of<kBlocks>([&]<int i>() {
      for_each_of<kVectors>(
          [&]<int j>() { store<sum_of<kBlocks>(i, j)>(to + i * first * to_row + j * to_vector, stride); });
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

  static constexpr int kSumsRow = kPanelVectors * kWidth;

  const GemmTile<BFloat16>& t_;
  const int vectors_;
  const std::int64_t whole_;  // k of whole groups
  const int rest_;
  alignas(kLine) BFloat16 left_[2 * kTileRows * kGroup];
  alignas(kLine) BFloat16 right_[kGroup / 2 * kPanelVectors * kWord];
  alignas(kLine) float sums_[2 * kTileRows * kSumsRow];
};

void gemm(const GemmTile<BFloat16>& t) { TiledProduct(t).run(); }

// Rows that are packed by themselves are a transpose, which is what a tile of the left side is loaded from.
void pack(const PairedRows& t) {
  if (t.block != 1) return pack_pairs<P>(t);
  for (std::int64_t k = 0; k < t.k; k += kWord) {
    const int pairs = static_cast<int>((std::min<std::int64_t>(kWord, t.k - k) + 1) / 2);
    for (std::int64_t column = 0; column < t.columns; column += kWidth) {
      const int valid = static_cast<int>(std::min<std::int64_t>(kWidth, t.columns - column));
      V block[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        const std::int64_t at = k + 2 * i, from = t.first + column;
        const BFloat16* first = at < t.k ? t.rows[at] : nullptr;
        const BFloat16* second = at + 1 < t.k ? t.rows[at + 1] : nullptr;
        block[i] = P::join(first + from, first ? valid : 0, second + from, second ? valid : 0).as_vector();
      }
      transpose(block);
      for (int j = 0; j < valid; ++j) P::from(block[j]).store(t.packed + (column + j) * t.block_stride + k, pairs);
    }
  }
}

double peak(std::int64_t iterations) {
  constexpr double kOperations = 2.0 * kTileRows * kWidth * kGroup;
  configure(TileShapes(kTileRows, kTileRows));
  for_each_of<8>([]<int i>() { clear<i>(); });
  for (std::int64_t n = 0; n < iterations; ++n) for_each_of<16>([]<int i>() { multiply_add<i % 4, kLeft, kRight>(); });
  release();
  return 16 * kOperations * static_cast<double>(iterations);
}

}  // namespace

Backend amx_bf16_backend() {
  Backend backend = avx512_backend();
  backend.isa = "amx_bf16";
  if constexpr (!kTranslatingAlone) {
    Kernels<BFloat16>& table = backend.bf16;
    table.k_group = kGroup;
    table.left_block = 1;
    table.gemm = gemm;
    table.pack_pairs = pack;
    table.peak = peak;
  }
  return backend;
}

}  // namespace rnn_engine::cpu
