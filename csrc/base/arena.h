// Hands out aligned pieces of one block of memory.
//
// The planner walks an Arena without memory to learn sizes and to list the buffers; the run walks it again
// over the caller's block. Both call the same layout functions (cpu/workspace.h), so that plan and run cannot
// disagree. Pieces that never live at the same time share memory: `rewind` goes back to a `mark`, and what is
// taken then lies over what was taken before.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rnn_engine {

inline constexpr std::size_t kAlignment = 64;

// First and last tile, counted through forward and backward, whose work touches a buffer.
struct Life {
  std::int64_t first, last;
};

struct BufferRecord {
  const char* name;
  std::int64_t layer, direction;  // -1: shared by all
  std::size_t offset, bytes;
  Life life;
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
    size_ = std::max(size_, used_);
    if (records_) records_->push_back({name, layer, direction, offset, bytes, life_});
    return base_ ? reinterpret_cast<T*>(base_ + offset) : nullptr;
  }

  // The life of the pieces that are taken from here on.
  void set_life(Life life) { life_ = life; }

  std::size_t mark() const { return used_; }
  void rewind(std::size_t mark) { used_ = mark; }
  std::size_t size() const { return size_; }

 private:
  std::byte* base_;
  std::vector<BufferRecord>* records_;
  std::size_t used_ = 0, size_ = 0;
  Life life_{0, 0};
};

}  // namespace rnn_engine
