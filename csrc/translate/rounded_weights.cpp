#include <algorithm>

#include "base/finite.h"
#include "rnn_translate.h"
#include "translate/linear.h"

namespace rnn_engine::translate {

RoundedWeights::RoundedWeights(const Backend& backend, int precision, const Matrix& matrix)
    : n_(matrix.n), k_(matrix.k), int8_(matrix.int8), bfloat16_(matrix.bfloat16) {
  const bool integers = precision == RNN_TRANSLATE_INT8;
  require(matrix.values || (integers ? int8_.values != nullptr : bfloat16_.values != nullptr),
          "weights that are rounded serve no other precision");
  if (!matrix.values) return;
  if (integers)
    pack_int8(backend.int8, matrix.values);
  else
    pack_bfloat16(matrix.values);
}

void RoundedWeights::pack_int8(const Int8Kernels& kernels, const float* values) {
  const std::int64_t wide = round_up_to_four(k_);
  std::int8_t* packed = integers_.at_least(int8_bytes(n_, k_));
  scales_.resize(static_cast<std::size_t>(n_));
  std::vector<std::int8_t> row(static_cast<std::size_t>(wide));
  for (std::int64_t i = 0; i < n_; ++i) {
    scales_[static_cast<std::size_t>(i)] = kernels.quantise_row(values + i * k_, k_, row.data());
    std::int8_t* place = packed + i / kInt8Panel * kInt8Panel * wide + i % kInt8Panel * 4;
    for (std::int64_t j = 0; j < wide; j += 4, place += 4 * kInt8Panel) std::copy_n(row.data() + j, 4, place);
  }
  int8_ = {n_, k_, packed, scales_.data()};
}

void RoundedWeights::pack_bfloat16(const float* values) {
  const std::int64_t wide = round_up_to_two(k_);
  BFloat16* packed = halves_.at_least(bfloat16_values(n_, k_));
  for (std::int64_t i = 0; i < n_; ++i) {
    BFloat16* place = packed + i / kBfloat16Panel * kBfloat16Panel * wide + i % kBfloat16Panel * 2;
    for (std::int64_t j = 0; j < k_; ++j)
      place[j / 2 * 2 * kBfloat16Panel + j % 2] = narrow<BFloat16>(values[i * k_ + j]);
  }
  bfloat16_ = {n_, k_, packed};
}

}  // namespace rnn_engine::translate
