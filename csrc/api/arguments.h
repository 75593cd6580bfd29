// What every C API does with what comes from outside: checks it, turns exceptions into codes and a message,
// and writes out what a plan holds.
#pragma once

#include <cstdint>
#include <exception>
#include <new>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "plan/graph.h"
#include "plan/shape.h"
#include "plan/tiles.h"
#include "rnn_engine.h"

namespace rnn_engine {

// The calling thread's message: what there may be no memory for must not need any.
const char* last_error() noexcept;
void set_last_error(const char* message) noexcept;

template <class Work>
int guarded(const Work& work) noexcept {
  try {
    work();
    return RNN_ENGINE_OK;
  } catch (const InvalidArgument& error) {
    set_last_error(error.what());
    return RNN_ENGINE_INVALID;
  } catch (const Interrupted& error) {
    set_last_error(error.what());
    return RNN_ENGINE_INTERRUPTED;
  } catch (const std::bad_alloc&) {
    set_last_error("there is not enough memory");
    return RNN_ENGINE_FAILED;
  } catch (const std::exception& error) {
    set_last_error(error.what());
    return RNN_ENGINE_FAILED;
  }
}

// Of what lies at addresses that are multiples of `alignment`.
void require_aligned_to(const void* pointer, std::size_t alignment, const char* name);
// For handles, structs and numbers.
template <class Any>
void require_pointer(const Any* pointer, const char* name) {
  require_aligned_to(pointer, alignof(Any), name);
}

// An arena of so many bytes.
void require_block(const void* pointer, std::size_t bytes, const char* name);
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
