// The named tensors that a network is made of.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/error.h"
#include "rnn_translate.h"

namespace rnn_engine::translate {

class Tensors {
 public:
  Tensors(const rnn_translate_tensor* tensors, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      require(tensors[i].name && tensors[i].values, "tensors: expected a name and values for each");
      tensors_[tensors[i].name] = tensors[i];
    }
  }

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }

  // Throws InvalidArgument if it is missing or has another number of values.
  const float* get(const std::string& name, std::int64_t count) const {
    const auto found = tensors_.find(name);
    require(found != tensors_.end(), name + ": missing");
    require(found->second.count == count,
            name + ": expected " + std::to_string(count) + " values, got " + std::to_string(found->second.count));
    return found->second.values;
  }

 private:
  std::map<std::string, rnn_translate_tensor> tensors_;
};

}  // namespace rnn_engine::translate
