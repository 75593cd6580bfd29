// Forced decoding: what networks think of translations that are known already.
#pragma once

#include <cstdint>
#include <vector>

#include "rnn_translate.h"
#include "translate/decoding.h"
#include "translate/workers.h"

namespace rnn_engine::translate {

struct Forced {
  std::vector<double> log_probabilities;  // [T], eos last
  std::vector<float> attention;           // [T, S]; empty unless wanted
};

// Of each pair; empty if `poll` gave up.
std::vector<Forced> force(const Ensemble& networks, const rnn_translate_scoring& options,
                          const rnn_translate_pair* pairs, std::int64_t count, const Poll& poll);

}  // namespace rnn_engine::translate
