// Changing what other threads may sleep on, in `std::atomic::wait`.
//
// notify first looks whether anybody sleeps, which saves a system call. With a weaker order than this one the processor
// may look before the others see the new value: one of them takes note of itself, still finds the old value, and sleeps
// for ever. libstdc++ makes no difference here, although the standard asks it to.
#pragma once

#include <atomic>

namespace rnn_engine {

// What was written before is visible to whoever wakes up.
template <class T>
void store_and_wake(std::atomic<T>& value, T to) {
  value.store(to, std::memory_order_seq_cst);
  value.notify_all();
}

template <class T>
void increment_and_wake(std::atomic<T>& value) {
  value.fetch_add(1, std::memory_order_seq_cst);
  value.notify_all();
}

}  // namespace rnn_engine
