// The named tensors that a network is made of.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cpu/kernels/kernels.h"
#include "rnn_translate.h"

namespace rnn_engine::translate {

// A matrix [n, k] of float32, row by row, or, where `values` is nullptr, packed, in the precision that has values.
struct Matrix {
  std::int64_t n, k;
  const float* values;
  Int8Matrix int8{};
  Bfloat16Matrix bfloat16{};
};

class Tensors {
 public:
  Tensors(const rnn_translate_tensor* tensors, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      require(tensors[i].name && tensors[i].values, "tensors: expected a name and values for each");
      tensors_[tensors[i].name] = tensors[i];
    }
  }

  // A matrix that is packed already. What it points to is not copied, and must outlive the network.
  void add(const std::string& name, const Matrix& packed) { packed_[name] = packed; }

  bool has(const std::string& name) const { return tensors_.count(name) != 0 || packed_.count(name) != 0; }

  // Throws InvalidArgument if it is missing or has another number of values.
  const float* get(const std::string& name, std::int64_t count) const { return get(name, 1, count); }
  const float* get(const std::string& name, std::int64_t n, std::int64_t k) const {
    const float* values = find(name, n * k);
    used_[name] = {n, k, values};
    return values;
  }

  // Throws InvalidArgument if it is missing or has another shape.
  Matrix matrix(const std::string& name, std::int64_t n, std::int64_t k) const {
    const auto found = packed_.find(name);
    if (found == packed_.end()) return {n, k, get(name, n, k)};
    const Matrix& packed = found->second;
    require(packed.n == n && packed.k == k, name + ": expected [" + std::to_string(n) + ", " + std::to_string(k) +
                                                "], got [" + std::to_string(packed.n) + ", " +
                                                std::to_string(packed.k) + "]");
    return packed;
  }

  // The first k columns of a matrix [n, k + more], and the rest, which products read apart: in files each is a matrix
  // of its own, the rest as NAME.fed.
  std::pair<Matrix, Matrix> split(const std::string& name, std::int64_t n, std::int64_t k, std::int64_t more) const {
    const std::string rest = name + ".fed";
    if (has(rest)) return {matrix(name, n, k), matrix(rest, n, more)};
    const float* row = find(name, n * (k + more));
    std::vector<float> first, second;
    for (std::int64_t i = 0; i < n; ++i, row += k + more) {
      first.insert(first.end(), row, row + k);
      second.insert(second.end(), row + k, row + k + more);
    }
    const Matrix left{n, k, copies_.emplace_back(std::move(first)).data()};
    const Matrix right{n, more, copies_.emplace_back(std::move(second)).data()};
    used_[name] = left;
    used_[rest] = right;
    return {left, right};
  }

  // All of float32 that were asked for, in the order of their names; vectors are matrices of one row.
  const std::map<std::string, Matrix>& used() const { return used_; }

 private:
  const float* find(const std::string& name, std::int64_t count) const {
    const auto found = tensors_.find(name);
    require(found != tensors_.end(), name + ": missing");
    require(found->second.count == count,
            name + ": expected " + std::to_string(count) + " values, got " + std::to_string(found->second.count));
    return found->second.values;
  }

  std::map<std::string, rnn_translate_tensor> tensors_;
  std::map<std::string, Matrix> packed_;
  mutable std::map<std::string, Matrix> used_;
  mutable std::deque<std::vector<float>> copies_;  // that lie nowhere else
};

}  // namespace rnn_engine::translate
