// What of a text reaches a model: characters that show something, and one kind of space. nmt/data/characters.py says it
// with the categories of Unicode; here are its tables alone.
#pragma once

#include <string>
#include <string_view>

namespace rnn_engine::text {

// A line of UTF-8 without space around it, nor what nobody sees; bytes that are no UTF-8 stay as they are.
std::string plain_line(std::string_view line);

}  // namespace rnn_engine::text
