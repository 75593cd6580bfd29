#include "api/arguments.h"

namespace rnn_engine {

void require_aligned(const void* pointer, std::size_t bytes, const char* name) {
  if (bytes == 0) return;
  require_pointer(pointer, name);
  require(reinterpret_cast<std::uintptr_t>(pointer) % kAlignment == 0,
          std::string(name) + ": expected an address that is a multiple of " + std::to_string(kAlignment));
}

void require_weights(const Shape& shape, const rnn_engine_weights* weights) {
  require_pointer(weights, "weights");
  for (std::int64_t i = 0; i < shape.L * shape.D; ++i) {
    const std::string where = "weights[" + std::to_string(i) + "].";
    require_pointer(weights[i].weight_ih, where + "weight_ih");
    require_pointer(weights[i].weight_hh, where + "weight_hh");
    if (shape.bias) {
      require_pointer(weights[i].bias_ih, where + "bias_ih");
      require_pointer(weights[i].bias_hh, where + "bias_hh");
    }
    if (shape.projected) require_pointer(weights[i].weight_hr, where + "weight_hr");
    for (int e = 0; e < shape.cell.vectors(); ++e)
      if (shape.bias || !shape.cell.is_bias(e))
        require_pointer(weights[i].vector_params[e], where + "vector_params[" + std::to_string(e) + "]");
  }
}

void require_forward(const Shape& shape, const rnn_engine_sizes& sizes, const rnn_engine_forward_args& args) {
  require_weights(shape, args.weights);
  if (shape.prepacked) require_aligned(args.packed, sizes.packed_bytes, "packed");
  require_pointer(args.x, "x");
  if (shape.output) require_pointer(args.y, "y");
  if (shape.cell_output) require_pointer(args.cy, "cy");
  require_pointer(args.hn, "hn");
  require_pointer(args.cn, "cn");
  require_aligned(args.reserve, sizes.reserve_bytes, "reserve");
  require_aligned(args.workspace, sizes.forward_workspace_bytes, "workspace");
}

void require_backward(const Shape& shape, const rnn_engine_sizes& sizes, const rnn_engine_backward_args& args) {
  require(shape.training, "plan: expected one with training = 1");
  require_weights(shape, args.weights);
  require_pointer(args.gradients, "gradients");
  require_pointer(args.x, "x");
  require_pointer(args.y, "y");
  if (shape.input_gradient) require_pointer(args.dx, "dx");
  require_aligned(args.reserve, sizes.reserve_bytes, "reserve");
  require_aligned(args.workspace, sizes.backward_workspace_bytes, "workspace");
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
  require_pointer(args.weight, "weight");
  if (problem.tokens > 0) {
    require_pointer(args.hidden, "hidden");
    require_pointer(args.targets, "targets");
  }
  const auto require_wanted = [&](int gradient, const void* pointer, const char* name) {
    const bool wanted = (problem.gradients & gradient) != 0;
    if (wanted && (problem.tokens > 0 || gradient != RNN_ENGINE_LOSS_HIDDEN)) require_pointer(pointer, name);
    require(wanted || !pointer, std::string(name) + ": expected NULL, as problem.gradients leaves it out");
  };
  require_wanted(RNN_ENGINE_LOSS_HIDDEN, args.d_hidden, "d_hidden");
  require_wanted(RNN_ENGINE_LOSS_WEIGHT, args.d_weight, "d_weight");
  require_wanted(RNN_ENGINE_LOSS_BIAS, args.d_bias, "d_bias");
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
