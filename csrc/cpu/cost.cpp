#include "cpu/cost.h"

#include "cpu/dtype.h"
#include "cpu/workspace.h"

namespace rnn_engine {
namespace {

// Seconds to take a tile from the queue.
constexpr double kTake = 2.5e-6;

// What float32 costs with vectors of 64 bytes and of 32: shares of the highest rate by rows, for both sizes.
constexpr double kPeak64 = 115e9, kPeak32 = 70e9;
constexpr Costs kVectors64{.product_rate = {{{0.45, 0.92, 0.97, 1, 1}, {0.21, 0.60, 0.93, 0.98, 1}}},
                           .cell_forward = {2.4e-9, 2.9e-9, 5.5e-9, 5.9e-9, 1.7e-9},
                           .cell_backward = {1.2e-9, 3.8e-9, 8.7e-9, 11.2e-9, 2.3e-9},
                           .memory_rate = 25e9,
                           .barrier_cost = 26e-9};
constexpr Costs kVectors32{.product_rate = {{{0.45, 0.65, 0.87, 0.98, 1}, {0.21, 0.51, 0.89, 0.98, 1}}},
                           .cell_forward = {3.8e-9, 4.0e-9, 6.5e-9, 7.2e-9, 2.6e-9},
                           .cell_backward = {1.8e-9, 5.4e-9, 12e-9, 15.5e-9, 3.5e-9},
                           .memory_rate = 25e9,
                           .barrier_cost = 26e-9};
// Products of bfloat16 in a matrix unit: few rows read the weights as fast as they come.
constexpr double kPeakTiles = 1.7e12;
constexpr decltype(Costs::product_rate) kTiles{{{0.06, 0.23, 0.63, 0.91, 1}, {0.02, 0.075, 0.27, 0.55, 0.70}}};

// The parts that tiles are made of, for one layer on `threads` threads.
class LayerCost {
 public:
  LayerCost(const Shape& shape, const Machine& machine, std::int64_t layer, double threads, const Costs& costs)
      : costs_(costs),
        H_(static_cast<double>(shape.layer(layer).H)),
        I_(static_cast<double>(shape.layer(layer).I)),
        R_(static_cast<double>(shape.layer(layer).R)),
        value_(static_cast<double>(bytes_of_value(shape.dtype))),
        sum_(static_cast<double>(bytes_of_sum(shape.dtype))),
        gradient_depth_(static_cast<double>(kGradientSteps * machine.k_interleave)),
        gates_(shape.cell.gates),
        threads_(threads),
        barrier_cost_(threads > 1 ? costs.barrier_cost : 0),
        cell_(static_cast<std::size_t>(shape.cell_index)),
        projected_(shape.projected) {
    const double units = std::ceil(H_ / machine.width);
    share_ = std::ceil(units / threads) / units;  // of the thread that has the most units
  }

  double pack(double columns) const { return 2 * value_ * gates_ * H_ * columns / (threads_ * costs_.memory_rate); }
  double pack_forward() const { return pack(I_ + R_); }
  double pack_backward() const { return pack(R_); }
  // Groups take turns with the pseudo-layers: a tile's weights come from a far cache, and the tile itself
  // from the queue.
  double hand_over(TileKind kind) const {
    const bool steps = kind == TileKind::kForward || kind == TileKind::kReplay || kind == TileKind::kBackward;
    return (steps ? pack(R_) / 2 : 0) + kTake;
  }

  // W x of many rows.
  double input_product(double rows) const { return product(rows, 2 * gates_ * rows * H_ * I_, gates_ * H_ * I_); }
  // U h' and the cells, a step at a time.
  double forward_steps(double steps, double rows) const { return this->steps(steps, rows, costs_.cell_forward[cell_]); }
  double backward_steps(double steps, double rows) const {
    return this->steps(steps, rows, costs_.cell_backward[cell_]);
  }
  // The same as forward_steps in large products, and the cells alone.
  double recomputed_gates(double rows) const {
    return input_product(rows) + product(rows, 2 * gates_ * rows * H_ * R_, gates_ * H_ * R_) +
           rows * H_ * share_ * costs_.cell_forward[cell_] + pack(I_ + R_);
  }
  double weight_gradients(double rows) const {
    const double passes = std::ceil(rows / gradient_depth_);  // over the gradients, in and out of memory
    return 2 * gates_ * rows * H_ * (I_ + R_) / (threads_ * costs_.rate(256, Costs::kNear)) +
           passes * pack(I_ + R_) * sum_ / value_;
  }
  double input_gradient(double rows) const {
    return product(rows, 2 * gates_ * rows * H_ * I_, gates_ * H_ * I_) + pack(I_);
  }

 private:
  // `values`: of its right-hand side.
  double product(double rows, double operations, double values) const {
    return operations * share_ / costs_.rate(rows, values * value_ * share_);
  }
  double barrier_cost(double rows) const { return std::sqrt(rows * R_ * value_) * barrier_cost_; }
  double steps(double steps, double rows, double cell) const {
    double step =
        product(rows, 2 * gates_ * rows * H_ * R_, gates_ * H_ * R_) + rows * H_ * share_ * cell + barrier_cost(rows);
    if (projected_) step += product(rows, 2 * rows * H_ * R_, H_ * R_) + barrier_cost(rows);
    return steps * step;
  }

  const Costs& costs_;
  const double H_, I_, R_;
  const double value_, sum_;  // bytes of what is stored, and of what is computed with
  const double gradient_depth_, gates_, threads_, barrier_cost_;
  const std::size_t cell_;
  const bool projected_;
  double share_;
};

// Without the packing of weights, which a pseudo-layer does once.
double seconds_of(TileKind kind, Policy policy, const LayerCost& cost, double steps, double rows_of_step) {
  const double rows = steps * rows_of_step;
  switch (kind) {
    case TileKind::kForward:
    case TileKind::kReplay:
      return cost.input_product(rows) + cost.forward_steps(steps, rows_of_step);
    case TileKind::kBackward: {
      double seconds = cost.backward_steps(steps, rows_of_step);
      if (policy == Policy::kRecompute) seconds += cost.recomputed_gates(rows);
      if (policy != Policy::kStore) seconds += cost.weight_gradients(rows) + cost.input_gradient(rows);
      return seconds;
    }
    case TileKind::kWeightGradients:
      return cost.weight_gradients(rows);
    case TileKind::kInputGradient:
      return cost.input_gradient(rows);
  }
  return 0;
}

double rows_of_step(const Shape& shape) { return static_cast<double>(shape.N) / static_cast<double>(shape.T); }

}  // namespace

Costs typical_costs(const Machine& machine, int dtype) {
  const bool wide = static_cast<std::size_t>(machine.width) * bytes_of_sum(dtype) >= 64;
  Costs costs = wide ? kVectors64 : kVectors32;
  // float64: half as many values in a vector, and longer series; bfloat16 is multiplied as float32 but in a matrix
  // unit, and its cells also round.
  const bool doubles = dtype == RNN_ENGINE_FLOAT64, halves = dtype == RNN_ENGINE_BFLOAT16;
  const bool tiles = machine.k_group > machine.k_interleave;
  if (tiles) costs.product_rate = kTiles;
  const double vectors = (wide ? kPeak64 : kPeak32) * (doubles ? 0.5 : 1), peak = tiles ? kPeakTiles : vectors;
  const double cells = doubles ? 2.7 : halves ? 1.35 : 1;
  for (auto& rates : costs.product_rate)
    for (double& rate : rates) rate *= peak;
  for (double& seconds : costs.cell_forward) seconds *= cells;
  for (double& seconds : costs.cell_backward) seconds *= cells;
  return costs;
}

double tile_seconds(const Shape& shape, const Machine& machine, const Schedule& schedule, const Tile& tile,
                    const Costs& costs) {
  const double threads = static_cast<double>(machine.threads / schedule.thread_groups);
  const LayerCost cost(shape, machine, tile.layer, threads, costs);
  double seconds = 0;
  if (tile.kind == TileKind::kForward && tile.s0 == 0 && !shape.prepacked) seconds += cost.pack_forward();
  if (tile.kind == TileKind::kReplay && tile.s1 == shape.T) seconds += cost.pack_forward();
  if (tile.kind == TileKind::kBackward && tile.s1 == shape.T) seconds += cost.pack_backward();
  if (schedule.thread_groups > 1) seconds += cost.hand_over(tile.kind);
  return seconds + seconds_of(tile.kind, schedule.of(tile.layer), cost, static_cast<double>(tile.s1 - tile.s0),
                              rows_of_step(shape));
}

double predicted_seconds(const Shape& s, const Machine& machine, const Schedule& schedule, const Costs& costs) {
  double seconds = 0;
  for (std::int64_t layer = 0; layer < s.L; ++layer) {
    const LayerCost cost(s, machine, layer, machine.threads, costs);
    const double pseudo_layers = static_cast<double>(s.D), T = static_cast<double>(s.T);
    // All of a kind, as so many tiles of equal length.
    const auto add = [&](TileKind kind, std::int64_t steps) {
      const double count = std::ceil(T / static_cast<double>(steps));
      seconds += pseudo_layers * count * seconds_of(kind, schedule.of(layer), cost, T / count, rows_of_step(s));
    };
    seconds += pseudo_layers * (s.prepacked ? 0 : cost.pack_forward());
    add(TileKind::kForward, schedule.forward_steps);
    if (!s.training) continue;
    seconds += pseudo_layers * cost.pack_backward();
    if (schedule.checkpoint()) seconds += pseudo_layers * cost.pack_forward();
    if (schedule.checkpoint()) add(TileKind::kReplay, schedule.backward_steps);
    add(TileKind::kBackward, schedule.backward_steps);
    if (schedule.of(layer) != Policy::kStore) continue;
    add(TileKind::kWeightGradients, schedule.gradient_steps);
    if (layer > 0 || s.input_gradient) add(TileKind::kInputGradient, schedule.backward_steps);
  }
  return seconds;
}

bool is_brief(const Shape& s, bool in_backward) {
  // A thread that sleeps is there after some tens of microseconds, on a virtual machine a hundred, and then saves half
  // of the rest. These are rates of one thread that any machine has within a factor of two: costs need not be measured.
  constexpr double kBrief = 150e-6, kOperations = 30e9, kBytes = 20e9;
  double operations = 0, bytes = 0;
  for (const LayerShape& layer : s.layers) {
    const double weights = static_cast<double>(s.D * layer.Z) * static_cast<double>(layer.I + layer.R);
    operations += 2 * static_cast<double>(s.N) * weights;
    bytes += static_cast<double>(bytes_of_value(s.dtype)) * weights;
  }
  const double calls = in_backward ? 2 : 1;
  return calls * (operations / kOperations + bytes / kBytes) < kBrief;
}

}  // namespace rnn_engine
