// bfloat16: conversions, packing and products of every instruction set against float64 of the rounded inputs, and, but
// for those with an order of their own, against the chains of float32 that they are to the bit.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cpu/gemm/gemm.h"
#include "support.h"

using namespace rnn_engine;

namespace {

std::vector<BFloat16> random_values(std::int64_t count) {
  std::vector<BFloat16> values(static_cast<std::size_t>(count));
  for (BFloat16& value : values) value = narrow<BFloat16>(static_cast<float>(uniform()));
  return values;
}

void test_conversions() {
  const auto bits = [](float x) { return narrow<BFloat16>(x).bits; };
  CHECK(bits(1.0f) == 0x3f80 && bits(-2.0f) == 0xc000, "exact values");
  CHECK(bits(1.00390625f) == 0x3f80, "a tie goes to the even neighbour below");
  CHECK(bits(1.01171875f) == 0x3f82, "a tie goes to the even neighbour above");
  CHECK(bits(1.004f) == 0x3f81, "beyond a tie");
  CHECK(bits(3.4e38f) == 0x7f80, "beyond the largest is infinite");
  CHECK(std::isnan(widen(narrow<BFloat16>(NAN))), "NaN stays NaN");
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const BFloat16 value{static_cast<std::uint16_t>(i)};
    if (!std::isnan(widen(value))) CHECK(narrow<BFloat16>(widen(value)).bits == i, "there and back");
  }
}

// c = init + a b^T with b packed by its rows, or a^T b with both packed by rows of k; against float64.
struct Sizes {
  std::int64_t m, n, k;
};

// `from`, `to`: whether the product begins with, and ends in, stored values.
void test_product(const Kernels<BFloat16>& kernels, Sizes s, bool outer, bool from, bool to, bool chains) {
  const std::int64_t width = kernels.width, depth = (s.k + 1) / 2 * 2, padded = (s.n + width - 1) / width * width;
  const std::vector<BFloat16> a = random_values(s.m * s.k), b = random_values(s.n * s.k);
  std::vector<BFloat16> panel(static_cast<std::size_t>(depth * padded), narrow<BFloat16>(NAN));
  std::vector<BFloat16> left(static_cast<std::size_t>((s.m + kRowBlock - 1) / kRowBlock * kRowBlock * depth),
                             narrow<BFloat16>(NAN));
  std::vector<BFloat16> init = random_values(s.m * s.n), stored_c(init);
  std::vector<float> wide(init.size());
  for (std::size_t i = 0; i < init.size(); ++i) wide[i] = widen(init[i]);
  std::vector<float> c(wide);
  GemmTile<BFloat16> tile{};
  tile.panel = panel.data();
  tile.k = s.k;
  tile.vectors = static_cast<int>(padded / width);
  tile.init_row = tile.c_row = s.n;
  tile.vector_stride = width;
  tile.columns = s.n;
  if (outer) {  // a is [k, m], b is [k, n]
    std::vector<const BFloat16*> rows_a, rows_b;
    for (std::int64_t k = 0; k < s.k; ++k) {
      rows_a.push_back(a.data() + k * s.m);
      rows_b.push_back(b.data() + k * s.n);
    }
    const std::int64_t block = kernels.left_block;
    kernels.pack_pairs({rows_a.data(), s.k, 0, s.m, left.data(), block, block * depth, block});
    kernels.pack_pairs({rows_b.data(), s.k, 0, s.n, panel.data(), padded, 0, width});
    tile.k = depth;
    set_packed_rows(kernels, depth, tile);
  } else {  // a is [m, k], b is [n, k]
    for (std::int64_t j = 0; j < s.n; j += width)
      kernels.pack_transposed({b.data() + j * s.k, s.k, std::min(width, s.n - j), s.k, panel.data() + 2 * j, padded});
    tile.a_row = s.k;
    tile.a_col = 1;
  }
  tile.a = outer ? left.data() : a.data();
  tile.rows = s.m;
  tile.stored_init = from ? init.data() : nullptr;
  tile.init = from ? nullptr : wide.data();
  tile.stored_c = to ? stored_c.data() : nullptr;
  tile.c = to ? nullptr : c.data();
  kernels.gemm(tile);
  for (std::int64_t i = 0; i < s.m; ++i)
    for (std::int64_t j = 0; j < s.n; ++j) {
      float chain = wide[static_cast<std::size_t>(i * s.n + j)];
      double exact = chain, size = std::abs(exact);
      for (std::int64_t k = 0; k < s.k; ++k) {
        const auto x = static_cast<std::size_t>(outer ? k * s.m + i : i * s.k + k);
        const auto y = static_cast<std::size_t>(outer ? k * s.n + j : j * s.k + k);
        const double term = static_cast<double>(widen(a[x])) * widen(b[y]);
        chain = std::fma(widen(a[x]), widen(b[y]), chain);
        exact += term;
        size += std::abs(term);
      }
      const auto at = static_cast<std::size_t>(i * s.n + j);
      const float found = to ? widen(stored_c[at]) : c[at];
      const double allowed = size * (to ? 0x1p-8 : 0x1p-22);
      CHECK(std::abs(found - exact) <= allowed, "a product against float64");
      if (chains) CHECK(found == (to ? widen(narrow<BFloat16>(chain)) : chain), "a product against its chain");
    }
}

}  // namespace

int main() {
  random_state = 7;
  test_conversions();
  for (const char* isa : {"generic", "neon", "avx2", "avx512", "avx512_bf16", "amx_bf16"}) {
    if (!has_backend(isa)) continue;
    const Kernels<BFloat16> kernels = select_backend(isa).bf16;
    const bool chains = std::strcmp(isa, "avx512_bf16") != 0 && std::strcmp(isa, "amx_bf16") != 0;
    // Odd, and one more than what is widened at once.
    for (const Sizes s : {Sizes{1, 1, 1},
                          {1, 3, 2},
                          {7, 5, 3},
                          {6, 16, 16},
                          {13, 17, 31},
                          {5, 31, 64},
                          {8, 4, 67},
                          {13, 64, 97},
                          {97, 40, 195}}) {
      const std::int64_t most = kPanelVectors * kernels.width;
      const Sizes fits{s.m, std::min(s.n, most), s.k};
      for (int flags = 0; flags < 8; ++flags) test_product(kernels, fits, flags & 1, flags & 2, flags & 4, chains);
    }
  }
  std::printf("%d failures\n", failures);
  return failures != 0;
}
