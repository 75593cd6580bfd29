// Compiled as AVX-512 VNNI is, which shares the form of what is multiplied and multiplies few rows: 8-bit products in
// the matrix unit.
#include "cpu/kernels/int8_lanes_avx512_vnni.h"
#include "cpu/kernels/tiles_amx.h"

namespace rnn_engine::cpu {

Int8Kernels avx512_vnni_int8_kernels();

namespace {

using V = Avx512Float;
constexpr int kGroup = kTileBytes;  // k of a tile
static_assert(kInt8Panel == V::kWidth);

// Of fewer rows, tiles are loaded for nothing.
constexpr std::int64_t kLeastRows = 8;

struct MultiplyUnsignedSigned {
  template <int kResult, int kLeft, int kRight>
  static RNN_ENGINE_INLINE void add() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kResult), "i"(kLeft), "i"(kRight));
  }
};

class TiledInt8Product {
 public:
  explicit TiledInt8Product(const Int8Product& p)
      : p_(p), k_(round_up_to_four(p.weights.k)), whole_(k_ / kGroup * kGroup), rest_(k_ - whole_) {}

  // A group of panels stays in the nearest cache while all rows pass, which write whole lines of the result.
  void run() {
    const std::int64_t count = (p_.weights.n + kInt8Panel - 1) / kInt8Panel;
    for (std::int64_t group = 0; group < count; group += kGroupPanels) {
      const std::int64_t panels = count - group < kGroupPanels ? count - group : kGroupPanels;
      if (rest_) fill_right(group, panels);
      for_each_pair_of_blocks(p_.rows, [&](std::int64_t row, int first, int second) {
        if (rest_) fill_left(row, first + second);
        for (std::int64_t panel = 0; panel < panels; panel += 2)
          multiply_panels(row, first, second, group, panel, panel + 1 < panels);
      });
    }
    release_tiles();
  }

 private:
  static constexpr std::int64_t kGroupPanels = 4;
  static constexpr int kSumsRow = 2 * kInt8Panel;

  void multiply_panels(std::int64_t row, int first, int second, std::int64_t group, std::int64_t panel, bool two) {
    if (second)
      two ? multiply<2, 2>(row, first, second, group, panel) : multiply<2, 1>(row, first, second, group, panel);
    else
      two ? multiply<1, 2>(row, first, second, group, panel) : multiply<1, 1>(row, first, second, group, panel);
  }

  // What the last group of k holds, filled up with zeros.
  void fill_right(std::int64_t group, std::int64_t panels) {
    for (std::int64_t j = 0; j < panels; ++j) {
      std::int8_t* to = right_ + j * kGroup * kInt8Panel;
      const std::int8_t* from = p_.weights.values + ((group + j) * k_ + whole_) * kInt8Panel;
      std::memcpy(to, from, static_cast<std::size_t>(rest_ * kInt8Panel));
      std::memset(to + rest_ * kInt8Panel, 0, static_cast<std::size_t>((kGroup - rest_) * kInt8Panel));
    }
  }
  void fill_left(std::int64_t row, int rows) {
    const auto mask = static_cast<__mmask64>((std::uint64_t{1} << rest_) - 1);
    const std::int8_t* from = p_.a + row * k_ + whole_;
    for (int i = 0; i < rows; ++i) _mm512_store_si512(left_ + i * kGroup, _mm512_maskz_loadu_epi8(mask, from + i * k_));
  }

  template <int kBlocks, int kPanels>
  void multiply(std::int64_t row, int first, int second, std::int64_t group, std::int64_t in_group) {
    const std::int64_t column = (group + in_group) * kInt8Panel;
    for_each_of<kBlocks>([&]<int i>() {
      for_each_of<kPanels>(
          [&]<int j>() { load_tile<tile_of<kBlocks>(i, j)>(p_.offsets + column + j * kInt8Panel, 0); });
    });
    const std::int8_t *a = p_.a + row * k_, *panel = p_.weights.values + column * k_;
    for (std::int64_t k = 0; k < whole_; k += kGroup)
      multiply_tiles<MultiplyUnsignedSigned, kBlocks, kPanels>(a + k, k_, first * k_, panel + k * kInt8Panel,
                                                               kTileBytes, kInt8Panel * k_);
    if (rest_)
      multiply_tiles<MultiplyUnsignedSigned, kBlocks, kPanels>(
          left_, kGroup, first * kGroup, right_ + in_group * kGroup * kInt8Panel, kTileBytes, kInt8Panel * kGroup);
    constexpr std::ptrdiff_t kStride = kSumsRow * sizeof(std::int32_t);
    for_each_of<kBlocks>([&]<int i>() {
      for_each_of<kPanels>(
          [&]<int j>() { store_tile<tile_of<kBlocks>(i, j)>(sums_ + i * first * kSumsRow + j * kInt8Panel, kStride); });
    });
    for (int i = 0; i < first + second; ++i) end<kPanels>(row + i, column, sums_ + i * kSumsRow);
  }

  template <int kPanels>
  void end(std::int64_t row, std::int64_t first_column, const std::int32_t* sums) const {
    const V scale(p_.row_scales[row]);
    for (int j = 0; j < kPanels; ++j) {
      const std::int64_t column = first_column + j * kInt8Panel;
      const int lanes = units_at<V>(column, p_.weights.n);
      const V init = p_.init ? load_units<V>(p_.init + row * p_.init_row + column, lanes) : V(0.0f);
      const V sum(_mm512_cvtepi32_ps(_mm512_load_si512(sums + j * kInt8Panel)));
      store_units(fma(sum * scale, load_units<V>(p_.weights.scales + column, lanes), init),
                  p_.c + row * p_.c_row + column, lanes);
    }
  }

  const Int8Product& p_;
  const std::int64_t k_, whole_, rest_;  // k, of whole groups, and beyond them
  alignas(kTileBytes) std::int8_t left_[2 * kTileRows * kGroup];
  alignas(kTileBytes) std::int8_t right_[kGroupPanels * kGroup * kInt8Panel];
  alignas(kTileBytes) std::int32_t sums_[2 * kTileRows * kSumsRow];
};

void int8_product_in_tiles(const Int8Product& p) {
  if (p.rows < kLeastRows)
    avx512_vnni_int8_kernels().product(p);
  else
    TiledInt8Product(p).run();
}

}  // namespace

Int8Kernels amx_int8_kernels() {
  Int8Kernels kernels = avx512_vnni_int8_kernels();
  kernels.isa = "amx_int8";
  kernels.product = int8_product_in_tiles;
  return kernels;
}

}  // namespace rnn_engine::cpu
