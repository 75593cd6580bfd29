// Hands out consecutive, aligned pieces of one block of memory.
//
// The planner walks an Arena without memory to learn sizes and to list the buffers; the run walks it again
// over the caller's block. Both call the same layout functions (plan/layout.h), so that plan and run cannot
// disagree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rnn_engine {

inline constexpr std::size_t kAlignment = 64;

struct BufferRecord {
  const char* name;
  std::int64_t layer, direction;  // -1: shared by all
  std::size_t offset, bytes;
};

class Arena {
 public:
  explicit Arena(void* base = nullptr, std::vector<BufferRecord>* records = nullptr)
      : base_(static_cast<std::byte*>(base)), records_(records) {}

  // A piece of `count` values; nullptr while planning, or for an empty piece.
  template <class T>
  T* take(const char* name, std::int64_t count, std::int64_t layer = -1, std::int64_t direction = -1) {
    if (count == 0) return nullptr;
    const std::size_t offset = used_;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (records_) records_->push_back({name, layer, direction, offset, bytes});
    return base_ ? reinterpret_cast<T*>(base_ + offset) : nullptr;
  }

  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::vector<BufferRecord>* records_;
  std::size_t used_ = 0;
};

}  // namespace rnn_engine
