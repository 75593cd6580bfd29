// Small facts about a machine that are kept from process to process, each in a file of the user's own.
//
// The folder is $RNN_ENGINE_CACHE, else rnn_engine in $XDG_CACHE_HOME or ~/.cache; RNN_ENGINE_CACHE=off: nothing is
// kept. Whatever is wrong with a file or the folder counts as "not kept".
#pragma once

#include <optional>
#include <string>

namespace rnn_engine {

// The number that was kept as `name` under exactly these circumstances, if it is within its bounds.
struct Fact {
  std::string name;           // a word
  std::string circumstances;  // lines of what the number depends on
  double least, most;
};
std::optional<double> kept(const Fact& fact);
void keep(const Fact& fact, double value);

}  // namespace rnn_engine
