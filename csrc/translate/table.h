// Embeddings: rows of a matrix, looked up by id.
#pragma once

#include <cstdint>
#include <vector>

#include "translate/linear.h"

namespace rnn_engine::translate {

class Table {
 public:
  Table() = default;
  // Rows of float32, copied, or of 8-bit integers that a product may use too; times `factor` both.
  Table(const Matrix& matrix, float factor);
  Table(SharedInt8 weights, float factor);

  void look_up(std::int32_t id, float* row) const;

 private:
  std::int64_t width_ = 0;
  std::vector<float> values_;
  SharedInt8 packed_;
  float factor_ = 1.0f;
};

}  // namespace rnn_engine::translate
