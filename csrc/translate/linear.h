// Matrices that rows are multiplied by, packed once, in one of the precisions that there are.
#pragma once

#include <cstdint>
#include <memory>

#include "cpu/kernels/kernels.h"

namespace rnn_engine::translate {

// x W^T + b with W [n, k].
class Linear {
 public:
  virtual ~Linear() = default;
  // y = init + x W^T; `init`: nullptr: the bias of all rows; may be y.
  virtual void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
                     const float* init = nullptr) const = 0;
};

// `bias` may be nullptr; `precision`: RNN_TRANSLATE_FLOAT32 or RNN_TRANSLATE_INT8.
std::unique_ptr<Linear> make_linear(const Backend& backend, int precision, const float* weight, const float* bias,
                                    std::int64_t n, std::int64_t k);

// Values of a packed [k, n] of float32.
std::int64_t packed_values(const Kernels<float>& kernels, std::int64_t n, std::int64_t k);

}  // namespace rnn_engine::translate
