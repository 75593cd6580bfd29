// Products of many small matrices in one kernel: one for each head of each sentence, which is as long as it is.
#pragma once

#include <cstdint>

#include "cuda/kernels/kernels.h"

namespace rnn_engine::cuda {

// Target steps [first_step, first_step + rows) of sentences [first, first + count) of a batch.
struct Slice {
  std::int64_t first, count, first_step, rows;
  std::int64_t batch, steps, source_steps, heads;       // of all of it
  const std::int64_t *source_lengths, *target_lengths;  // [batch]; nullptr: all of source_steps, of steps
};

// A head of a sentence: `slot` counts the slice's sentences, b all of them.
struct Item {
  std::int64_t slot, head, b;
};

// Where an item's matrix begins.
struct ItemPlace {
  std::int64_t slot, head, b;  // values between one and the next
  RNN_ENGINE_DEVICE std::int64_t of(const Item& item) const { return slot * item.slot + head * item.head + b * item.b; }
};

// How large a matrix is: as the product says, as the sentence's source, or as its target steps in the slice.
enum class Extent { kWhole, kSource, kTarget };

template <class T>
struct ItemProducts {
  Product<T> product;  // of the first item and the largest; neither slices nor biases
  Slice slice;
  Extent m, n, k;
  ItemPlace a, b, c, stored_c, init;
};

template <class T>
void multiply_items(Stream stream, const ItemProducts<T>& products, const Multipliers& with);

}  // namespace rnn_engine::cuda
