#include "translate/linear.h"

#include <numeric>

#include "cpu/gemm/gemm.h"
#include "rnn_translate.h"

namespace rnn_engine::translate {
namespace {

class FloatLinear final : public Linear {
 public:
  FloatLinear(const Kernels<float>& kernels, const Matrix& weight, const float* bias)
      : kernels_(kernels), n_(weight.n), k_(weight.k) {
    require(weight.values, "weights of 8-bit integers serve no other precision");
    pack_weight_transposed(alone(), kernels, weight.values, n_, k_, packed_.at_least(packed_values(kernels, n_, k_)));
    if (bias) bias_.assign(bias, bias + n_);
  }

  void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
             const float* init) const override {
    const float* begin = init ? init : bias_.empty() ? nullptr : bias_.data();
    multiply(alone(), kernels_,
             Product<float>{rows, n_, k_, x, x_row, packed_.data(), begin, init ? y_row : 0, y, y_row});
  }

 private:
  const Kernels<float>& kernels_;
  std::int64_t n_, k_;
  Buffer packed_;
  std::vector<float> bias_;
};

// Weights are rounded by row of W, that is by column of the product; what they are multiplied by, by row, when it
// comes.
class Int8Linear final : public Linear {
 public:
  Int8Linear(const Int8Kernels& kernels, SharedInt8 weights, const float* bias)
      : kernels_(kernels), weights_(std::move(weights)) {
    const auto& [n, k, values, scales] = weights_->matrix();
    if (bias) bias_.assign(bias, bias + n);
    const std::int64_t padded = round_up(n, kInt8Panel), wide = round_up_to_four(k);
    offsets_.resize(static_cast<std::size_t>(padded));
    for (std::int64_t row = 0; kernels.offset && row < padded; ++row) {
      const std::int8_t* place = values + row / kInt8Panel * kInt8Panel * wide + row % kInt8Panel * 4;
      std::int32_t sum = 0;
      for (std::int64_t i = 0; i < wide; i += 4, place += 4 * kInt8Panel) sum += std::accumulate(place, place + 4, 0);
      offsets_[static_cast<std::size_t>(row)] = kernels.offset * sum;
    }
  }

  void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
             const float* init) const override {
    thread_local Growing<std::int8_t> quantised;
    thread_local Buffer scales;
    Int8Product product{};
    product.weights = weights_->matrix();
    product.rows = rows;
    std::int8_t* a = quantised.at_least(rows * round_up_to_four(product.weights.k));
    float* row_scales = scales.at_least(rows);
    kernels_.quantise_rows(rows, x, x_row, product.weights.k, a, row_scales);
    product.a = a;
    product.row_scales = row_scales;
    product.offsets = offsets_.data();
    product.init = init ? init : bias_.empty() ? nullptr : bias_.data();
    product.init_row = init ? y_row : 0;
    product.c = y;
    product.c_row = y_row;
    kernels_.product(product);
  }

 private:
  const Int8Kernels& kernels_;
  SharedInt8 weights_;
  std::vector<std::int32_t> offsets_;
  std::vector<float> bias_;
};

}  // namespace

Int8Weights::Int8Weights(const Int8Kernels& kernels, const Matrix& matrix) : matrix_(matrix.packed) {
  if (!matrix.values) return;
  const std::int64_t n = matrix.n, k = matrix.k, wide = round_up_to_four(k);
  std::int8_t* packed = values_.at_least(int8_bytes(n, k));
  scales_.resize(static_cast<std::size_t>(n));
  std::vector<std::int8_t> row(static_cast<std::size_t>(wide));
  for (std::int64_t i = 0; i < n; ++i) {
    scales_[static_cast<std::size_t>(i)] = kernels.quantise_row(matrix.values + i * k, k, row.data());
    std::int8_t* place = packed + i / kInt8Panel * kInt8Panel * wide + i % kInt8Panel * 4;
    for (std::int64_t j = 0; j < wide; j += 4, place += 4 * kInt8Panel) std::copy_n(row.data() + j, 4, place);
  }
  matrix_ = {n, k, packed, scales_.data()};
}

std::int64_t packed_values(const Kernels<float>& kernels, std::int64_t n, std::int64_t k) {
  return round_up(n, kernels.width) * k;
}

std::unique_ptr<Linear> make_linear(const Backend& backend, SharedInt8 weight, const float* bias) {
  return std::make_unique<Int8Linear>(backend.int8, std::move(weight), bias);
}

std::unique_ptr<Linear> make_linear(const Backend& backend, int precision, const Matrix& weight, const float* bias) {
  if (precision == RNN_TRANSLATE_INT8)
    return make_linear(backend, std::make_shared<Int8Weights>(backend.int8, weight), bias);
  return std::make_unique<FloatLinear>(backend.f32, weight, bias);
}

}  // namespace rnn_engine::translate
