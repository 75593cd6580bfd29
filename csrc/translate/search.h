// The search for the best translations of many sentences by some threads.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "rnn_translate.h"
#include "translate/beam.h"
#include "translate/network.h"

namespace rnn_engine::translate {

// poll(done) is called by this thread between steps; true: give up.
using Poll = std::function<bool(std::int64_t done)>;

// The best hypotheses of each sentence; empty if `poll` gave up.
std::vector<std::vector<Finished>> search(const Network& network, const rnn_translate_options& options,
                                          const rnn_translate_sentence* sentences, std::int64_t count,
                                          const Poll& poll);

}  // namespace rnn_engine::translate
