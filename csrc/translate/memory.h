// Memory of calls and of packed weights.
#pragma once

#include <cstdint>
#include <vector>

#include "base/pool.h"

namespace rnn_engine::translate {

inline constexpr std::int64_t kSlack = 64;  // bytes by which memory is longer, so that `align` finds room

template <class T>
T* align(T* values) {
  return reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(values) + 63) & ~std::uintptr_t{63});
}

// Aligned values that only grow, and are not kept when they do.
template <class T>
class Growing {
 public:
  T* at_least(std::int64_t count) {
    if (static_cast<std::size_t>(count + kSlack) > values_.size()) {
      values_.clear();
      values_.resize(static_cast<std::size_t>(count + count / 4 + kSlack));
    }
    return data();
  }
  T* data() { return align(values_.data()); }
  const T* data() const { return align(values_.data()); }

 private:
  std::vector<T> values_;
};
using Buffer = Growing<float>;

// The team of one thread: sentences, not products, are shared out.
inline const Team& alone() {
  static const Team team(0, 1, nullptr);
  return team;
}

}  // namespace rnn_engine::translate
