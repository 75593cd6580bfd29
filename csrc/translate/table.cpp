#include "translate/table.h"

#include <algorithm>

namespace rnn_engine::translate {

Table::Table(const Matrix& matrix, float factor)
    : rows_(matrix.n), width_(matrix.k), values_(matrix.values, matrix.values + matrix.n * matrix.k) {
  for (float& value : values_) value *= factor;
}

Table::Table(SharedInt8 weights, float factor)
    : rows_(weights->matrix().n), width_(weights->matrix().k), packed_(std::move(weights)), factor_(factor) {}

void Table::look_up(std::int32_t id, float* row) const {
  if (!packed_) {
    std::copy_n(values_.data() + id * width_, width_, row);
    return;
  }
  // A row lies in pieces of four, a panel's rows apart.
  const Int8Matrix& matrix = packed_->matrix();
  const float scale = matrix.scales[id] * factor_;
  const std::int8_t* place =
      matrix.values + id / kInt8Panel * kInt8Panel * round_up_to_four(width_) + id % kInt8Panel * 4;
  for (std::int64_t j = 0; j < width_; j += 4, place += 4 * kInt8Panel)
    for (std::int64_t i = 0; i < std::min<std::int64_t>(4, width_ - j); ++i)
      row[j + i] = static_cast<float>(place[i]) * scale;
}

}  // namespace rnn_engine::translate
