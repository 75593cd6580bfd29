// Embeddings: rows of a matrix, looked up by id.
#pragma once

#include <cstdint>
#include <vector>

#include "translate/linear.h"

namespace rnn_engine::translate {

class Table {
 public:
  // Rows of float32, copied, or rounded ones that a product may use too; times `factor` both.
  Table(const Matrix& matrix, float factor);
  Table(SharedWeights weights, float factor);

  std::int64_t rows() const { return rows_; }
  std::int64_t width() const { return width_; }
  void look_up(std::int32_t id, float* row) const;

 private:
  std::int64_t rows_, width_;
  std::vector<float> values_;
  SharedWeights rounded_;
  float factor_ = 1.0f;
};

}  // namespace rnn_engine::translate
