// The kernels of bfloat16, over a type P of pairs of neighbouring k (cpu/kernels/pairs.h); included as
// cpu/kernels/vector_kernels.h is.
#pragma once

#include "base/build.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/pair_products.h"
#include "cpu/kernels/pairs.h"
#include "cpu/kernels/widened_pairs.h"

namespace rnn_engine::cpu {

// A pair of bfloat16 is moved as one value.
template <class P>
void pack_transposed_pairs(const TransposedPanel<BFloat16>& t) {
  using V = typename P::Vector;
  constexpr int kWidth = P::kWidth, kAhead = 256 / sizeof(BFloat16);
  for (std::int64_t k = 0; k < t.k; k += 2 * kWidth) {
    const std::int64_t left = t.k - k;
    const int count = static_cast<int>(left < 2 * kWidth ? left : 2 * kWidth);
    V block[kWidth];
    if (count == 2 * kWidth && t.columns == kWidth) {
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        block[j] = P::load(t.rows + j * t.row_stride + k).as_vector();
        __builtin_prefetch(t.rows + j * t.row_stride + k + kAhead);
      }
    } else {
      for (int j = 0; j < kWidth; ++j)
        block[j] = j < t.columns ? P::load(t.rows + j * t.row_stride + k, count).as_vector() : V(0.0f);
    }
    transpose(block);
    for (int i = 0; 2 * i < count; ++i) P::from(block[i]).store(t.panel + (k + 2 * i) * t.stride);
  }
}

// Some values of a row. A mask leaves those of nullptr empty, which is slow where there is no memory at all.
RNN_ENGINE_INLINE const BFloat16* values_at(const BFloat16* row, std::int64_t first, const PairedRows& t) {
  return row ? row + first : t.packed;
}

template <class P>
void pack_pairs(const PairedRows& t) {
  constexpr std::int64_t kAtOnce = 16;  // rows of k: as many as write whole cache lines of narrow blocks
  constexpr std::int64_t kLine = 64 / sizeof(BFloat16);
  // Rows lie far apart, so that the processor does not see what comes next: of narrow pieces the rows after
  // these, of wide ones the rest of these.
  const bool narrow = t.columns <= 4 * kLine;
  for (std::int64_t k0 = 0; k0 < t.k; k0 += kAtOnce) {
    const std::int64_t k1 = k0 + kAtOnce < t.k ? k0 + kAtOnce : t.k;
    for (std::int64_t k = k0 + 2 * kAtOnce; narrow && k < k1 + 2 * kAtOnce && k < t.k; ++k)
      for (std::int64_t c = 0; t.rows[k] && c < t.columns; c += kLine) __builtin_prefetch(t.rows[k] + t.first + c);
    BFloat16* block = t.packed;
    for (std::int64_t c = 0; c < t.columns; c += t.block, block += t.block_stride) {
      for (std::int64_t k = k0; !narrow && c % kLine < t.block && k < k1; ++k)
        if (t.rows[k]) __builtin_prefetch(t.rows[k] + t.first + c + 4 * kLine);
      const std::int64_t count = t.columns - c < t.block ? t.columns - c : t.block;
      const std::int64_t filled = count < t.block ? (count + t.fill - 1) / t.fill * t.fill : count;
      for (std::int64_t k = k0; k < k1; k += 2) {
        const BFloat16* first = t.rows[k];
        const BFloat16* second = k + 1 < t.k ? t.rows[k + 1] : nullptr;
        for (std::int64_t j = 0; j < filled; j += P::kWidth) {
          const int lanes = static_cast<int>(filled - j < P::kWidth ? filled - j : P::kWidth);
          const int valid = static_cast<int>(count - j < 0 ? 0 : count - j < lanes ? count - j : lanes);
          const std::int64_t at = t.first + c + j;
          P::join(values_at(first, at, t), first ? valid : 0, values_at(second, at, t), second ? valid : 0)
              .store(block + k * filled + 2 * j, lanes);
        }
      }
    }
  }
}

// Between stored values and those that are computed with.
template <class P, class From, class To>
void convert(const Block<From, To>& t) {
  using V = typename P::Vector;
  for (std::int64_t row = 0; row < t.rows; ++row)
    for (std::int64_t part = 0; part < t.parts; ++part) {
      const From* in = t.in + row * t.in_row + part * t.part_stride;
      To* out = t.out + row * t.out_row + part * t.part_stride;
      for (std::int64_t j = 0; j < t.columns; j += V::kWidth) {
        const int lanes = static_cast<int>(t.columns - j < V::kWidth ? t.columns - j : V::kWidth);
        store_units(load_units<V>(in + j, lanes), out + j, lanes);
      }
    }
}

// kMaxRows: as many as the registers hold beside the panel's vectors, of pairs; kFloatRows: of float32.
template <class P, int kMaxRows, int kFloatRows>
Kernels<BFloat16> make_pair_kernels() {
  using V = typename P::Vector;
  constexpr bool kDotProduct = P::kTerms == 1;
  Kernels<BFloat16> table{};
  if constexpr (!kTranslatingAlone) {
    table.width = P::kWidth;
    table.k_group = 2;
    table.left_block = kRowBlock;
    if constexpr (kDotProduct)
      table.gemm = gemm<MultiplyPairs<P>, kMaxRows>;
    else
      table.gemm = gemm_widened<P, kFloatRows, kMaxRows>;
    table.pack_transposed = pack_transposed_pairs<P>;
    table.pack_pairs = pack_pairs<P>;
    set_cells<V, BFloat16>(table);
    table.narrow = convert<P, float, BFloat16>;
    table.widen = convert<P, BFloat16, float>;
    table.dropout = dropout<V, BFloat16>;
    table.add = add<V, BFloat16>;
    table.scale = scale<V, BFloat16>;
    table.scale_and_add = scale_and_add<V, BFloat16>;
    table.epilogue_forward = epilogue_forward<V>;
    table.epilogue_backward = epilogue_backward<V>;
    table.zoneout_forward = zoneout_forward<V, BFloat16>;
    table.peak = kDotProduct ? peak<MultiplyPairs<P>> : peak<Multiply<V>>;
  }
  return table;
}

}  // namespace rnn_engine::cpu
