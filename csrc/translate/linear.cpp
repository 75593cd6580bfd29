#include "translate/linear.h"

#include <algorithm>
#include <vector>

#include "cpu/gemm/gemm.h"
#include "rnn_translate.h"
#include "translate/memory.h"

namespace rnn_engine::translate {
namespace {

class FloatLinear final : public Linear {
 public:
  FloatLinear(const Kernels<float>& kernels, const float* weight, const float* bias, std::int64_t n, std::int64_t k)
      : kernels_(kernels), n_(n), k_(k) {
    pack_weight_transposed(alone(), kernels, weight, n, k, packed_.at_least(packed_values(kernels, n, k)));
    if (bias) bias_.assign(bias, bias + n);
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
  Int8Linear(const Int8Kernels& kernels, const float* weight, const float* bias, std::int64_t n, std::int64_t k)
      : kernels_(kernels), n_(n), k_(round_up_to_four(k)), k_valid_(k), scales_(static_cast<std::size_t>(n)) {
    if (bias) bias_.assign(bias, bias + n);
    const std::int64_t padded = round_up(n, kernels.width), wide = kPanelVectors * kernels.width;
    std::int8_t* packed = packed_.at_least(padded * k_);
    offsets_.assign(static_cast<std::size_t>(padded), 0);
    std::vector<std::int8_t> row(static_cast<std::size_t>(k_));
    for (std::int64_t column = 0; column < n; ++column) {
      scales_[static_cast<std::size_t>(column)] = kernels.quantise_row(weight + column * k, k, row.data());
      const std::int64_t first = column / wide * wide, columns = std::min(wide, padded - first);
      std::int8_t* place = packed + first * k_ + 4 * (column - first);
      std::int32_t sum = 0;
      for (std::int64_t i = 0; i < k_; ++i) {
        place[i / 4 * 4 * columns + i % 4] = row[static_cast<std::size_t>(i)];
        sum += row[static_cast<std::size_t>(i)];
      }
      offsets_[static_cast<std::size_t>(column)] = kernels.offset * sum;
    }
  }

  void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
             const float* init) const override {
    thread_local Growing<std::int8_t> quantised;
    thread_local Buffer scales;
    std::int8_t* a = quantised.at_least(rows * k_);
    float* row_scales = scales.at_least(rows);
    for (std::int64_t row = 0; row < rows; ++row)
      row_scales[row] = kernels_.quantise_row(x + row * x_row, k_valid_, a + row * k_);
    const std::int64_t wide = kPanelVectors * kernels_.width;
    for (std::int64_t first = 0; first < n_; first += wide) {
      Int8Tile tile{};
      tile.a = a;
      tile.a_row = k_;
      tile.panel = packed_.data() + first * k_;
      tile.rows = rows;
      tile.k = k_;
      tile.columns = std::min(wide, n_ - first);
      tile.vectors = static_cast<int>((tile.columns + kernels_.width - 1) / kernels_.width);
      tile.offsets = offsets_.data() + first;
      tile.row_scales = row_scales;
      tile.column_scales = scales_.data() + first;
      tile.init = init ? init + first : bias_.empty() ? nullptr : bias_.data() + first;
      tile.init_row = init ? y_row : 0;
      tile.c = y + first;
      tile.c_row = y_row;
      kernels_.product(tile);
    }
  }

 private:
  const Int8Kernels& kernels_;
  std::int64_t n_, k_, k_valid_;
  Growing<std::int8_t> packed_;
  std::vector<std::int32_t> offsets_;
  std::vector<float> scales_, bias_;
};

}  // namespace

std::int64_t packed_values(const Kernels<float>& kernels, std::int64_t n, std::int64_t k) {
  return round_up(n, kernels.width) * k;
}

std::unique_ptr<Linear> make_linear(const Backend& backend, int precision, const float* weight, const float* bias,
                                    std::int64_t n, std::int64_t k) {
  if (precision == RNN_TRANSLATE_INT8) return std::make_unique<Int8Linear>(backend.int8, weight, bias, n, k);
  return std::make_unique<FloatLinear>(backend.f32, weight, bias, n, k);
}

}  // namespace rnn_engine::translate
