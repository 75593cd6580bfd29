#include "translate/recurrence.h"

#include <iterator>
#include <stdexcept>

namespace rnn_engine::translate {
namespace {

// Names of vector_params in the order of rnn_engine.h, by cell.
const std::vector<std::string>& vector_names(int cell) {
  static const std::vector<std::string> names[] = {
      {},
      {"alpha", "beta1", "beta2", "bias"},
      {"gamma_ih", "gamma_hh", "gamma_c", "beta_c"},
      {"gamma_ih", "gamma_hh", "alpha", "beta1", "beta2", "bias", "gamma_c", "beta_c"},
  };
  require(cell >= 0 && cell < static_cast<int>(std::size(names)),
          "cell: expected one with two states, 0 to 3, got " + std::to_string(cell));
  return names[cell];
}

}  // namespace

void check(int code) {
  if (code == RNN_ENGINE_OK) return;
  if (code == RNN_ENGINE_INVALID) throw InvalidArgument(rnn_engine_last_error());
  throw std::runtime_error(rnn_engine_last_error());
}

StackWeights::StackWeights(const StackShape& shape, const Tensors& tensors, bool packed) {
  const std::vector<std::string>& vectors = vector_names(shape.cell);
  const std::int64_t H = shape.hidden_size, Z = 4 * H;
  const auto take = [&](const std::string& name, std::int64_t n, std::int64_t k) -> float* {
    const float* from = tensors.get(shape.prefix + name, n, k);
    return values.emplace_back(from, from + n * k).data();
  };
  for (std::int64_t layer = 0; layer < shape.layers; ++layer)
    for (int direction = 0; direction < shape.directions; ++direction) {
      const std::string ending = shape.ending(layer, direction);
      rnn_engine_weights& set = sets.emplace_back();
      if (!packed) {
        set.weight_ih = take("weight_ih" + ending, Z, shape.input_of(layer));
        set.weight_hh = take("weight_hh" + ending, Z, H);
      }
      set.bias_ih = take("bias_ih" + ending, 1, Z);
      set.bias_hh = take("bias_hh" + ending, 1, Z);
      for (std::size_t v = 0; v < vectors.size(); ++v)
        set.vector_params[v] =
            take(vectors[v] + ending, 1, H * rnn_engine_vector_width(shape.cell, static_cast<int>(v)));
    }
}

}  // namespace rnn_engine::translate
