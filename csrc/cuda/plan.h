// A problem with everything that running it on a GPU needs to know, made before anything runs and never
// changed.
#pragma once

#include <memory>
#include <vector>

#include "cuda/kernels.h"
#include "cuda/layout.h"
#include "plan/kept.h"
#include "plan/wavefront.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {

struct Plan {
  Shape shape;
  DeviceFacts device;
  Machine machine{1, 1, 1};  // no vectors, no threads: what the shared layouts ask for
  Schedule schedule;
  Tiles tiles;
  bool tf32;
  Cublas* cublas = nullptr;  // its context's, if it has one
  rnn_engine_sizes sizes;
  Slots kept_slots;                     // [L] each layer's piece of kept
  Slots forward_slots, backward_slots;  // [L*D] each lane's part of scratch in the two calls
  Slots packed_slots;                   // [L*D] each lane's weights in a packed block
  std::size_t packed_bytes;
  std::vector<std::int32_t> offsets;  // as in Shape, for the device
  std::vector<std::int32_t> row_ids;
  std::unique_ptr<TileGraph> graph;         // of tiles on several streams, else null
  std::vector<std::int64_t> identity;       // equal plans have equal ones; but for the masks' seed and rows
  std::vector<BufferRecord> kept, scratch;  // see list_buffers

  LayoutInput layout() const { return {shape, machine, schedule, nullptr}; }
};

// Throws InvalidArgument for a dtype that the device does not compute with.
void require_dtype(int dtype, const DeviceFacts& device);

// Whether products round to TF32, if a problem allows it: where there are matrix units for it.
inline bool use_tf32(int allowed, const DeviceFacts& device) { return allowed != 0 && device.major >= 8; }

// `wavefronts`: those found before.
Plan make_plan(const rnn_engine_problem& problem, const DeviceFacts& device, Wavefronts& wavefronts);
// Seconds that a plan is predicted to take, forward and in training backward.
double predicted_seconds(const Plan& plan);
// The table of buffers; made only when it is asked for.
void list_buffers(Plan& plan);

// Returns visit.operator()<T>() for the type of a dtype of rnn_engine.h.
template <class Visit>
auto visit_dtype(int dtype, const Visit& visit) {
  switch (dtype) {
    case RNN_ENGINE_FLOAT32:
      return visit.template operator()<float>();
    case RNN_ENGINE_FLOAT64:
      return visit.template operator()<double>();
    case RNN_ENGINE_BFLOAT16:
      return visit.template operator()<BFloat16>();
    default:
      return visit.template operator()<Float16>();
  }
}

}  // namespace rnn_engine::cuda
