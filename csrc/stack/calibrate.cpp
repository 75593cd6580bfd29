#include <chrono>
#include <vector>

#include "stack/gemm.h"
#include "stack/stack.h"

namespace rnn_engine {
namespace {

// Seconds of one call: the best of a few, after one that warms up.
template <class Work>
double seconds_of(const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  work();
  for (int i = 0; i < 2; ++i) {
    const auto start = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (i == 0 || seconds < best) best = seconds;
  }
  return best;
}

}  // namespace

Costs calibrate(const Backend& backend, Pool& pool) {
  constexpr std::int64_t kHidden = 128, kRows = 256, kUnits = 64;
  const Kernels<float>& kernels = backend.f32;
  const Machine machine{kernels.width, pool.threads()};
  Costs costs;
  // One panel's worth for each class of rows; its size does not matter much while the weights fit in a cache.
  std::vector<float> a(static_cast<std::size_t>(kRows * kHidden), 0.5f),
      packed(static_cast<std::size_t>(packed_size(machine, kHidden, 4 * kHidden)), 0.25f),
      c(static_cast<std::size_t>(kRows * 4 * kHidden));
  std::int64_t rows = 1;
  for (double& rate : costs.product_rate) {
    const std::int64_t repeats = std::max<std::int64_t>(1, 64 / rows);
    const double seconds = seconds_of([&] {
      pool.run([&](Team& team) {
        for (std::int64_t i = 0; i < repeats; ++i) {
          multiply(team, kernels,
                   Product<float>{rows, 4 * kHidden, kHidden, a.data(), kHidden, packed.data(), nullptr, 0,
                                  c.data(), 4 * kHidden});
          team.barrier();
        }
      });
    });
    rate = 8.0 * static_cast<double>(rows * kHidden * kHidden * repeats) / seconds;
    rows *= 4;
  }
  // Cells, on one thread's share.
  std::vector<float> state(static_cast<std::size_t>(kUnits * kUnits), 0.1f), dh(state), dc(state), h(state),
      sums(static_cast<std::size_t>(4 * kUnits * kMaxSums));
  CellTile<float> cell{};
  cell.rows = kUnits;
  cell.gate_stride = kUnits;
  cell.a = c.data();
  cell.a_row = 4 * kUnits;
  cell.c_prev = cell.c = state.data();
  cell.h = h.data();
  cell.dh = dh.data();
  cell.dc = dc.data();
  cell.sums = sums.data();
  cell.c_prev_row = cell.c_row = cell.h_row = cell.dh_row = cell.dc_row = kUnits;
  const auto cells = [&](void (*kernel)(const CellTile<float>&)) {
    const double seconds = seconds_of([&] {
      for (int repeat = 0; repeat < 8; ++repeat)
        for (std::int64_t unit = 0; unit < kUnits; unit += kernels.width) {
          CellTile<float> tile = cell;
          tile.units = std::min<std::int64_t>(kernels.width, kUnits - unit);
          tile.a += unit;
          kernel(tile);
        }
    });
    return seconds / (8.0 * kUnits * kUnits * pool.threads());
  };
  costs.cell_forward = cells(kernels.cell_forward[RNN_ENGINE_LSTM]);
  std::fill(c.begin(), c.end(), 0.5f);
  costs.cell_backward = cells(kernels.cell_backward[RNN_ENGINE_LSTM]);
  constexpr std::size_t kCopied = std::size_t{4} << 20;  // bytes: more than the nearer caches hold
  std::vector<char> from(kCopied, 1), to(kCopied);
  const double copied = seconds_of([&] { std::memcpy(to.data(), from.data(), kCopied); });
  costs.memory_rate = 2.0 * static_cast<double>(kCopied) / copied;
  return costs;
}

}  // namespace rnn_engine
