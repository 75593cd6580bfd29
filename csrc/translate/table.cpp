#include "translate/table.h"

#include <algorithm>

#include "cpu/workspace.h"

namespace rnn_engine::translate {
namespace {

float as_float(std::int8_t value) { return static_cast<float>(value); }
float as_float(BFloat16 value) { return widen(value); }

}  // namespace

Table::Table(const Matrix& matrix, float factor)
    : rows_(matrix.n), width_(matrix.k), values_(matrix.values, matrix.values + matrix.n * matrix.k) {
  for (float& value : values_) value *= factor;
}

Table::Table(SharedWeights weights, float factor)
    : rows_(weights->n()), width_(weights->k()), rounded_(std::move(weights)), factor_(factor) {}

void Table::look_up(std::int32_t id, float* row) const {
  if (!rounded_) {
    std::copy_n(values_.data() + id * width_, width_, row);
    return;
  }
  // A row lies in pieces of so many values, a panel's rows apart.
  const auto widen_pieces = [&]<std::int64_t kPiece>(const auto* values, std::int64_t panel, float scale) {
    const auto* place = values + id / panel * panel * round_up(width_, kPiece) + id % panel * kPiece;
    for (std::int64_t j = 0; j < width_; j += kPiece, place += kPiece * panel)
      for (std::int64_t i = 0; i < std::min(kPiece, width_ - j); ++i) row[j + i] = as_float(place[i]) * scale;
  };
  if (const Int8Matrix& matrix = rounded_->int8(); matrix.values)
    widen_pieces.template operator()<4>(matrix.values, kInt8Panel, matrix.scales[id] * factor_);
  else
    widen_pieces.template operator()<2>(rounded_->bfloat16().values, kBfloat16Panel, factor_);
}

}  // namespace rnn_engine::translate
