#include "cuda/plan.h"

#include <bit>
#include <string>

#include "base/error.h"
#include "cuda/cost.h"

namespace rnn_engine::cuda {
namespace {

// Rows of a tile: enough for its products to occupy every processor.
constexpr std::int64_t kTileRows = 4096;
// Pseudo-layers side by side: each keeps a part of the processors busy.
constexpr std::int64_t kStreams = 8;

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

rnn_engine_sizes lay_out_any(const LayoutInput& in, Plan& plan, BufferTable* table) {
  return visit_dtype(in.shape.dtype, [&]<class T>() {
    return lay_out<T, PackedPseudoLayer, ForwardWorkspace, BackwardWorkspace>(in, plan, table);
  });
}

Estimates estimates_of(const Plan& plan) {
  return {
      [&plan](const Shape& shape, const Schedule& schedule) {
        Plan unused;
        const Schedule longer = schedule.thread_groups > 1 ? schedule : for_device(shape, schedule);
        const rnn_engine_sizes sizes = lay_out_any({shape, plan.machine, longer, nullptr}, unused, nullptr);
        return sizes.reserve_bytes + sizes.workspace_bytes;
      },
      [&plan](const Shape& shape, const Schedule& schedule) { return layers_seconds(shape, schedule, plan.device); },
      [&plan](const Shape& shape, const Schedule& schedule, const Tile& tile) {
        return tile_seconds(shape, schedule, tile, plan.device);
      }};
}

// All that a problem says.
std::vector<std::int64_t> identity_of(const rnn_engine_problem& p, const Shape& shape) {
  std::vector<std::int64_t> out{p.cell,
                                p.dtype,
                                p.steps,
                                p.batch,
                                p.input_size,
                                p.layers,
                                p.projection,
                                p.directions,
                                p.bias,
                                p.training,
                                p.output,
                                p.cell_output,
                                p.input_gradient,
                                p.prepacked,
                                p.zoneout_masks,
                                p.memory,
                                static_cast<std::int64_t>(p.budget),
                                p.schedule,
                                p.tf32,
                                p.residual,
                                p.dropout_per_sentence};
  for (const double probability : {p.dropout, p.recurrent_dropout, p.zoneout[0], p.zoneout[1]})
    out.push_back(std::bit_cast<std::int64_t>(probability));
  out.insert(out.end(), p.hidden_sizes, p.hidden_sizes + p.layers);
  out.insert(out.end(), shape.offsets.begin(), shape.offsets.end());
  return out;
}

}  // namespace

void require_dtype(int dtype, const DeviceFacts& device) {
  require(dtype >= RNN_ENGINE_FLOAT32 && dtype <= RNN_ENGINE_FLOAT16,
          "dtype: expected float32 (0), float64 (1), bfloat16 (2) or float16 (3), got " + std::to_string(dtype));
  require(dtype != RNN_ENGINE_BFLOAT16 || device.major >= 8,
          "dtype: expected float32 (0), float64 (1) or float16 (3) on " + name_of(device) +
              ", which has no matrix units for bfloat16 (2)");
}

Plan make_plan(const rnn_engine_problem& problem, const DeviceFacts& device, Wavefronts& wavefronts) {
  require_dtype(problem.dtype, device);
  Plan plan;
  plan.device = device;
  plan.shape = make_shape(problem);
  require_countable(problem);
  require(!plan.shape.stepwise, "schedule: expected auto (0), layers (1) or wavefront (2) on " + name_of(device) +
                                    ", which has no steps (3)");
  plan.tf32 = use_tf32(problem.tf32, device);
  const Estimates estimates = estimates_of(plan);
  plan.schedule = for_device(plan.shape, make_schedule(plan.shape, problem.memory, problem.budget, estimates));
  if (may_divide(problem))
    plan.schedule = divided(problem, plan.shape, plan.schedule, {std::min(kStreams, plan.shape.L * plan.shape.D)},
                            estimates, wavefronts);
  plan.tiles = make_tiles(plan.shape, plan.schedule);
  plan.sizes = lay_out_any(plan.layout(), plan, nullptr);
  if (plan.schedule.thread_groups > 1)
    plan.graph = std::make_unique<TileGraph>(costed_graph(plan.shape, plan.schedule, plan.tiles, estimates));
  plan.offsets.assign(plan.shape.offsets.begin(), plan.shape.offsets.end());
  plan.identity = identity_of(problem, plan.shape);
  return plan;
}

double predicted_seconds(const Plan& plan) {
  return plan.graph ? makespan(plan) : layers_seconds(plan.shape, plan.schedule, plan.device);
}

BufferTable Plan::buffers() const {
  Plan unused;
  BufferTable table;
  lay_out_any({shape, machine, schedule, &tiles}, unused, &table);
  return table;
}

}  // namespace rnn_engine::cuda
