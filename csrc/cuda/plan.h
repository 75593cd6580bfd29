// A problem with everything that running it on a GPU needs to know, made before anything runs and never changed.
#pragma once

#include <vector>

#include "cuda/kernels/kernels.h"
#include "cuda/workspace.h"
#include "plan/plan.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {

struct Plan final : PlanBase {
  DeviceFacts device;
  bool tf32;
  Cublas* cublas = nullptr;            // its context's, if it has one
  std::vector<std::int32_t> offsets;   // as in Shape, for the device
  std::vector<std::int64_t> identity;  // equal plans have equal ones

  Plan() { machine = {1, 1, 1}; }  // no vectors, no threads: what the shared layouts ask for
  BufferTable buffers() const override;
};

// Throws InvalidArgument for a dtype that the device does not compute with.
void require_dtype(int dtype, const DeviceFacts& device);

// Whether products round to TF32, if a problem allows it: where there are matrix units for it.
inline bool use_tf32(int allowed, const DeviceFacts& device) { return allowed != 0 && device.major >= 8; }

// `wavefronts`: those found before.
Plan make_plan(const rnn_engine_problem& problem, const DeviceFacts& device, Wavefronts& wavefronts);
// Seconds that a plan is predicted to take, forward and in training backward.
double predicted_seconds(const Plan& plan);

// Returns visit.operator()<T>() for the type of a dtype of rnn_engine.h, which has been checked.
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
