// Matrices that rows are multiplied by, packed once, in one of the precisions that there are.
//
// Those of 8-bit integers are packed here from float32, or come packed (Int8Matrix of cpu/kernels/kernels.h: one layout
// for every instruction set) and are used where they lie: make_linear(backend, precision, {n, k, nullptr, packed},
// bias).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/kernels/kernels.h"
#include "translate/memory.h"
#include "translate/tensors.h"

namespace rnn_engine::translate {

// Weights of 8-bit integers, that a product and a table may share.
class Int8Weights {
 public:
  // Packs a matrix of float32; one that is packed is not copied, and must outlive this.
  Int8Weights(const Int8Kernels& kernels, const Matrix& matrix);
  Int8Weights(const Int8Weights&) = delete;

  const Int8Matrix& matrix() const { return matrix_; }

 private:
  Growing<std::int8_t> values_;
  std::vector<float> scales_;
  Int8Matrix matrix_;
};
using SharedInt8 = std::shared_ptr<const Int8Weights>;

// x W^T + b with W [n, k].
class Linear {
 public:
  virtual ~Linear() = default;
  // y = init + x W^T; `init`: nullptr: the bias of all rows; may be y.
  virtual void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
                     const float* init = nullptr) const = 0;
  // The same product for some rows of W alone, to the bit. `into` is empty, or was made by this function of this
  // product, and its memory is used again.
  virtual void pick(const std::vector<std::int32_t>& rows, std::unique_ptr<Linear>& into) const = 0;
};

// `bias` is copied, and may be nullptr; `precision`: RNN_TRANSLATE_FLOAT32 or RNN_TRANSLATE_INT8.
std::unique_ptr<Linear> make_linear(const Backend& backend, int precision, const Matrix& weight, const float* bias);
std::unique_ptr<Linear> make_linear(const Backend& backend, SharedInt8 weight, const float* bias);

// Values of a packed [k, n] of float32.
std::int64_t packed_values(const Kernels<float>& kernels, std::int64_t n, std::int64_t k);

}  // namespace rnn_engine::translate
