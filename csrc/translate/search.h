// The search for the best translations of many sentences by some threads.
#pragma once

#include <cstdint>
#include <vector>

#include "rnn_translate.h"
#include "translate/beam.h"
#include "translate/decoding.h"
#include "translate/shortlist.h"
#include "translate/workers.h"

namespace rnn_engine::translate {

// The best hypotheses of each sentence; empty if `poll` gave up. `shortlists`: at least one if options.shortlist is not
// 0.
std::vector<std::vector<Finished>> search(const Ensemble& networks, const Shortlists& shortlists,
                                          const rnn_translate_options& options, const rnn_translate_sentence* sentences,
                                          std::int64_t count, const Poll& poll);

}  // namespace rnn_engine::translate
