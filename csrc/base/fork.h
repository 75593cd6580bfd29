// What a fork leaves to the child. It may come at any moment, while other threads hold locks or are half through a
// change, and in the child there is nobody to finish: so what threads share is made anew there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace rnn_engine {

// A number that differs between a process and its parent.
std::uint64_t fork_generation();

// A T of this process, made when it is first asked for. A child begins with a T of its own; its parent's is neither
// read, nor changed, nor destroyed there.
template <class T>
class OfProcess {
 public:
  OfProcess() = default;
  OfProcess(const OfProcess&) = delete;
  OfProcess& operator=(const OfProcess&) = delete;
  ~OfProcess() {
    Node* node = node_.load(std::memory_order_acquire);
    if (node && node->generation == fork_generation()) delete node;
  }

  T& get() {
    const std::uint64_t generation = fork_generation();
    Node* node = node_.load(std::memory_order_acquire);
    if (node && node->generation == generation) return node->value;
    auto made = std::make_unique<Node>(generation, node);
    while (!node_.compare_exchange_strong(node, made.get(), std::memory_order_acq_rel)) {
      if (node && node->generation == generation) return node->value;  // another thread was first
      made->parents = node;
    }
    return made.release()->value;
  }

 private:
  struct Node {
    Node(std::uint64_t of, Node* before) : generation(of), parents(before) {}
    const std::uint64_t generation;
    Node* parents;  // so that it does not count as lost
    T value;
  };
  std::atomic<Node*> node_{nullptr};
};

// A T that never changes, made by the first who asks. Where two threads ask at once both make one: nobody waits, so
// that a fork leaves nothing half done.
template <class T>
class Lazy {
 public:
  Lazy() = default;
  Lazy(const Lazy&) = delete;
  Lazy& operator=(const Lazy&) = delete;
  ~Lazy() { delete value_.load(std::memory_order_acquire); }

  template <class Make>
  const T& get(const Make& make) {
    const T* found = value_.load(std::memory_order_acquire);
    if (found) return *found;
    auto made = std::make_unique<const T>(make());
    if (!value_.compare_exchange_strong(found, made.get(), std::memory_order_acq_rel)) return *found;
    return *made.release();
  }

 private:
  std::atomic<const T*> value_{nullptr};
};

}  // namespace rnn_engine
