#include "base/fork.h"

#include <pthread.h>
#include <unistd.h>

namespace rnn_engine {
namespace {

std::atomic<std::uint64_t> generation{0};

// When the library is loaded: no lock that a fork could catch guards it.
const int unregistered = pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

std::uint64_t fork_generation() {
  if (unregistered != 0) return static_cast<std::uint64_t>(getpid());  // there was no memory for the handler
  return generation.load(std::memory_order_relaxed);
}

}  // namespace rnn_engine
