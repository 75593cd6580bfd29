// The C API under arbitrary problems: bytes become a problem, which is planned, given exactly the memory that
// the plan asks for, and run forward and backward.
//
// What must hold: a problem is refused with a message, or it runs. It then writes every result and nothing else, and
// its bits are those of one thread of the generic instruction set that keeps everything. Inputs that nobody may read
// are not there: every block ends where it should, so that a sanitizer sees the first byte beyond it.
//
// The entry is libFuzzer's; replay.cpp calls it without libFuzzer.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz.h"
#include "rnn_engine.h"

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 24;  // of an arena; larger problems are only planned

// Memory of exactly so many bytes, aligned for the engine.
struct Free {
  void operator()(void* pointer) const { std::free(pointer); }
};
using Block = std::unique_ptr<void, Free>;

Block block_of(std::size_t bytes, int fill = 0xFF) {  // 0xFF: nan
  void* pointer = nullptr;
  expect(posix_memalign(&pointer, 64, std::max<std::size_t>(bytes, 1)) == 0, "no memory");
  std::memset(pointer, fill, bytes);
  return Block(pointer);
}

struct Problem {
  rnn_engine_problem raw{};
  rnn_engine_masks masks{};
  std::vector<std::int64_t> hidden, batch_sizes, row_ids;

  // Bytes of what is computed with (vectors, cell states, gradients of weights), and of all else.
  std::size_t value() const { return raw.dtype == RNN_ENGINE_FLOAT64 ? 8 : 4; }
  std::size_t stored() const { return raw.dtype == RNN_ENGINE_BFLOAT16 ? 2 : value(); }
};

// Now and then one field is anything at all. What a pointer's length depends on stays in step with it.
void spoil(Problem& p, Bytes& bytes) {
  const int field = static_cast<int>(bytes.between(0, 15));
  const auto any = static_cast<std::int64_t>(bytes.take(8));
  rnn_engine_problem& raw = p.raw;
  if (field == 0) raw.cell = static_cast<std::int32_t>(any);
  if (field == 1) raw.dtype = static_cast<std::int32_t>(any);
  if (field == 2) raw.steps = any, raw.batch_sizes = nullptr;
  if (field == 3) raw.batch = any, raw.batch_sizes = nullptr, p.masks.row_ids = nullptr;
  if (field == 4) raw.input_size = any;
  if (field == 5) raw.layers = std::min<std::int64_t>(any, raw.layers);
  if (field == 6) raw.projection = any;
  if (field == 7) raw.directions = static_cast<std::int32_t>(any);
  if (field == 8) std::memcpy(&raw.dropout, &any, sizeof any);
  if (field == 9) raw.memory = static_cast<std::int32_t>(any);
  if (field == 10) raw.budget = static_cast<std::uint64_t>(any);
  if (field == 11) p.hidden.back() = any, raw.residual = static_cast<std::int32_t>(any & 1);
  if (field == 12) raw.hidden_sizes = nullptr;
  if (field == 13 && raw.batch_sizes) p.batch_sizes.back() = any;
  if (field == 15) std::memcpy(&raw.zoneout[any & 1], &any, sizeof any), raw.recurrent_dropout = raw.zoneout[1];
  if (field == 14) raw.steps = 1 + (any & 0xFFFFFFFFFF), raw.batch_sizes = nullptr;
}

void decode(Bytes& bytes, Problem& p) {
  rnn_engine_problem& raw = p.raw;
  const auto flags = bytes.take(4);
  const auto flag = [&](int bit) { return static_cast<std::int32_t>(flags >> bit & 1); };
  raw.cell = flag(21) & flag(22) ? RNN_ENGINE_GRU : flag(0) + 2 * flag(16);
  raw.dtype = flag(23) ? RNN_ENGINE_BFLOAT16 : flag(1);
  raw.bias = flag(2);
  raw.training = flag(3) | flag(4);
  raw.output = flag(5) | flag(6);
  raw.cell_output = flag(7);
  raw.input_gradient = flag(8);
  raw.prepacked = flag(9) & ~raw.training & 1;
  raw.directions = 1 + flag(10);
  raw.memory = static_cast<std::int32_t>(bytes.between(0, 3));
  raw.schedule = static_cast<std::int32_t>(bytes.between(0, 2));
  raw.steps = bytes.between(1, 12);
  raw.batch = bytes.between(1, flag(11) ? 40 : 9);
  raw.input_size = bytes.between(1, 20);
  raw.layers = bytes.between(1, 4);
  // One normalised unit is always zero, and the gradients through its zero rows grow until they overflow.
  const std::int64_t fewest = raw.cell >= RNN_ENGINE_LAYER_NORM_LSTM ? 2 : 1;
  const std::int64_t equal = bytes.between(fewest, 36);
  for (std::int64_t l = 0; l < raw.layers; ++l) p.hidden.push_back(flag(12) ? bytes.between(fewest, 36) : equal);
  const std::int64_t least = *std::min_element(p.hidden.begin(), p.hidden.end());
  if (flag(13) && raw.cell != RNN_ENGINE_GRU) raw.projection = bytes.between(0, least - 1);
  if (flag(14)) {
    std::int64_t running = raw.batch;
    for (std::int64_t t = 0; t < raw.steps; ++t) {
      p.batch_sizes.push_back(running);
      running = bytes.flag() ? running : bytes.between(1, running);
    }
    raw.batch_sizes = p.batch_sizes.data();
  }
  if (flag(15)) {
    for (std::int64_t b = 0; b < raw.batch; ++b) p.row_ids.push_back(static_cast<std::int64_t>(bytes.take(1)));
    p.masks.row_ids = p.row_ids.data();
  }
  raw.hidden_sizes = p.hidden.data();
  raw.dropout = std::array{0.0, 0.3, 1.0, 1e-9}[static_cast<std::size_t>(bytes.between(0, 3))];
  if (flag(17)) raw.recurrent_dropout = 0.4;
  if (flag(18) && raw.cell != RNN_ENGINE_GRU) raw.zoneout[0] = 0.2;
  if (flag(19)) raw.zoneout[1] = 0.1;
  raw.zoneout_masks = flag(20) & raw.training;
  raw.residual = flag(24) & ~flag(12) & 1;
  raw.dropout_per_sentence = flag(25);
  p.masks.seed = bytes.take(8);
  raw.budget = bytes.take(3);
  if (bytes.between(0, 7) == 0) spoil(p, bytes);
}

void write(void* data, std::size_t i, std::size_t bytes, double x) {
  const auto single = static_cast<float>(x);
  if (bytes == 2)
    std::memcpy(static_cast<char*>(data) + 2 * i, reinterpret_cast<const char*>(&single) + 2, 2);
  else if (bytes == 4)
    static_cast<float*>(data)[i] = single;
  else
    static_cast<double*>(data)[i] = x;
}

double read(const void* data, std::size_t i, std::size_t bytes) {
  if (bytes == 8) return static_cast<const double*>(data)[i];
  if (bytes == 4) return static_cast<const float*>(data)[i];
  float single = 0;
  std::memcpy(reinterpret_cast<char*>(&single) + 2, static_cast<const char*>(data) + 2 * i, 2);
  return single;
}

// Arrays of a run in the order in which they are made, of `bytes` a value; inputs' values follow from a seed.
class Arrays {
 public:
  explicit Arrays(std::uint64_t seed) : state_(seed | 1) {}

  void* input(std::int64_t count, std::size_t bytes) {
    void* data = output(count, bytes);
    for (std::int64_t i = 0; i < count; ++i) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      write(data, static_cast<std::size_t>(i), bytes, static_cast<double>(state_ >> 40) / (1 << 24) - 0.5);
    }
    return data;
  }
  void* output(std::int64_t count, std::size_t bytes) {
    blocks_.push_back(block_of(static_cast<std::size_t>(count) * bytes));
    return blocks_.back().get();
  }
  // An output that is compared in the end: it must have been written, all of it.
  void* result(std::int64_t count, std::size_t bytes) {
    results_.push_back({output(count, bytes), static_cast<std::size_t>(count), bytes});
    return results_.back().data;
  }
  std::vector<double> results() const {
    std::vector<double> all;
    for (const auto& [data, count, bytes] : results_)
      for (std::size_t i = 0; i < count; ++i) all.push_back(read(data, i, bytes));
    return all;
  }

 private:
  struct Result {
    void* data;
    std::size_t count, bytes;
  };
  std::uint64_t state_;
  std::vector<Block> blocks_;
  std::vector<Result> results_;
};

// One set for each layer and direction, each array from make(count, bytes of a value), matrices of
// `matrix` bytes a value; of gradients, some are not wanted.
template <class Make>
std::vector<rnn_engine_weights> weights_of(const rnn_engine_plan* plan, const Problem& p, std::uint64_t wanted,
                                           std::size_t matrix, const Make& make) {
  std::vector<rnn_engine_weights> all(static_cast<std::size_t>(p.raw.layers * p.raw.directions));
  int index = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    rnn_engine_weights& w = all[i];
    void** members[] = {&w.weight_ih, &w.weight_hh, &w.bias_ih, &w.bias_hh, &w.weight_hr};
    for (int which = 0; which < 5 + RNN_ENGINE_MAX_VECTOR_PARAMS; ++which) {
      std::int64_t count = 0;
      expect(rnn_engine_plan_weight(plan, static_cast<std::int64_t>(i), which, &count) == 0, "weight");
      if (count == 0 || !(wanted >> index++ % 64 & 1)) continue;
      void*& member = which < 5 ? *members[which] : w.vector_params[which - 5];
      member = make(count, which < 2 || which == 4 ? matrix : p.value());
    }
  }
  return all;
}

// What the caller leaves out, and which required pointer is missing (most often none).
struct Choices {
  std::uint64_t states, gradients;
  int missing;
};

std::vector<double> run(rnn_engine_context* context, const Problem& p, const Choices& choices) {
  const rnn_engine_problem& raw = p.raw;
  rnn_engine_plan* made = nullptr;
  if (rnn_engine_plan_create(context, &raw, &made) != RNN_ENGINE_OK) {
    expect(*rnn_engine_last_error() != 0, "an error without a message");
    return {};
  }
  const std::unique_ptr<rnn_engine_plan, decltype(&rnn_engine_plan_destroy)> plan(made, rnn_engine_plan_destroy);
  rnn_engine_sizes sizes{};
  expect(rnn_engine_plan_sizes(made, &sizes) == 0, "sizes");
  std::size_t count = 0;
  expect(rnn_engine_plan_buffers(made, nullptr, 0, &count) == 0, "no table of buffers");
  const auto rows = static_cast<double>(raw.steps) * static_cast<double>(raw.batch);
  double widths = static_cast<double>(raw.input_size);
  for (std::int64_t l = 0; l < raw.layers; ++l)
    widths += 8.0 * static_cast<double>(p.hidden[static_cast<std::size_t>(l)]);
  if (sizes.reserve_bytes + sizes.workspace_bytes > kMostBytes || (rows + widths) * widths > kMostBytes) return {};

  Arrays arrays(p.masks.seed);
  const std::size_t stored = p.stored(), value = p.value();
  rnn_engine_array_sizes values{};
  expect(rnn_engine_plan_arrays(made, &values) == 0, "arrays");
  const auto [N, X, Y, CY, h, c] = values;
  const auto optional = [&](int bit, std::int64_t size, std::size_t bytes) {
    return choices.states >> bit & 1 ? arrays.input(size, bytes) : nullptr;
  };

  const std::vector<rnn_engine_weights> weights =
      weights_of(made, p, ~std::uint64_t{0}, stored,
                 [&](std::int64_t size, std::size_t bytes) { return arrays.input(size, bytes); });
  const Block reserve = block_of(sizes.reserve_bytes), workspace = block_of(sizes.forward_workspace_bytes);
  Block packed;
  rnn_engine_forward_args f{};
  f.weights = weights.data();
  if (raw.prepacked) {
    packed = block_of(sizes.packed_bytes);
    expect(rnn_engine_pack(made, weights.data(), packed.get(), nullptr) == 0, "pack");
  }
  f.packed = packed.get();
  f.x = arrays.input(X, stored);
  f.h0 = optional(0, h, stored);
  f.c0 = optional(1, c, value);
  f.y = raw.output || raw.training ? arrays.result(Y, stored) : nullptr;
  f.cy = raw.cell_output ? arrays.result(CY, value) : nullptr;
  f.hn = arrays.result(h, stored);
  f.cn = arrays.result(c, value);
  f.masks = p.masks;
  f.reserve = reserve.get();
  f.workspace = workspace.get();
  if (choices.missing >= 1 && choices.missing <= 4) {
    rnn_engine_forward_args without = f;
    if (choices.missing == 1) without.weights = nullptr;
    if (choices.missing == 2) without.x = nullptr;
    if (choices.missing == 3) without.hn = nullptr;
    if (choices.missing == 4) without.workspace = static_cast<char*>(workspace.get()) + 8;
    expect(rnn_engine_forward(made, &without) == RNN_ENGINE_INVALID, "forward ran without a pointer");
  }
  expect(rnn_engine_forward(made, &f) == 0, "forward");
  if (!raw.training) return arrays.results();

  const Block own = block_of(sizes.backward_workspace_bytes);
  rnn_engine_backward_args b{};
  b.weights = weights.data();
  b.x = f.x;
  b.h0 = f.h0;
  b.c0 = f.c0;
  b.y = f.y;
  b.dy = optional(2, Y, stored);
  b.dcy = raw.cell_output ? optional(3, CY, value) : nullptr;
  b.dhn = optional(4, h, stored);
  b.dcn = optional(5, c, value);
  b.dx = raw.input_gradient ? arrays.result(X, stored) : nullptr;
  b.dh0 = choices.states >> 6 & 1 ? arrays.result(h, stored) : nullptr;
  b.dc0 = choices.states >> 7 & 1 ? arrays.result(c, value) : nullptr;
  b.overwrite = static_cast<std::int32_t>(choices.states >> 8 & 1);
  const std::vector<rnn_engine_weights> gradients =
      weights_of(made, p, choices.gradients, value, [&](std::int64_t size, std::size_t bytes) {
        void* gradient = arrays.result(size, bytes);
        if (!b.overwrite) std::memset(gradient, 0, static_cast<std::size_t>(size) * bytes);
        return gradient;
      });
  b.gradients = gradients.data();
  b.masks = p.masks;
  b.reserve = reserve.get();
  b.workspace = own.get();
  expect(rnn_engine_backward(made, &b) == 0, "backward");
  return arrays.results();
}

rnn_engine_context* context_of(int threads, const char* isa) {
  rnn_engine_context* context = nullptr;
  expect(rnn_engine_context_create(threads, isa, &context) == 0, "context");
  return context;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static rnn_engine_context* const plain = context_of(1, "generic");
  static rnn_engine_context* const best[] = {context_of(1, nullptr), context_of(2, nullptr)};
  Bytes bytes(data, size);
  Problem problem;
  decode(bytes, problem);
  const Choices choices{bytes.take(2), bytes.flag() ? ~std::uint64_t{0} : bytes.take(8),
                        static_cast<int>(bytes.between(0, 31))};
#if defined(__SANITIZE_THREAD__)  // what one thread computes, and whether two do the same, is seen in the other builds
  run(best[1], problem, choices);
  return 0;
#elif defined(__SANITIZE_ADDRESS__)  // and bits are compared where memory is not watched
  run(bytes.flag() ? plain : best[bytes.flag()], problem, choices);
  return 0;
#endif
  const std::vector<double> results = run(best[bytes.flag()], problem, choices);
  if (results.empty()) return 0;
  for (double value : results) expect(std::isfinite(value), "a result that was not written");
  problem.raw.memory = RNN_ENGINE_STORE;
  // Of bfloat16, every instruction set need not give the same.
  const bool rounds = problem.raw.dtype == RNN_ENGINE_BFLOAT16;
  const std::vector<double> same = run(rounds ? best[0] : plain, problem, choices);
  expect(results == same, "other bits than one thread's");
  return 0;
}
