// Matrices that rows are multiplied by, packed once, in one of the precisions that there are.
//
// Those that are rounded are packed here from float32, or come packed (Int8Matrix and Bfloat16Matrix of
// cpu/kernels/kernels.h: one layout for every instruction set) and are used where they lie.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/kernels/kernels.h"
#include "translate/memory.h"
#include "translate/tensors.h"

namespace rnn_engine::translate {

// Weights of 8-bit integers or of bfloat16, that a product and a table may share.
class RoundedWeights {
 public:
  // Rounds and packs a matrix of float32; one that is packed is not copied, and must outlive this. Throws
  // InvalidArgument if it is packed in another precision, or too large for this one.
  RoundedWeights(const Backend& backend, int precision, const Matrix& matrix);
  RoundedWeights(const RoundedWeights&) = delete;

  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  // One of them has values.
  const Int8Matrix& int8() const { return int8_; }
  const Bfloat16Matrix& bfloat16() const { return bfloat16_; }

 private:
  void pack_int8(const Int8Kernels& kernels, const float* values);
  void pack_bfloat16(const float* values);

  std::int64_t n_, k_;
  Growing<std::int8_t> integers_;
  std::vector<float> scales_;
  Growing<BFloat16> halves_;
  Int8Matrix int8_{};
  Bfloat16Matrix bfloat16_{};
};
using SharedWeights = std::shared_ptr<const RoundedWeights>;

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

// `bias` is copied, and may be nullptr; `precision`: RNN_TRANSLATE_FLOAT32, ...
std::unique_ptr<Linear> make_linear(const Backend& backend, int precision, const Matrix& weight, const float* bias);
std::unique_ptr<Linear> make_linear(const Backend& backend, SharedWeights weights, const float* bias);

// Values of a packed [k, n] of float32.
std::int64_t packed_values(const Kernels<float>& kernels, std::int64_t n, std::int64_t k);

}  // namespace rnn_engine::translate
