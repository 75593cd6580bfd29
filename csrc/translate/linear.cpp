#include "translate/linear.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "cpu/gemm/gemm.h"
#include "rnn_translate.h"
#include "translate/sharing.h"

namespace rnn_engine::translate {
namespace {

void pick_from(const std::vector<float>& all, const std::vector<std::int32_t>& places, std::vector<float>& picked) {
  picked.clear();
  if (all.empty()) return;
  for (const std::int32_t place : places) picked.push_back(all[static_cast<std::size_t>(place)]);
}

Int8Product columns_of(Int8Product product, std::int64_t begin, std::int64_t end) {
  Int8Matrix& weights = product.weights;
  weights.n = end - begin;
  weights.values += begin * round_up_to_four(weights.k);
  weights.scales += begin;
  product.offsets += begin;
  if (product.init) product.init += begin;
  product.c += begin;
  return product;
}

// Rows of a matrix in panels of 16, whose pieces of four bytes lie a panel's rows apart: `pieces` of each row. What
// lies beyond the last row is never read, and any row will do.
void pick_panels(const std::int8_t* all, std::int64_t pieces, const std::vector<std::int32_t>& rows, std::int8_t* to) {
  constexpr std::int64_t kPanel = 16, kPiece = 4;
  static_assert(kPanel == kInt8Panel && kPanel == kBfloat16Panel);
  const auto n = static_cast<std::int64_t>(rows.size());
  for (std::int64_t first = 0; first < n; first += kPanel) {
    const std::int8_t* from[kPanel];
    for (std::int64_t i = 0; i < kPanel; ++i) {
      const std::int64_t row = rows[static_cast<std::size_t>(std::min(first + i, n - 1))];
      from[i] = all + (row / kPanel * kPanel * pieces + row % kPanel) * kPiece;
    }
    for (std::int64_t piece = 0; piece < pieces; ++piece)
      for (std::int64_t i = 0; i < kPanel; ++i, to += kPiece)
        std::memcpy(to, from[i] + piece * kPanel * kPiece, kPiece);
  }
}

class FloatLinear final : public Linear {
 public:
  FloatLinear(const Kernels<float>& kernels, const Matrix& weight, const float* bias)
      : kernels_(kernels), n_(weight.n), k_(weight.k) {
    require(weight.values, "weights that are rounded serve no other precision");
    pack_weight_transposed(alone(), kernels, weight.values, n_, k_, packed_.at_least(packed_values(kernels, n_, k_)));
    if (bias) bias_.assign(bias, bias + n_);
  }
  FloatLinear(const Kernels<float>& kernels, std::int64_t k) : kernels_(kernels), n_(0), k_(k) {}  // for `pick`

  void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
             const float* init) const override {
    const float* begin = init ? init : bias_.empty() ? nullptr : bias_.data();
    const Product<float> product{rows, n_, k_, x, x_row, packed_.data(), begin, init ? y_row : 0, y, y_row};
    share_product(n_ * k_ * static_cast<std::int64_t>(sizeof(float)),
                  [&](const Team& team) { multiply(team, kernels_, product); });
  }

  void pick(const std::vector<std::int32_t>& rows, std::unique_ptr<Linear>& into) const override {
    if (!into) into = std::make_unique<FloatLinear>(kernels_, k_);
    auto& to = static_cast<FloatLinear&>(*into);
    to.n_ = static_cast<std::int64_t>(rows.size());
    float* packed = to.packed_.at_least(packed_values(kernels_, to.n_, k_));
    for (std::int64_t i = 0; i < to.n_; ++i) {
      const Column from = column(rows[static_cast<std::size_t>(i)]), place = to.column(i);
      for (std::int64_t j = 0; j < k_; ++j)
        packed[place.first + j * place.step] = packed_.data()[from.first + j * from.step];
    }
    pick_from(bias_, rows, to.bias_);
  }

 private:
  // Where the values of a row of W lie.
  struct Column {
    std::int64_t first, step;
  };
  Column column(std::int64_t row) const {
    const std::int64_t wide = kPanelVectors * kernels_.width, panel = row / wide * wide;
    return {panel * k_ + row - panel, std::min(wide, round_up(n_ - panel, kernels_.width))};
  }

  const Kernels<float>& kernels_;
  std::int64_t n_, k_;
  Buffer packed_;
  std::vector<float> bias_;
};

// Weights are rounded by row of W, that is by column of the product; what they are multiplied by, by row, when it
// comes.
class Int8Linear final : public Linear {
 public:
  Int8Linear(const Int8Kernels& kernels, SharedWeights weights, const float* bias)
      : kernels_(kernels), weights_(std::move(weights)), matrix_(weights_->int8()) {
    const auto& [n, k, values, scales] = matrix_;
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
  explicit Int8Linear(const Int8Kernels& kernels) : kernels_(kernels) {}  // for `pick`

  void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
             const float* init) const override {
    thread_local Growing<std::int8_t> quantised;
    thread_local Buffer scales;
    Int8Product product{};
    product.weights = matrix_;
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
    share_product(matrix_.n * matrix_.k, [&](const Team& team) {
      const Team::Range columns = team.share(matrix_.n, 4 * kInt8Panel);
      kernels_.product(columns_of(product, columns.begin, columns.end));
    });
  }

  void pick(const std::vector<std::int32_t>& rows, std::unique_ptr<Linear>& into) const override {
    if (!into) into = std::make_unique<Int8Linear>(kernels_);
    auto& to = static_cast<Int8Linear&>(*into);
    const auto n = static_cast<std::int64_t>(rows.size()), wide = round_up_to_four(matrix_.k);
    pick_panels(matrix_.values, wide / 4, rows, to.picked_.at_least(int8_bytes(n, matrix_.k)));
    to.offsets_.assign(static_cast<std::size_t>(round_up(n, kInt8Panel)), 0);
    for (std::int64_t i = 0; i < n; ++i)
      to.offsets_[static_cast<std::size_t>(i)] = offsets_[static_cast<std::size_t>(rows[static_cast<std::size_t>(i)])];
    to.scales_.clear();
    for (const std::int32_t row : rows) to.scales_.push_back(matrix_.scales[row]);
    to.matrix_ = {n, matrix_.k, to.picked_.data(), to.scales_.data()};
    pick_from(bias_, rows, to.bias_);
  }

 private:
  const Int8Kernels& kernels_;
  SharedWeights weights_;        // where the matrix lies, or,
  Growing<std::int8_t> picked_;  // of one that was picked, here
  std::vector<float> scales_;
  Int8Matrix matrix_{};
  std::vector<std::int32_t> offsets_;
  std::vector<float> bias_;
};

// Weights are rounded, what they are multiplied by is not.
class Bfloat16Linear final : public Linear {
 public:
  Bfloat16Linear(const Kernels<float>& kernels, SharedWeights weights, const float* bias)
      : kernels_(kernels), weights_(std::move(weights)), matrix_(weights_->bfloat16()) {
    if (bias) bias_.assign(bias, bias + matrix_.n);
  }
  explicit Bfloat16Linear(const Kernels<float>& kernels) : kernels_(kernels) {}  // for `pick`

  void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
             const float* init) const override {
    const float* begin = init ? init : bias_.empty() ? nullptr : bias_.data();
    share_product(matrix_.n * matrix_.k * static_cast<std::int64_t>(sizeof(BFloat16)), [&](const Team& team) {
      const auto [first, last] = team.share(matrix_.n, 4 * kBfloat16Panel);
      const Bfloat16Matrix columns{last - first, matrix_.k, matrix_.values + first * round_up_to_two(matrix_.k)};
      kernels_.widened({columns, rows, x, x_row, begin ? begin + first : nullptr, init ? y_row : 0, y + first, y_row});
    });
  }

  void pick(const std::vector<std::int32_t>& rows, std::unique_ptr<Linear>& into) const override {
    if (!into) into = std::make_unique<Bfloat16Linear>(kernels_);
    auto& to = static_cast<Bfloat16Linear&>(*into);
    const auto n = static_cast<std::int64_t>(rows.size());
    BFloat16* picked = to.picked_.at_least(bfloat16_values(n, matrix_.k));
    pick_panels(reinterpret_cast<const std::int8_t*>(matrix_.values), round_up_to_two(matrix_.k) / 2, rows,
                reinterpret_cast<std::int8_t*>(picked));
    to.matrix_ = {n, matrix_.k, picked};
    pick_from(bias_, rows, to.bias_);
  }

 private:
  const Kernels<float>& kernels_;
  SharedWeights weights_;     // where the matrix lies, or,
  Growing<BFloat16> picked_;  // of one that was picked, here
  Bfloat16Matrix matrix_{};
  std::vector<float> bias_;
};

}  // namespace

std::int64_t packed_values(const Kernels<float>& kernels, std::int64_t n, std::int64_t k) {
  return round_up(n, kernels.width) * k;
}

std::unique_ptr<Linear> make_linear(const Backend& backend, SharedWeights weights, const float* bias) {
  if (weights->int8().values) return std::make_unique<Int8Linear>(backend.int8, std::move(weights), bias);
  return std::make_unique<Bfloat16Linear>(backend.f32, std::move(weights), bias);
}

std::unique_ptr<Linear> make_linear(const Backend& backend, int precision, const Matrix& weight, const float* bias) {
  if (precision == RNN_TRANSLATE_FLOAT32) return std::make_unique<FloatLinear>(backend.f32, weight, bias);
  return make_linear(backend, std::make_shared<RoundedWeights>(backend, precision, weight), bias);
}

}  // namespace rnn_engine::translate
