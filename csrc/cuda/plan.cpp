#include "cuda/plan.h"

#include <string>

#include "base/error.h"

namespace rnn_engine::cuda {
namespace {

// Rows of a tile: enough for its products to occupy every processor.
constexpr std::int64_t kTileRows = 4096;

std::string name_of(const DeviceFacts& device) {
  return "sm_" + std::to_string(device.major) + std::to_string(device.minor);
}

// Kernels count rows and steps in 32 bits.
void require_countable(const rnn_engine_problem& problem) {
  constexpr double kMost = 2e9;
  const double rows = static_cast<double>(problem.steps) * static_cast<double>(problem.batch);
  require(rows < kMost, "steps, batch: expected less than 2e9 rows on a GPU, got " + std::to_string(rows));
}

// Longer tiles than a CPU's, where that costs no memory that the policy saves.
Schedule for_device(const Shape& shape, Schedule schedule) {
  const auto steps = std::clamp<std::int64_t>((kTileRows + shape.B - 1) / shape.B, 1, shape.T);
  schedule.forward_steps = std::min(std::max(schedule.forward_steps, steps), schedule.chunk);
  if (schedule.stores_all()) {
    schedule.backward_steps = std::max(schedule.backward_steps, steps);
    schedule.gradient_steps = schedule.backward_steps;
  }
  return schedule;
}

// Fills the slots of `plan`, and its table of buffers if `table`.
template <class T>
rnn_engine_sizes lay_out(const LayoutInput& in, Plan& plan, bool table) {
  plan.kept_slots.clear();
  plan.forward_slots.clear();
  plan.backward_slots.clear();
  Arena kept(nullptr, table ? &plan.kept : nullptr);
  for (std::int64_t layer = 0; layer < in.shape.L && in.shape.training; ++layer) {
    plan.kept_slots.push_back(kept.mark());
    KeptLayer<T>(in, layer, kept);
  }
  Arena packed;
  plan.packed_slots.clear();
  for_each_lane(in.shape, [&](std::int64_t layer, std::int64_t d) {
    plan.packed_slots.push_back(packed.mark());
    PackedLane<T>(in.shape, layer, d, packed);
  });
  plan.packed_bytes = packed.size();
  Arena forward(nullptr, table ? &plan.scratch : nullptr), backward(nullptr, table ? &plan.scratch : nullptr);
  ForwardScratch<T>(in, forward, &plan.forward_slots);
  if (in.shape.training) BackwardScratch<T>(in, backward, &plan.backward_slots);
  return {kept.size(), std::max(forward.size(), backward.size()), forward.size(), backward.size()};
}

rnn_engine_sizes lay_out_any(const LayoutInput& in, Plan& plan, bool table) {
  return visit_dtype(in.shape.dtype, [&]<class T>() { return lay_out<T>(in, plan, table); });
}

}  // namespace

void require_dtype(int dtype, const DeviceFacts& device) {
  require(
      dtype >= RNN_ENGINE_FLOAT32 && dtype <= RNN_ENGINE_FLOAT16,
      "dtype: expected float32 (0), float64 (1), bfloat16 (2) or float16 (3), got " + std::to_string(dtype));
  require(dtype != RNN_ENGINE_BFLOAT16 || device.major >= 8,
          "dtype: expected float32 (0), float64 (1) or float16 (3) on " + name_of(device) +
              ", which has no matrix units for bfloat16 (2)");
}

Plan make_plan(const rnn_engine_problem& problem, const DeviceFacts& device) {
  require_dtype(problem.dtype, device);
  Plan plan;
  plan.device = device;
  plan.shape = make_shape(problem);
  require_countable(problem);
  plan.tf32 = use_tf32(problem.tf32, device);
  const Estimates estimates{[&](const Shape& shape, const Schedule& schedule) {
                              Plan unused;
                              const Schedule longer = for_device(shape, schedule);
                              const rnn_engine_sizes sizes =
                                  lay_out_any({shape, plan.machine, longer, nullptr}, unused, false);
                              return sizes.kept_bytes + sizes.scratch_bytes;
                            },
                            [&](const Shape& shape, const Schedule& schedule) {
                              return predicted_seconds(shape, for_device(shape, schedule), device);
                            }};
  plan.schedule =
      for_device(plan.shape, make_schedule(plan.shape, problem.memory, problem.budget, estimates));
  plan.tiles = make_tiles(plan.shape, plan.schedule);
  plan.sizes = lay_out_any(plan.layout(), plan, false);
  plan.offsets.assign(plan.shape.offsets.begin(), plan.shape.offsets.end());
  plan.row_ids.assign(plan.shape.row_ids.begin(), plan.shape.row_ids.end());
  return plan;
}

// A rough count, good enough to compare schedules of one problem with: a step takes a launch for each of its
// kernels and reads the recurrent weights; everything else is large products at half of the peak.
double predicted_seconds(const Shape& shape, const Schedule& schedule, const DeviceFacts& device) {
  constexpr double kLaunch = 3e-6;
  const double each = shape.dtype == RNN_ENGINE_FLOAT32   ? 256
                      : shape.dtype == RNN_ENGINE_FLOAT64 ? 128
                                                          : 2048;  // operations a clock of a multiprocessor
  const double rate = each * device.processors * device.clock / 2;
  const double T = static_cast<double>(shape.T), N = static_cast<double>(shape.N);
  double seconds = 0;
  for (std::int64_t layer = 0; layer < shape.L; ++layer) {
    const LayerShape& size = shape.layer(layer);
    const double Z = static_cast<double>(size.Z), I = static_cast<double>(size.I),
                 R = static_cast<double>(size.R);
    const double steps = T * 2 * kLaunch + 2 * N * Z * R / rate * 2;
    const double products = 2 * N * Z * I / rate;
    const double again = schedule.of(layer) == Policy::kRecompute    ? 2 * N * Z * (I + R) / rate
                         : schedule.of(layer) == Policy::kCheckpoint ? steps + products
                                                                     : 0;
    const double forward = steps + products;
    const double backward = steps + products + 2 * N * Z * (I + R) / rate + again;
    seconds += static_cast<double>(shape.D) * (forward + (shape.training ? backward : 0));
  }
  return seconds;
}

void list_buffers(Plan& plan) {
  if (!plan.kept.empty() || !plan.scratch.empty()) return;
  lay_out_any({plan.shape, plan.machine, plan.schedule, &plan.tiles}, plan, true);
}

}  // namespace rnn_engine::cuda
