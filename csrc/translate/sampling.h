// Drawing tokens instead of searching the best.
#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "cpu/kernels/kernels.h"
#include "rnn_translate.h"
#include "translate/memory.h"

namespace rnn_engine::translate {

// What is drawn for a sentence depends on the seed and on its ids, not on where it stands or what is beside it.
PhiloxKey key_of(std::uint64_t seed, const rnn_translate_sentence& sentence);

class Sampler {
 public:
  Sampler(const rnn_translate_options& options, const Kernels<float>& kernels) : options_(options), kernels_(kernels) {}

  // A token of a row of logits, of which those at -inf are never drawn; kFree if there is nothing to draw from. The
  // same for the same logits, key, number of the hypothesis and step.
  std::int32_t draw(const float* logits, std::int64_t count, PhiloxKey key, std::int32_t number, std::int64_t step);

 private:
  std::int32_t draw_from_all(const float* weights, std::int64_t count, double place) const;
  std::int32_t draw_from_best(const float* weights, std::int64_t count, double place);
  double mass_of(const float* weights) const;  // of the tokens in `order_`
  static float bar_of_mass(const float* weights, std::int64_t count, double mass);
  float bar_of_best(const float* weights, std::int64_t count);

  const rnn_translate_options& options_;
  const Kernels<float>& kernels_;
  Buffer weights_;
  std::vector<float> tops_;
  std::vector<std::int32_t> order_;
};

}  // namespace rnn_engine::translate
