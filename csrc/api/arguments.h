// What every C API does with what comes from outside: checks it, turns exceptions into codes and a message,
// and writes out what a plan holds.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "plan/graph.h"
#include "plan/shape.h"
#include "plan/tiles.h"
#include "rnn_engine.h"

namespace rnn_engine {

// The calling thread's.
inline std::string& last_error() {
  thread_local std::string message;
  return message;
}

template <class Work>
int guarded(const Work& work) {
  try {
    work();
    return RNN_ENGINE_OK;
  } catch (const InvalidArgument& error) {
    last_error() = error.what();
    return RNN_ENGINE_INVALID;
  } catch (const std::exception& error) {
    last_error() = error.what();
    return RNN_ENGINE_FAILED;
  }
}

inline void require_pointer(const void* pointer, const std::string& name) {
  require(pointer != nullptr, name + ": expected a pointer, got NULL");
}

void require_aligned(const void* pointer, std::size_t bytes, const char* name);
void require_weights(const Shape& shape, const rnn_engine_weights* weights);
void require_forward(const Shape& shape, const rnn_engine_sizes& sizes, const rnn_engine_forward_args& args);
void require_backward(const Shape& shape, const rnn_engine_sizes& sizes, const rnn_engine_backward_args& args);
// All but the dtype, of which a machine knows.
void require_loss_problem(const rnn_engine_loss_problem& problem);
void require_loss(const rnn_engine_loss_problem& problem, const rnn_engine_loss_args& args);

// Writes as many of the records as there is room for behind the `count` rows already counted.
void append_buffers(const char* arena, const std::vector<BufferRecord>& records, rnn_engine_buffer* buffers,
                    std::size_t capacity, std::size_t& count);
rnn_engine_tile tile_at(const Tiles& tiles, std::int64_t index);
void copy_inputs(const Edges& edges, std::int64_t tile, std::int64_t* inputs, std::size_t capacity, std::size_t& count);

}  // namespace rnn_engine
