// Every function of the C API answers any argument with a code: NULL, pointers that are not aligned, numbers without a
// meaning, sizes that no machine has. Nothing is written then, and what comes after works.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rnn_engine.h"
#include "support.h"

namespace {

constexpr std::int64_t kHuge[] = {std::numeric_limits<std::int64_t>::max(),
                                  std::numeric_limits<std::int64_t>::min(),
                                  std::int64_t{1} << 62,
                                  std::int64_t{1} << 40,
                                  (std::int64_t{1} << 32) + 1,
                                  -1,
                                  0};
std::set<std::string> asked;  // functions that were called with something wrong

void refused(const char* function, int number, const std::function<int()>& call) {
  asked.insert(function);
  const int code = call();
  CHECK(code == RNN_ENGINE_INVALID, "%s, mistake %d: expected a refusal, got code %d", function, number, code);
  CHECK(*rnn_engine_last_error() != 0, "%s, mistake %d: no message", function, number);
}

// The call with each of `pointers` NULL, and not aligned, in turn: call(p) takes the pointers in an array.
template <std::size_t n, class Call>
void refused_pointers(const char* function, const std::array<void*, n>& pointers, const Call& call) {
  for (std::size_t i = 0; i < n; ++i)
    for (const bool null : {true, false}) {
      std::array<void*, n> wrong = pointers;
      wrong[i] = null ? nullptr : static_cast<char*>(pointers[i]) + 1;
      refused(function, static_cast<int>(2 * i) + null, [&] { return call(wrong); });
    }
}

template <class T>
T as(void* pointer) {
  return static_cast<T>(pointer);
}

// A small problem with memory for all of its arrays.
struct Small {
  static constexpr int kSteps = 3, kBatch = 2, kWidth = 5;
  std::int64_t hidden = kWidth;
  rnn_engine_problem problem{};
  alignas(64) float block[1 << 16];
  rnn_engine_weights weights{}, gradients{};

  Small() {
    problem.steps = kSteps;
    problem.batch = kBatch;
    problem.input_size = kWidth;
    problem.hidden_sizes = &hidden;
    problem.layers = problem.directions = problem.bias = problem.training = problem.output = 1;
    problem.cell_output = problem.input_gradient = 1;
    std::fill(std::begin(block), std::end(block), 0.1f);
    fill(weights);
    fill(gradients);
  }
  // Arrays of this size at different places: none is longer than a thousand values.
  float* array(int number) { return block + number * 1024; }
  void fill(rnn_engine_weights& w) {
    void** members[] = {&w.weight_ih, &w.weight_hh, &w.bias_ih, &w.bias_hh};
    for (int i = 0; i < 4; ++i) *members[i] = array(next_++);
  }
  rnn_engine_forward_args forward() {
    rnn_engine_forward_args f{};
    f.weights = &weights;
    f.x = array(10), f.h0 = array(11), f.c0 = array(12), f.y = array(13), f.cy = array(14), f.hn = array(15);
    f.cn = array(16), f.reserve = array(17), f.workspace = array(30);
    return f;
  }
  rnn_engine_backward_args backward() {
    rnn_engine_backward_args b{};
    b.weights = &weights, b.gradients = &gradients;
    b.x = array(10), b.h0 = array(11), b.c0 = array(12), b.y = array(13);
    b.dy = array(18), b.dcy = array(19), b.dhn = array(20), b.dcn = array(21), b.dx = array(22), b.dh0 = array(23);
    b.dc0 = array(24), b.reserve = array(17), b.workspace = array(30);
    return b;
  }

 private:
  int next_ = 0;
};

// Each pointer of a struct of arguments that must be there (NULL) or aligned, in turn.
template <class Args, class Call>
void refused_members(const char* function, const Args& right, const std::vector<std::size_t>& needed,
                     const std::vector<std::size_t>& optional, const Call& call) {
  const auto with = [&](std::size_t offset, bool null) {
    Args args = right;
    char* pointer = nullptr;
    std::memcpy(&pointer, reinterpret_cast<const char*>(&right) + offset, sizeof pointer);
    pointer = null ? nullptr : pointer + 1;
    std::memcpy(reinterpret_cast<char*>(&args) + offset, &pointer, sizeof pointer);
    return args;
  };
  for (const std::size_t offset : needed)
    refused(function, static_cast<int>(offset), [&] { return call(with(offset, true)); });
  for (const auto* offsets : {&needed, &optional})
    for (const std::size_t offset : *offsets)
      refused(function, 1000 + static_cast<int>(offset), [&] { return call(with(offset, false)); });
}

void test_contexts(rnn_engine_context* context) {
  rnn_engine_context* made = nullptr;
  refused_pointers("rnn_engine_context_create", std::array<void*, 1>{&made},
                   [](const auto& p) { return rnn_engine_context_create(1, nullptr, as<rnn_engine_context**>(p[0])); });
  for (const int threads : {0, -1, 1025, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()})
    refused("rnn_engine_context_create", threads, [&] { return rnn_engine_context_create(threads, nullptr, &made); });
  const std::string endless(100'000, '\xC3');
  for (const char* isa : {"mmx", "avx512 ", endless.c_str()}) {
    refused("rnn_engine_context_create", 1, [&] { return rnn_engine_context_create(1, isa, &made); });
    CHECK(!rnn_engine_has_isa(isa), "has %s", isa);
  }
  CHECK(std::strlen(rnn_engine_last_error()) < 2000, "a message as long as what it is about");
  CHECK(made == nullptr, "a context that was refused");
  CHECK(!rnn_engine_has_isa(nullptr), "has NULL");
  const char* isa = nullptr;
  refused_pointers("rnn_engine_context_isa", std::array<void*, 2>{context, &isa}, [](const auto& p) {
    return rnn_engine_context_isa(as<rnn_engine_context*>(p[0]), as<const char**>(p[1]));
  });
  refused_pointers("rnn_engine_context_set_interrupt", std::array<void*, 1>{context}, [](const auto& p) {
    return rnn_engine_context_set_interrupt(as<rnn_engine_context*>(p[0]), nullptr, nullptr);
  });
  for (const int dtype : {-1, 3, 4, 77, std::numeric_limits<int>::min()}) {
    double operations = 0;
    refused("rnn_engine_calibrate", dtype, [&] { return rnn_engine_calibrate(context, dtype); });
    refused("rnn_engine_peak", dtype, [&] { return rnn_engine_peak(context, dtype, 1, &operations); });
  }
  refused_pointers("rnn_engine_calibrate", std::array<void*, 1>{context},
                   [](const auto& p) { return rnn_engine_calibrate(as<rnn_engine_context*>(p[0]), 0); });
  double operations = 0;
  refused_pointers("rnn_engine_peak", std::array<void*, 2>{context, &operations}, [](const auto& p) {
    return rnn_engine_peak(as<rnn_engine_context*>(p[0]), 0, 1, as<double*>(p[1]));
  });
  refused("rnn_engine_peak", 0, [&] { return rnn_engine_peak(context, 0, -1, &operations); });
  for (const int cell : {-1, 5, std::numeric_limits<int>::max()})
    for (const int vector : {-1, 0, 8, std::numeric_limits<int>::max()})
      CHECK(rnn_engine_vector_width(cell, vector) == 0, "a vector of cell %d", cell);
  CHECK(rnn_engine_vector_width(0, -1) == 0 && rnn_engine_vector_width(1, 99) == 0, "a vector beyond the last");
  rnn_engine_context_destroy(nullptr);
  rnn_engine_plan_destroy(nullptr);
  asked.insert({"rnn_engine_vector_width", "rnn_engine_has_isa", "rnn_engine_context_destroy",
                "rnn_engine_plan_destroy", "rnn_engine_last_error", "rnn_engine_functions"});
  CHECK(rnn_engine_functions() != nullptr, "no functions");
}

void test_products(rnn_engine_context* context) {
  alignas(64) static float a[4096], packed[4096];
  std::size_t bytes = 0;
  refused_pointers("rnn_engine_gemm_workspace", std::array<void*, 2>{context, &bytes}, [](const auto& p) {
    return rnn_engine_gemm_workspace(as<rnn_engine_context*>(p[0]), 4, 4, as<std::size_t*>(p[1]));
  });
  refused_pointers("rnn_engine_gemm", std::array<void*, 5>{context, a, a + 64, a + 128, packed}, [](const auto& p) {
    return rnn_engine_gemm(as<rnn_engine_context*>(p[0]), 4, 4, 4, as<float*>(p[1]), as<float*>(p[2]), as<float*>(p[3]),
                           p[4], sizeof packed);
  });
  for (const std::int64_t huge : kHuge) {
    refused("rnn_engine_gemm_workspace", 1, [&] { return rnn_engine_gemm_workspace(context, huge, huge, &bytes); });
    for (int i = 0; i < 3; ++i)
      refused("rnn_engine_gemm", i, [&] {
        const std::int64_t m = i == 0 ? huge : 4, n = i == 1 ? huge : 4, k = i == 2 ? huge : 4;
        return rnn_engine_gemm(context, m, n, k, a, a, a, packed, 0);
      });
    if (huge == 0) continue;
    refused("rnn_engine_round", 2, [&] { return rnn_engine_round(context, huge, nullptr, nullptr); });
    refused("rnn_engine_widen", 2, [&] { return rnn_engine_widen(context, huge, nullptr, nullptr); });
  }
  refused_pointers("rnn_engine_round", std::array<void*, 3>{context, a, a + 64}, [](const auto& p) {
    return rnn_engine_round(as<rnn_engine_context*>(p[0]), 8, as<float*>(p[1]), p[2]);
  });
  refused_pointers("rnn_engine_widen", std::array<void*, 3>{context, a, a + 64}, [](const auto& p) {
    return rnn_engine_widen(as<rnn_engine_context*>(p[0]), 8, p[1], as<float*>(p[2]));
  });
}

void test_plans(rnn_engine_context* context) {
  static Small small;
  rnn_engine_plan* plan = nullptr;
  refused_pointers("rnn_engine_plan_create", std::array<void*, 3>{context, &small.problem, &plan}, [](const auto& p) {
    return rnn_engine_plan_create(as<rnn_engine_context*>(p[0]), as<rnn_engine_problem*>(p[1]),
                                  as<rnn_engine_plan**>(p[2]));
  });
  CHECK(rnn_engine_plan_create(context, &small.problem, &plan) == 0, "plan: %s", rnn_engine_last_error());
  rnn_engine_sizes sizes{};
  rnn_engine_array_sizes arrays{};
  rnn_engine_plan_facts facts{};
  std::int64_t values = 0, inputs[4];
  std::int32_t policy = 0;
  std::size_t count = 0;
  rnn_engine_tile tile{};
  rnn_engine_buffer buffers[2];
  const auto of_plan = [&](const char* function, void* out, const auto& call) {
    refused_pointers(function, std::array<void*, 2>{plan, out},
                     [&](const auto& p) { return call(as<rnn_engine_plan*>(p[0]), p[1]); });
  };
  of_plan("rnn_engine_plan_sizes", &sizes,
          [](auto* p, void* out) { return rnn_engine_plan_sizes(p, as<rnn_engine_sizes*>(out)); });
  of_plan("rnn_engine_plan_arrays", &arrays,
          [](auto* p, void* out) { return rnn_engine_plan_arrays(p, as<rnn_engine_array_sizes*>(out)); });
  of_plan("rnn_engine_plan_describe", &facts,
          [](auto* p, void* out) { return rnn_engine_plan_describe(p, as<rnn_engine_plan_facts*>(out)); });
  of_plan("rnn_engine_plan_weight", &values,
          [](auto* p, void* out) { return rnn_engine_plan_weight(p, 0, 0, as<std::int64_t*>(out)); });
  of_plan("rnn_engine_plan_policy", &policy,
          [](auto* p, void* out) { return rnn_engine_plan_policy(p, 0, as<std::int32_t*>(out)); });
  of_plan("rnn_engine_plan_buffers", &count,
          [](auto* p, void* out) { return rnn_engine_plan_buffers(p, nullptr, 0, as<std::size_t*>(out)); });
  of_plan("rnn_engine_plan_tile", &tile, [](auto* p, void* out) {
    return rnn_engine_plan_tile(p, 0, as<rnn_engine_tile*>(out), nullptr, 0, nullptr);
  });
  auto* odd_buffers = reinterpret_cast<rnn_engine_buffer*>(reinterpret_cast<char*>(buffers) + 1);
  auto* odd_inputs = reinterpret_cast<std::int64_t*>(reinterpret_cast<char*>(inputs) + 1);
  refused("rnn_engine_plan_buffers", 9, [&] { return rnn_engine_plan_buffers(plan, odd_buffers, 1, &count); });
  refused("rnn_engine_plan_tile", 9, [&] { return rnn_engine_plan_tile(plan, 0, &tile, odd_inputs, 1, &count); });
  for (const std::int64_t huge : kHuge) {
    if (huge == 0) continue;
    refused("rnn_engine_plan_policy", 2, [&] { return rnn_engine_plan_policy(plan, huge, &policy); });
    refused("rnn_engine_plan_tile", 2, [&] { return rnn_engine_plan_tile(plan, huge, &tile, nullptr, 0, nullptr); });
    const auto which = static_cast<std::int32_t>(huge >> 31);
    CHECK(rnn_engine_plan_weight(plan, huge, 0, &values) == 0 && values == 0, "a weight of no layer");
    CHECK(which >= 0 || (rnn_engine_plan_weight(plan, 0, which, &values) == 0 && values == 0), "no such weight");
  }
  CHECK(rnn_engine_plan_sizes(plan, &sizes) == 0 && sizes.reserve_bytes < 4096 && sizes.workspace_bytes < 100'000,
        "%zu and %zu bytes are more than this test has", static_cast<std::size_t>(sizes.reserve_bytes),
        static_cast<std::size_t>(sizes.workspace_bytes));

  using F = rnn_engine_forward_args;
  using B = rnn_engine_backward_args;
  const F f = small.forward();
  const B b = small.backward();
  const auto forward = [&](const F& args) { return rnn_engine_forward(plan, &args); };
  const auto backward = [&](const B& args) { return rnn_engine_backward(plan, &args); };
  const std::size_t forward_ids = offsetof(F, masks) + offsetof(rnn_engine_masks, row_ids);
  refused_members("rnn_engine_forward", f,
                  {offsetof(F, weights), offsetof(F, x), offsetof(F, y), offsetof(F, cy), offsetof(F, hn),
                   offsetof(F, cn), offsetof(F, reserve), offsetof(F, workspace)},
                  {offsetof(F, h0), offsetof(F, c0), forward_ids}, forward);
  refused_members("rnn_engine_backward", b,
                  {offsetof(B, weights), offsetof(B, gradients), offsetof(B, x), offsetof(B, y), offsetof(B, dx),
                   offsetof(B, reserve), offsetof(B, workspace)},
                  {offsetof(B, h0), offsetof(B, c0), offsetof(B, dy), offsetof(B, dcy), offsetof(B, dhn),
                   offsetof(B, dcn), offsetof(B, dh0), offsetof(B, dc0)},
                  backward);
  void* const f_args = const_cast<F*>(&f);
  void* const b_args = const_cast<B*>(&b);
  of_plan("rnn_engine_forward", f_args, [](auto* p, void* args) { return rnn_engine_forward(p, as<F*>(args)); });
  of_plan("rnn_engine_backward", b_args, [](auto* p, void* args) { return rnn_engine_backward(p, as<B*>(args)); });
  refused_pointers("rnn_engine_pack", std::array<void*, 3>{plan, &small.weights, small.array(30)}, [](const auto& p) {
    return rnn_engine_pack(as<rnn_engine_plan*>(p[0]), as<rnn_engine_weights*>(p[1]), p[2], nullptr);
  });
  for (void** member : {&small.weights.weight_ih, &small.weights.weight_hh, &small.weights.bias_ih,
                        &small.weights.bias_hh, &small.gradients.weight_ih, &small.gradients.bias_hh}) {
    void* const right = *member;
    const bool weight = member < reinterpret_cast<void**>(&small.gradients);
    for (void* wrong : {static_cast<void*>(nullptr), static_cast<void*>(static_cast<char*>(right) + 2)}) {
      *member = wrong;
      if (weight) refused("rnn_engine_forward", 50, [&] { return forward(f); });
      if (weight || wrong) refused("rnn_engine_backward", 50, [&] { return backward(b); });
    }
    *member = right;
  }
  F asking = f;
  B asking_back = b;
  asking.before_step = asking_back.before_step = [](void*, std::int64_t) { return 0; };
  refused("rnn_engine_forward", 60, [&] { return forward(asking); });
  refused("rnn_engine_backward", 60, [&] { return backward(asking_back); });
  CHECK(forward(f) == 0 && backward(b) == 0, "after all that: %s", rnn_engine_last_error());
  rnn_engine_plan_destroy(plan);
  small.problem.schedule = RNN_ENGINE_STEPS;
  CHECK(rnn_engine_plan_create(context, &small.problem, &plan) == 0, "steps: %s", rnn_engine_last_error());
  asking.before_step = asking_back.before_step = [](void*, std::int64_t step) { return step == 1 ? 7 : 0; };
  CHECK(forward(asking) == RNN_ENGINE_INTERRUPTED, "forward goes on: %s", rnn_engine_last_error());
  CHECK(forward(f) == 0 && backward(asking_back) == RNN_ENGINE_INTERRUPTED, "backward goes on");
  CHECK(forward(f) == 0 && backward(b) == 0, "after an end: %s", rnn_engine_last_error());
  rnn_engine_plan_destroy(plan);
  small.problem.schedule = RNN_ENGINE_AUTO;
}

// Problems whose fields are anything: refused, or planned.
void test_garbage(rnn_engine_context* context) {
  std::mt19937_64 random(42);
  std::vector<std::int64_t> numbers(2048);
  const auto any = [&]() -> std::int64_t {
    if (random() % 3) return static_cast<std::int64_t>(random() % 4);
    return random() % 4 ? kHuge[random() % std::size(kHuge)] : static_cast<std::int64_t>(random());
  };
  const auto share = [&] {
    const double some[] = {0, 0.5, 1, -1, 2, std::nan(""), HUGE_VAL, -HUGE_VAL, 1e-320};
    return some[random() % std::size(some)];
  };
  int made = 0;
  for (int i = 0; i < (SOME_ALONE ? 2'000 : 20'000); ++i) {
    for (std::int64_t& number : numbers) number = random() % 8 ? 3 : any();
    rnn_engine_problem p{};
    p.cell = static_cast<std::int32_t>(any()), p.dtype = static_cast<std::int32_t>(any());
    p.steps = any(), p.batch = any(), p.input_size = any(), p.projection = any();
    p.hidden_sizes = random() % 16 ? numbers.data() : nullptr;
    p.layers = any();  // 1024 at most are read
    p.directions = static_cast<std::int32_t>(any()), p.bias = static_cast<std::int32_t>(any());
    p.training = static_cast<std::int32_t>(any()), p.prepacked = static_cast<std::int32_t>(any());
    p.batch_sizes = p.steps <= 2048 && random() % 4 == 0 ? numbers.data() : nullptr;
    p.memory = static_cast<std::int32_t>(any()), p.schedule = static_cast<std::int32_t>(any());
    p.budget = static_cast<std::uint64_t>(any());
    p.dropout = random() % 4 ? 0 : share(), p.recurrent_dropout = random() % 4 ? 0 : share();
    p.zoneout[random() % 2] = random() % 4 ? 0 : share();
    p.residual = random() % 2, p.dropout_per_sentence = random() % 2;
    rnn_engine_plan* plan = nullptr;
    const int code = rnn_engine_plan_create(context, &p, &plan);
    CHECK((code == 0) == (plan != nullptr), "plan %d: code %d", i, code);
    CHECK(code == RNN_ENGINE_OK || code == RNN_ENGINE_INVALID || code == RNN_ENGINE_FAILED, "code %d", code);
    made += code == 0;
    rnn_engine_plan_destroy(plan);

    rnn_engine_loss_problem loss{};
    loss.dtype = static_cast<std::int32_t>(any()), loss.gradients = static_cast<std::int32_t>(any());
    loss.tokens = any(), loss.features = any(), loss.vocabulary = any(), loss.ignore_index = any();
    loss.smoothing = share();
    std::uint64_t bytes = 0;
    const int answer = rnn_engine_loss_workspace(context, &loss, &bytes);
    CHECK(answer == RNN_ENGINE_OK || answer == RNN_ENGINE_INVALID, "loss: code %d", answer);

    rnn_engine_linear_problem linear{};
    linear.dtype = static_cast<std::int32_t>(any()), linear.activation = static_cast<std::int32_t>(any());
    linear.steps = any(), linear.batch = any(), linear.outputs = any(), linear.inputs = any();
    for (std::int64_t& size : linear.input_sizes) size = any();
    linear.dropout = share();
    const int code_of_linear = rnn_engine_linear_workspace(context, &linear, &bytes, &bytes);
    CHECK(code_of_linear == RNN_ENGINE_OK || code_of_linear == RNN_ENGINE_INVALID, "linear: code %d", code_of_linear);
  }
  CHECK(made > 0, "no plan was made");
}

void test_losses(rnn_engine_context* context) {
  float block[384];
  std::int64_t targets[] = {0, 3, 1};
  rnn_engine_loss_problem problem{};
  problem.gradients = RNN_ENGINE_LOSS_HIDDEN | RNN_ENGINE_LOSS_WEIGHT | RNN_ENGINE_LOSS_BIAS;
  problem.tokens = 3, problem.features = 5, problem.vocabulary = 7, problem.ignore_index = -1;
  std::uint64_t bytes = 0;
  refused_pointers("rnn_engine_loss_workspace", std::array<void*, 3>{context, &problem, &bytes}, [](const auto& p) {
    return rnn_engine_loss_workspace(as<rnn_engine_context*>(p[0]), as<rnn_engine_loss_problem*>(p[1]),
                                     as<std::uint64_t*>(p[2]));
  });
  CHECK(rnn_engine_loss_workspace(context, &problem, &bytes) == 0, "workspace: %s", rnn_engine_last_error());
  const std::unique_ptr<void, decltype(&std::free)> workspace(std::aligned_alloc(64, bytes), std::free);
  using Args = rnn_engine_loss_args;
  Args args{};
  args.hidden = block, args.weight = block + 64, args.bias = block + 128, args.targets = targets, args.scale = 1;
  args.d_hidden = block + 192, args.d_weight = block + 256, args.d_bias = block + 320, args.workspace = workspace.get();
  rnn_engine_loss_result result{};
  const char* function = "rnn_engine_linear_cross_entropy";
  refused_pointers(function, std::array<void*, 4>{context, &problem, &args, &result}, [](const auto& p) {
    return rnn_engine_linear_cross_entropy(as<rnn_engine_context*>(p[0]), as<rnn_engine_loss_problem*>(p[1]),
                                           as<Args*>(p[2]), as<rnn_engine_loss_result*>(p[3]));
  });
  const auto call = [&](const Args& a) { return rnn_engine_linear_cross_entropy(context, &problem, &a, &result); };
  refused_members(function, args,
                  {offsetof(Args, hidden), offsetof(Args, weight), offsetof(Args, targets), offsetof(Args, d_hidden),
                   offsetof(Args, d_weight), offsetof(Args, d_bias), offsetof(Args, workspace)},
                  {offsetof(Args, bias)}, call);
  for (const std::int64_t target : kHuge) {
    if (target == -1 || target == 0) continue;  // one is ignored, the other is a class
    targets[1] = target;
    refused(function, 77, [&] { return call(args); });
  }
  targets[1] = 3;
  CHECK(call(args) == 0, "after all that: %s", rnn_engine_last_error());
}

void test_linear(rnn_engine_context* context) {
  float block[512];
  rnn_engine_linear_problem problem{};
  problem.activation = RNN_ENGINE_TANH, problem.steps = 2, problem.batch = 3, problem.outputs = 7, problem.inputs = 2;
  problem.input_sizes[0] = 5, problem.input_sizes[1] = 2;
  std::uint64_t forward = 0, backward = 0;
  refused_pointers(
      "rnn_engine_linear_workspace", std::array<void*, 4>{context, &problem, &forward, &backward}, [](const auto& p) {
        return rnn_engine_linear_workspace(as<rnn_engine_context*>(p[0]), as<rnn_engine_linear_problem*>(p[1]),
                                           as<std::uint64_t*>(p[2]), as<std::uint64_t*>(p[3]));
      });
  CHECK(rnn_engine_linear_workspace(context, &problem, &forward, &backward) == 0, "%s", rnn_engine_last_error());
  const std::unique_ptr<void, decltype(&std::free)> workspace(
      std::aligned_alloc(64, (std::max(forward, backward) + 63) / 64 * 64), std::free);

  using Args = rnn_engine_linear_args;
  Args args{};
  args.inputs[0] = block, args.inputs[1] = block + 64, args.weight = block + 128, args.bias = block + 192;
  args.y = block + 256, args.workspace = workspace.get();
  const auto call = [&](const Args& a) { return rnn_engine_linear(context, &problem, &a); };
  refused_pointers("rnn_engine_linear", std::array<void*, 3>{context, &problem, &args}, [](const auto& p) {
    return rnn_engine_linear(as<rnn_engine_context*>(p[0]), as<rnn_engine_linear_problem*>(p[1]), as<Args*>(p[2]));
  });
  refused_members("rnn_engine_linear", args,
                  {offsetof(Args, inputs), offsetof(Args, inputs[1]), offsetof(Args, weight), offsetof(Args, y),
                   offsetof(Args, workspace)},
                  {offsetof(Args, bias)}, call);

  using Back = rnn_engine_linear_backward_args;
  Back back{};
  back.inputs[0] = block, back.inputs[1] = block + 64, back.weight = block + 128, back.y = block + 256;
  back.dy = block + 320, back.d_inputs[0] = block + 384, back.workspace = workspace.get();
  const auto call_back = [&](const Back& a) { return rnn_engine_linear_backward(context, &problem, &a); };
  refused_pointers("rnn_engine_linear_backward", std::array<void*, 3>{context, &problem, &back}, [](const auto& p) {
    return rnn_engine_linear_backward(as<rnn_engine_context*>(p[0]), as<rnn_engine_linear_problem*>(p[1]),
                                      as<Back*>(p[2]));
  });
  refused_members(
      "rnn_engine_linear_backward", back,
      {offsetof(Back, inputs), offsetof(Back, inputs[1]), offsetof(Back, weight), offsetof(Back, y), offsetof(Back, dy),
       offsetof(Back, workspace)},
      {offsetof(Back, d_inputs), offsetof(Back, d_inputs[1]), offsetof(Back, d_weight), offsetof(Back, d_bias)},
      call_back);

  for (const std::int64_t row : kHuge) {
    if (row == 0) continue;
    Args far = args;
    far.input_rows[1] = row;
    if (row > 0 && row < std::int64_t{1} << 50) continue;  // nobody would read that far, but it could be
    refused("rnn_engine_linear", 77, [&] { return call(far); });
  }
  CHECK(call(args) == 0 && call_back(back) == 0, "after all that: %s", rnn_engine_last_error());
}

void test_dropout(rnn_engine_context* context) {
  float block[128];
  rnn_engine_dropout_problem problem{};
  problem.steps = 2, problem.batch = 3, problem.features = 5, problem.scale = 1, problem.dropout = 0.5;
  using Args = rnn_engine_dropout_args;
  Args args{};
  args.in = block, args.out = block + 64;
  const auto call = [&](const Args& a) { return rnn_engine_dropout(context, &problem, &a); };
  refused_pointers("rnn_engine_dropout", std::array<void*, 3>{context, &problem, &args}, [](const auto& p) {
    return rnn_engine_dropout(as<rnn_engine_context*>(p[0]), as<rnn_engine_dropout_problem*>(p[1]), as<Args*>(p[2]));
  });
  refused_members("rnn_engine_dropout", args, {offsetof(Args, in), offsetof(Args, out)}, {}, call);
  for (const std::int64_t size : kHuge) {
    if (size == 0) continue;
    for (std::int64_t rnn_engine_dropout_problem::* member :
         {&rnn_engine_dropout_problem::steps, &rnn_engine_dropout_problem::batch,
          &rnn_engine_dropout_problem::features}) {
      if (size > 0 && size < std::int64_t{1} << 50) continue;
      rnn_engine_dropout_problem wrong = problem;
      wrong.*member = size;
      refused("rnn_engine_dropout", 78, [&] { return rnn_engine_dropout(context, &wrong, &args); });
    }
  }
  CHECK(call(args) == 0, "after all that: %s", rnn_engine_last_error());
}

void test_attention(rnn_engine_context* context) {
  float block[640];
  std::int64_t lengths[] = {2, 3};
  rnn_engine_attention_problem problem{};
  problem.steps = 3, problem.batch = 2, problem.source_steps = 3, problem.key_size = 4, problem.value_size = 4;
  problem.heads = 2, problem.scale = 1;
  const int gradients = RNN_ENGINE_ATTENTION_QUERIES | RNN_ENGINE_ATTENTION_KEYS | RNN_ENGINE_ATTENTION_VALUES;
  std::uint64_t forward = 0, backward = 0;
  refused_pointers(
      "rnn_engine_attention_workspace", std::array<void*, 3>{context, &problem, &forward}, [](const auto& p) {
        return rnn_engine_attention_workspace(as<rnn_engine_context*>(p[0]), as<rnn_engine_attention_problem*>(p[1]), 0,
                                              as<std::uint64_t*>(p[2]));
      });
  CHECK(rnn_engine_attention_workspace(context, &problem, 0, &forward) == 0, "%s", rnn_engine_last_error());
  CHECK(rnn_engine_attention_workspace(context, &problem, gradients, &backward) == 0, "%s", rnn_engine_last_error());
  const std::unique_ptr<void, decltype(&std::free)> workspace(
      std::aligned_alloc(64, (std::max(forward, backward) + 63) / 64 * 64), std::free);
  rnn_engine_attention_inputs inputs{};
  inputs.queries = block, inputs.keys = block + 64, inputs.values = block + 128;
  inputs.source_lengths = lengths, inputs.target_lengths = lengths;

  using Args = rnn_engine_attention_forward_args;
  Args args{};
  args.inputs = inputs, args.context = block + 192, args.logarithms = block + 256, args.weights = block + 320;
  args.workspace = workspace.get();
  refused_pointers("rnn_engine_attention_forward", std::array<void*, 3>{context, &problem, &args}, [](const auto& p) {
    return rnn_engine_attention_forward(as<rnn_engine_context*>(p[0]), as<rnn_engine_attention_problem*>(p[1]),
                                        as<Args*>(p[2]));
  });
  const auto call = [&](const Args& a) { return rnn_engine_attention_forward(context, &problem, &a); };
  refused_members("rnn_engine_attention_forward", args,
                  {offsetof(Args, inputs.queries), offsetof(Args, inputs.keys), offsetof(Args, inputs.values),
                   offsetof(Args, context), offsetof(Args, workspace)},
                  {offsetof(Args, inputs.source_lengths), offsetof(Args, inputs.target_lengths),
                   offsetof(Args, logarithms), offsetof(Args, weights)},
                  call);

  using Back = rnn_engine_attention_backward_args;
  Back back{};
  back.inputs = inputs, back.logarithms = block + 256, back.d_context = block + 384, back.d_queries = block + 448;
  back.d_keys = block + 512, back.d_values = block + 576, back.workspace = workspace.get();
  refused_pointers("rnn_engine_attention_backward", std::array<void*, 3>{context, &problem, &back}, [](const auto& p) {
    return rnn_engine_attention_backward(as<rnn_engine_context*>(p[0]), as<rnn_engine_attention_problem*>(p[1]),
                                         as<Back*>(p[2]));
  });
  const auto call_back = [&](const Back& a) { return rnn_engine_attention_backward(context, &problem, &a); };
  refused_members("rnn_engine_attention_backward", back,
                  {offsetof(Back, inputs.queries), offsetof(Back, inputs.keys), offsetof(Back, inputs.values),
                   offsetof(Back, logarithms), offsetof(Back, d_context), offsetof(Back, workspace)},
                  {offsetof(Back, d_queries), offsetof(Back, d_keys), offsetof(Back, d_values)}, call_back);

  for (const std::int64_t length : kHuge) {
    lengths[1] = length;
    refused("rnn_engine_attention_forward", 77, [&] { return call(args); });
    if (length != 0) refused("rnn_engine_attention_backward", 78, [&] { return call_back(back); });
  }
  lengths[1] = 3;
  CHECK(call(args) == 0 && call_back(back) == 0, "after all that: %s", rnn_engine_last_error());
}

// Those that the header declares, but for librnn_engine_cuda's own, were all asked.
void test_completeness() {
  std::ifstream file(HEADER);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string_view declared = "RNN_ENGINE_API ", prefix = "rnn_engine_";
  int count = 0;
  for (auto at = text.find(declared); at != text.npos; at = text.find(declared, at + 1)) {
    const auto open = text.find('(', at), begin = text.rfind(prefix, open);
    if (open == text.npos || begin < at) continue;
    const std::string name = text.substr(begin, open - begin);
    if (name.starts_with("rnn_engine_cuda_")) continue;
    ++count;
    CHECK(asked.count(name), "%s was not asked", name.c_str());
  }
  CHECK(count >= 28, "%d functions were found in the header", count);
}

}  // namespace

int main() {
  for (const int threads : {1, 3}) {
    rnn_engine_context* context = nullptr;
    CHECK(rnn_engine_context_create(threads, nullptr, &context) == 0, "context: %s", rnn_engine_last_error());
    test_contexts(context);
    test_products(context);
    test_plans(context);
    test_losses(context);
    test_linear(context);
    test_attention(context);
    test_dropout(context);
    test_garbage(context);
    rnn_engine_context_destroy(context);
  }
  test_completeness();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
