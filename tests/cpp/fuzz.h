// What fuzzers share: the bytes that a problem is made of, and what ends a process that found something.
#ifndef RNN_ENGINE_TESTS_FUZZ_H_
#define RNN_ENGINE_TESTS_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "rnn_engine.h"

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "%s; last error: %s\n", what, rnn_engine_last_error());
  std::abort();
}

inline void expect(bool condition, const char* what) {
  if (!condition) fail(what);
}

// The fuzzer's bytes, in order; zeros once they are used up.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint64_t take(int count) {
    std::uint64_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | (size_ ? (--size_, *data_++) : 0);
    return value;
  }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(take(1)) % (most - least + 1);
  }
  bool flag() { return take(1) & 1; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

#endif
