// Errors inside the library are exceptions; the C API turns them into codes and a message.
#pragma once

#include <stdexcept>
#include <string>

namespace rnn_engine {

// The caller's mistake: a shape, a value, a missing pointer.
struct InvalidArgument : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The caller wanted a call to end before its work was done.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void require(bool condition, const std::string& message) {
  if (!condition) throw InvalidArgument(message);
}

}  // namespace rnn_engine
