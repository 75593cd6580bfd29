#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <vector>

#include "cpu/gemm/gemm.h"
#include "cpu/probe.h"
#include "cpu/run/run.h"

namespace rnn_engine {
namespace {

// Seconds of one call: the best of a few, of which the first warms up. Others may take the cores meanwhile,
// so calls are to be short; where they are not, there are fewer.
template <class Work>
double seconds_of(const Work& work) {
  using Clock = std::chrono::steady_clock;
  constexpr int kCalls = 4;
  const auto end = Clock::now() + std::chrono::milliseconds(100);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kCalls && (i == 0 || Clock::now() < end); ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

// Rates of one thread's products, all threads at work at once, each with weights of its own.
template <class T>
void measure_products(const Kernels<T>& kernels, Pool& pool, Costs& costs) {
  constexpr std::int64_t kDeep = 256, kMostRows = 256, kOperations = 1 << 23;  // of a call, at most
  const Machine machine{kernels.width, pool.threads(), kInterleave<T>};
  const auto columns = [&](double bytes) { return static_cast<std::int64_t>(bytes / (sizeof(T) * kDeep)) / 64 * 64; };
  const std::int64_t most = columns(Costs::kFar);
  const auto threads = static_cast<std::size_t>(pool.threads());
  const auto own_packed = static_cast<std::size_t>(packed_size(machine, kDeep, most));
  const auto own_c = static_cast<std::size_t>(kOperations / (2 * kDeep) + most);
  const std::vector<T> a(static_cast<std::size_t>(kMostRows * kDeep), narrow<T>(0.5f)),
      packed(own_packed * threads, narrow<T>(0.25f));
  std::vector<Value<T>> c(own_c * threads);
  for (int size = 0; size < Costs::kSizes; ++size) {
    const std::int64_t all = columns(size == 0 ? Costs::kNear : Costs::kFar);
    std::int64_t rows = 1;
    for (double& rate : costs.product_rate[static_cast<std::size_t>(size)]) {
      // With many rows the weights' size matters little, and a part of them will do.
      const std::int64_t n = std::min(all, kOperations / (2 * kDeep * rows));
      const std::int64_t repeats = std::max<std::int64_t>(1, kOperations / 2 / (2 * kDeep * n * rows));
      const double seconds = seconds_of([&] {
        pool.run([&](Team& team) {
          const auto thread = static_cast<std::size_t>(team.id());
          for (std::int64_t i = 0; i < repeats; ++i)
            multiply(Team(0, 1, nullptr), kernels,
                     Product<T>{rows, n, kDeep, a.data(), kDeep, packed.data() + thread * own_packed, nullptr, 0,
                                c.data() + thread * own_c, n});
        });
      });
      rate = 2.0 * static_cast<double>(rows * n * kDeep * repeats) / seconds;
      rows *= 4;
    }
  }
}

// Seconds of a cell's kernel for one unit of one row, in the nearest caches.
template <class T>
double measure_cell(const Kernels<T>& kernels, const CellTraits& traits, void (*kernel)(const CellTile<T>&)) {
  constexpr std::int64_t kUnits = 64, kRows = 32;
  constexpr int kRepeats = 8;
  const auto values = [](std::int64_t count, Value<T> value) {
    return std::vector<Value<T>>(static_cast<std::size_t>(count), value);
  };
  const std::vector<Value<T>> wx = values(kRows * 4 * kUnits, Value<T>(0.5f)), uh = wx,
                              vector = values(4 * kUnits, Value<T>(1)), state = values(kRows * kUnits, Value<T>(0.1f));
  std::vector<T> gates_wx(wx.size(), narrow<T>(0.5f)), gates_uh = gates_wx, h(state.size());
  std::vector<Value<T>> c = state, dc = state, sums = values(kUnits * traits.sums_width(), 0),
                        work = values(kCellRows * std::max(1, traits.work) * kUnits, 0);
  CellTile<T> cell{};
  cell.rows = kRows;
  cell.gate_stride = kUnits;
  cell.wx = wx.data();
  cell.uh = traits.split ? uh.data() : nullptr;
  cell.gates_wx = gates_wx.data();
  cell.gates_uh = traits.split ? gates_uh.data() : nullptr;
  cell.product_row = cell.gates_row = 4 * kUnits;
  for (int e = 0; e < traits.vectors(); ++e) cell.vector_params[e] = vector.data();
  cell.c_prev = cell.dh = state.data();
  cell.c = c.data();
  cell.h = h.data();
  cell.dc = dc.data();
  cell.sums = sums.data();
  cell.work = work.data();
  cell.c_prev_row = cell.c_row = cell.h_row = cell.dh_row = cell.dc_row = kUnits;
  const std::int64_t most = traits.whole_rows ? kUnits : kernels.width;
  const double seconds = seconds_of([&] {
    for (int repeat = 0; repeat < kRepeats; ++repeat)
      for (std::int64_t unit = 0; unit < kUnits; unit += most) {
        CellTile<T> tile = cell;
        tile.units = std::min(most, kUnits - unit);
        tile.wx += unit;
        tile.gates_wx += unit;
        kernel(tile);
      }
  });
  return seconds / (kRepeats * static_cast<double>(kRows * kUnits));
}

double measure_memory(Pool& pool) {
  constexpr std::size_t kCopied = std::size_t{2} << 20;  // bytes: more than the nearer caches hold
  const auto threads = static_cast<std::size_t>(pool.threads());
  const std::vector<char> from(kCopied * threads, 1);
  std::vector<char> to(kCopied * threads);
  const double seconds = seconds_of([&] {
    pool.run([&](Team& team) {
      const std::size_t begin = kCopied * static_cast<std::size_t>(team.id());
      std::memcpy(to.data() + begin, from.data() + begin, kCopied);
    });
  });
  return 2.0 * static_cast<double>(kCopied) / seconds;
}

// What makes the prediction for a probe come true. The ratio of two ways to run one stack is measured better
// than either time: what disturbs one run also disturbs the next.
template <class T>
double measure_barrier(const Backend& backend, Pool& pool, Costs costs) {
  const Probe<T> probe(backend, pool, 64, 4, 128, costs);
  const double measured = probe.measured();
  double low = 0, high = 100e-9;  // some times what an idle machine needs
  for (int i = 0; i < 24; ++i) {
    costs.barrier_cost = (low + high) / 2;
    (probe.predicted(costs) < measured ? low : high) = costs.barrier_cost;  // predictions rise with it
  }
  return costs.barrier_cost;
}

}  // namespace

template <class T>
Costs calibrate(const Backend& backend, Pool& pool) {
  const Kernels<T>& kernels = backend.template kernels<T>();
  Costs costs;
  measure_products(kernels, pool, costs);
  for (std::size_t i = 0; i < kCells; ++i) {
    costs.cell_forward[i] = measure_cell(kernels, kCellTable[i], kernels.cell_forward[i]);
    costs.cell_backward[i] = measure_cell(kernels, kCellTable[i], kernels.cell_backward[i]);
  }
  costs.memory_rate = measure_memory(pool);
  if (pool.threads() > 1) costs.barrier_cost = measure_barrier<T>(backend, pool, costs);
  return costs;
}

template Costs calibrate<float>(const Backend&, Pool&);
template Costs calibrate<double>(const Backend&, Pool&);
template Costs calibrate<BFloat16>(const Backend&, Pool&);

}  // namespace rnn_engine
