#include "api/arguments.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

namespace rnn_engine {
namespace {

constexpr std::size_t kMostMessage = 1023;
thread_local char message_of_thread[kMostMessage + 1];

bool is_aligned(const void* pointer, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

// Bytes of a value that is stored, and of one that is computed with.
struct ValueBytes {
  std::size_t stored, sum;
  explicit ValueBytes(int dtype)
      : stored(static_cast<std::size_t>(bytes_of_value(dtype))), sum(dtype == RNN_ENGINE_FLOAT64 ? 8 : 4) {}
};

void require_optional(const void* pointer, std::size_t alignment, const char* name) {
  if (pointer) require_aligned_to(pointer, alignment, name);
}

// The members of a call's weights, or of the gradients, each of which may be missing.
void require_each_weight(const Shape& shape, const rnn_engine_weights* weights, const char* name, bool gradients) {
  require_pointer(weights, name);
  const ValueBytes bytes(shape.dtype);
  const std::size_t matrix = gradients ? bytes.sum : bytes.stored;
  for (std::int64_t i = 0; i < shape.L * shape.D; ++i) {
    const rnn_engine_weights& w = weights[i];
    const auto check = [&](const void* pointer, std::size_t alignment, const char* member, int number = -1) {
      if (pointer ? is_aligned(pointer, alignment) : gradients) return;
      std::string where = std::string(name) + "[" + std::to_string(i) + "]." + member;
      if (number >= 0) where += "[" + std::to_string(number) + "]";
      require_aligned_to(pointer, alignment, where.c_str());
    };
    check(w.weight_ih, matrix, "weight_ih");
    check(w.weight_hh, matrix, "weight_hh");
    if (shape.bias) {
      check(w.bias_ih, bytes.sum, "bias_ih");
      check(w.bias_hh, bytes.sum, "bias_hh");
    }
    if (shape.projected) check(w.weight_hr, matrix, "weight_hr");
    for (int e = 0; e < shape.cell.vectors(); ++e)
      if (shape.bias || !shape.cell.is_bias(e)) check(w.vector_params[e], bytes.sum, "vector_params", e);
  }
}

void require_before_step(const Shape& shape, rnn_engine_before_step call) {
  require(!call || shape.stepwise, "before_step: expected NULL, as the plan's schedule is not of steps (3)");
}

}  // namespace

const char* last_error() noexcept { return message_of_thread; }

void set_last_error(const char* message) noexcept {
  std::size_t length = std::min(std::strlen(message), kMostMessage);
  // Not in the middle of a character of UTF-8.
  if (message[length])
    while (length > 0 && (static_cast<unsigned char>(message[length]) & 0xC0) == 0x80) --length;
  std::memcpy(message_of_thread, message, length);
  message_of_thread[length] = 0;
}

void require_aligned_to(const void* pointer, std::size_t alignment, const char* name) {
  if (!pointer) throw InvalidArgument(std::string(name) + ": expected a pointer, got NULL");
  if (!is_aligned(pointer, alignment))
    throw InvalidArgument(std::string(name) + ": expected an address that is a multiple of " +
                          std::to_string(alignment));
}

void require_block(const void* pointer, std::size_t bytes, const char* name) {
  if (bytes > 0) require_aligned_to(pointer, kAlignment, name);
}

void require_weights(const Shape& shape, const rnn_engine_weights* weights) {
  require_each_weight(shape, weights, "weights", false);
}

void require_forward(const Shape& shape, const rnn_engine_sizes& sizes, const rnn_engine_forward_args& args) {
  const ValueBytes bytes(shape.dtype);
  require_weights(shape, args.weights);
  if (shape.prepacked) require_block(args.packed, sizes.packed_bytes, "packed");
  require_aligned_to(args.x, bytes.stored, "x");
  require_optional(args.h0, bytes.stored, "h0");
  require_optional(args.c0, bytes.sum, "c0");
  if (shape.output) require_aligned_to(args.y, bytes.stored, "y");
  if (shape.cell_output) require_aligned_to(args.cy, bytes.sum, "cy");
  require_aligned_to(args.hn, bytes.stored, "hn");
  require_aligned_to(args.cn, bytes.sum, "cn");
  require_optional(args.masks.row_ids, alignof(std::int64_t), "row_ids");
  require_block(args.reserve, sizes.reserve_bytes, "reserve");
  require_block(args.workspace, sizes.forward_workspace_bytes, "workspace");
  require_before_step(shape, args.before_step);
}

void require_backward(const Shape& shape, const rnn_engine_sizes& sizes, const rnn_engine_backward_args& args) {
  if (!shape.training) throw InvalidArgument("plan: expected one with training = 1");
  const ValueBytes bytes(shape.dtype);
  require_weights(shape, args.weights);
  require_each_weight(shape, args.gradients, "gradients", true);
  require_aligned_to(args.x, bytes.stored, "x");
  require_aligned_to(args.y, bytes.stored, "y");
  if (shape.input_gradient) require_aligned_to(args.dx, bytes.stored, "dx");
  const struct {
    const void* pointer;
    std::size_t alignment;
    const char* name;
  } optional[] = {{args.h0, bytes.stored, "h0"},
                  {args.c0, bytes.sum, "c0"},
                  {args.dy, bytes.stored, "dy"},
                  {args.dcy, bytes.sum, "dcy"},
                  {args.dhn, bytes.stored, "dhn"},
                  {args.dcn, bytes.sum, "dcn"},
                  {args.dh0, bytes.stored, "dh0"},
                  {args.dc0, bytes.sum, "dc0"},
                  {args.masks.row_ids, alignof(std::int64_t), "row_ids"}};
  for (const auto& [pointer, alignment, name] : optional) require_optional(pointer, alignment, name);
  require_block(args.reserve, sizes.reserve_bytes, "reserve");
  require_block(args.workspace, sizes.backward_workspace_bytes, "workspace");
  require_before_step(shape, args.before_step);
}

void require_loss_problem(const rnn_engine_loss_problem& p) {
  const auto at_least = [](const char* name, std::int64_t least, std::int64_t value) {
    require(value >= least,
            std::string(name) + ": expected at least " + std::to_string(least) + ", got " + std::to_string(value));
  };
  at_least("tokens", 0, p.tokens);
  at_least("features", 1, p.features);
  at_least("vocabulary", 1, p.vocabulary);
  require(p.smoothing >= 0 && p.smoothing <= 1,
          "smoothing: expected a share in [0, 1], got " + std::to_string(p.smoothing));
  require(p.divergence >= 0 && std::isfinite(p.divergence),
          "divergence: expected a finite weight of at least 0, got " + std::to_string(p.divergence));
  require(
      p.divergence == 0 || p.tokens % 2 == 0,
      "tokens: expected an even number, as with a divergence every token comes twice, got " + std::to_string(p.tokens));
  constexpr int kAll = RNN_ENGINE_LOSS_HIDDEN | RNN_ENGINE_LOSS_WEIGHT | RNN_ENGINE_LOSS_BIAS;
  require(p.gradients >= 0 && p.gradients <= kAll,
          "gradients: expected a sum of RNN_ENGINE_LOSS_..., got " + std::to_string(p.gradients));
  // Beyond this, offsets in bytes could overflow; no machine has the memory.
  const double features = static_cast<double>(p.features);
  const double values = (static_cast<double>(p.tokens) + p.vocabulary) * features + 256.0 * p.vocabulary;
  require(values < 1e15,
          "tokens, features, vocabulary: expected a problem of less than 1e15 values, got " + std::to_string(values));
}

void require_loss(const rnn_engine_loss_problem& problem, const rnn_engine_loss_args& args) {
  const ValueBytes bytes(problem.dtype);
  require_aligned_to(args.weight, bytes.stored, "weight");
  require_optional(args.bias, bytes.sum, "bias");
  if (problem.tokens > 0) {
    require_aligned_to(args.hidden, bytes.stored, "hidden");
    require_pointer(args.targets, "targets");
  }
  const auto require_wanted = [&](int gradient, const void* pointer, std::size_t alignment, const char* name) {
    const bool wanted = (problem.gradients & gradient) != 0;
    if (pointer && !wanted)
      throw InvalidArgument(std::string(name) + ": expected NULL, as problem.gradients leaves it out");
    const bool needed = wanted && (problem.tokens > 0 || gradient != RNN_ENGINE_LOSS_HIDDEN);
    if (needed || pointer) require_aligned_to(pointer, alignment, name);
  };
  require_wanted(RNN_ENGINE_LOSS_HIDDEN, args.d_hidden, bytes.stored, "d_hidden");
  require_wanted(RNN_ENGINE_LOSS_WEIGHT, args.d_weight, bytes.sum, "d_weight");
  require_wanted(RNN_ENGINE_LOSS_BIAS, args.d_bias, bytes.sum, "d_bias");
}

void append_buffers(const char* arena, const std::vector<BufferRecord>& records, rnn_engine_buffer* buffers,
                    std::size_t capacity, std::size_t& count) {
  for (const BufferRecord& r : records) {
    if (buffers && count < capacity)
      buffers[count] = {r.name, arena, r.layer, r.direction, r.offset, r.bytes, r.life.first, r.life.last};
    ++count;
  }
}

rnn_engine_tile tile_at(const Tiles& tiles, std::int64_t index) {
  require(index >= 0 && index < tiles.count(),
          "index: expected 0 to " + std::to_string(tiles.count() - 1) + ", got " + std::to_string(index));
  const Tile& t = tiles.at(index);
  return {static_cast<std::int32_t>(t.kind), t.layer, t.direction, t.s0, t.s1};
}

void copy_inputs(const Edges& edges, std::int64_t tile, std::int64_t* inputs, std::size_t capacity,
                 std::size_t& count) {
  const auto needed = edges.of(tile);
  count = needed.size();
  for (std::size_t i = 0; inputs && i < needed.size() && i < capacity; ++i) inputs[i] = needed[i];
}

}  // namespace rnn_engine
