// A stack of layers with its weights, for one thread at a time, any number of them at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cpu/kernels/kernels.h"
#include "translate/table.h"
#include "translate/tensors.h"

namespace rnn_engine::translate {

// A stack's shape, and what its tensors' names begin with.
struct StackShape {
  int cell;
  std::int64_t input_size, hidden_size, layers;
  int directions;
  std::string prefix;
  float zoneout;         // how much of h and of c stays at each step
  std::int64_t fed = 0;  // values that the first layer reads beside its input

  std::string ending(std::int64_t layer, int direction) const {
    return "_l" + std::to_string(layer) + (direction ? "_reverse" : "");
  }
  std::int64_t input_of(std::int64_t layer) const { return layer ? directions * hidden_size : input_size; }
};

// What a stack reads: vectors [N, I], or, if it was made with a table, words [N] of it.
struct Input {
  const float* vectors;
  const std::int32_t* words;
  const float* fed = nullptr;  // [N, F] beside it, in steps
};

class Recurrence {
 public:
  virtual ~Recurrence() = default;
  // Sequences as in rnn_engine.h, from zero states: x [N] to y [N, D*H].
  virtual void run(const std::vector<std::int64_t>& batch_sizes, const Input& x, float* y) const = 0;
  // One step of a stack of one layer: x [rows]; h and c [rows, H] before it become those after it, and h the output.
  virtual void step(std::int64_t rows, const Input& x, float* h, float* c) const = 0;
};

// Products in one of the precisions of rnn_translate.h; cells and states in float32. In float32 it is what the engine's
// own layers compute, to the bit. `table`: of the words that it reads, if it does.
std::unique_ptr<Recurrence> make_recurrence(const Backend& backend, int precision, const StackShape& shape,
                                            const Tensors& tensors, const std::shared_ptr<const Table>& table);

}  // namespace rnn_engine::translate
