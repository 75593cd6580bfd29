#include "cpu/speed.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "base/kept.h"
#include "base/pool.h"
#include "cpu/cost.h"
#include "cpu/dtype.h"
#include "cpu/gemm/gemm.h"
#include "plan/schedule.h"

namespace rnn_engine {
namespace {

// Raised when typical costs or what is measured here change.
constexpr int kVersion = 1;
constexpr std::array<std::int64_t, 3> kRowsMeasured{1, 16, 64};

// Of this thread at work, so that whatever else the machine does meanwhile hardly counts.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct alignas(64) Seconds {
  std::array<double, kRowsMeasured.size()> least;
  Seconds() { least.fill(std::numeric_limits<double>::infinity()); }
};

// Products with weights that a near cache holds, on all threads: the least seconds of many short runs, in bounded time
// whatever the machine. Who has more threads than there are processors shares those.
template <class T>
double measure(const Kernels<T>& kernels, int threads) {
  constexpr std::int64_t kDeep = 256, kOperations = 1 << 21, kRounds = 50;
  constexpr auto kEnough = std::chrono::milliseconds(60);
  const int count = std::min(threads, processors());
  const Machine machine{kernels.width, count, kInterleave<T>, kernels.k_group};
  const auto columns = static_cast<std::int64_t>(Costs::kNear / (sizeof(T) * kDeep)) / 64 * 64;
  const auto each = static_cast<std::size_t>(packed_size(machine, kDeep, columns));
  const auto outputs = static_cast<std::size_t>(kRowsMeasured.back() * columns);
  const std::vector<T> a(static_cast<std::size_t>(kRowsMeasured.back() * kDeep), narrow<T>(0.5f));
  const std::vector<T> packed(each * static_cast<std::size_t>(count), narrow<T>(0.25f));
  std::vector<Value<T>> c(outputs * static_cast<std::size_t>(count));
  std::vector<Seconds> seconds(static_cast<std::size_t>(count));
  const auto operations = [&](std::int64_t rows) { return 2 * rows * columns * kDeep; };
  const auto repeats = [&](std::int64_t rows) { return std::max<std::int64_t>(1, kOperations / operations(rows)); };
  Pool pool(count);
  const auto end = std::chrono::steady_clock::now() + kEnough;
  for (std::int64_t round = 0; round < kRounds && (round == 0 || std::chrono::steady_clock::now() < end); ++round)
    pool.run([&](Team& team) {
      const auto id = static_cast<std::size_t>(team.id());
      for (std::size_t i = 0; i < kRowsMeasured.size(); ++i) {
        const std::int64_t rows = kRowsMeasured[i];
        const double start = thread_seconds();
        for (std::int64_t repeat = 0; repeat < repeats(rows); ++repeat)
          multiply(Team(0, 1, nullptr), kernels,
                   Product<T>{rows, columns, kDeep, a.data(), kDeep, packed.data() + id * each, nullptr, 0,
                              c.data() + id * outputs, columns});
        seconds[id].least[i] = std::min(seconds[id].least[i], thread_seconds() - start);
      }
    });
  const Costs costs = typical_costs(machine, dtype_of<T>());
  double logs = 0;
  for (std::size_t i = 0; i < kRowsMeasured.size(); ++i) {
    const auto rows = static_cast<double>(kRowsMeasured[i]);
    double slowest = 0;
    for (const Seconds& own : seconds) slowest = std::max(slowest, own.least[i]);
    const double done = static_cast<double>(operations(kRowsMeasured[i]) * repeats(kRowsMeasured[i]));
    logs += std::log(done / (costs.rate(rows, Costs::kNear) * std::max(slowest, 1e-9)));
  }
  return std::exp(logs / kRowsMeasured.size()) * count / threads;
}

std::string processor() {
  std::ifstream facts("/proc/cpuinfo");
  std::string line, found;
  while (std::getline(facts, line) && !line.empty())  // the first processor's
    for (const char* name : {"model name", "CPU implementer", "CPU part"})
      if (line.starts_with(name)) found += line.substr(std::min(line.find(':'), line.size())) + " ";
  return found;
}

}  // namespace

template <class T>
double speed_of(const Backend& backend, int threads) {
  constexpr double kLeast = 1e-6, kMost = 1e3;
  const int dtype = dtype_of<T>();
  const Fact fact{"speed",
                  "version: " + std::to_string(RNN_ENGINE_API_VERSION) + "." + std::to_string(kVersion) +
                      "\nprocessor" + processor() + "\nprocessors: " + std::to_string(processors()) +
                      "\ninstruction set: " + backend.isa + "\ndtype: " + std::to_string(dtype) +
                      "\nthreads: " + std::to_string(threads) + "\n",
                  kLeast, kMost};
  if (const auto before = kept(fact)) return *before;
  const double speed = std::clamp(measure<T>(backend.template kernels<T>(), threads), kLeast, kMost);
  keep(fact, speed);
  return speed;
}

template double speed_of<float>(const Backend&, int);
template double speed_of<double>(const Backend&, int);
template double speed_of<BFloat16>(const Backend&, int);

}  // namespace rnn_engine
