// What goes wrong while a function of the C API runs: there is no memory or no thread, or the caller wants to go. It
// says so with a code, and what comes after works.
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "rnn_engine.h"
#include "support.h"

namespace {

thread_local int allocations_left = -1;  // of this thread, before there is no memory; -1: there is always

void* take(std::size_t bytes, std::size_t alignment) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  bytes = (bytes + alignment - 1) / alignment * alignment;
  void* memory =
      alignment > alignof(std::max_align_t) ? std::aligned_alloc(alignment, bytes) : std::malloc(bytes + !bytes);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return take(bytes, 1); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocations_left == 0 ? nullptr : std::malloc(bytes + !bytes);
}
void* operator new[](std::size_t bytes) { return take(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return take(bytes, std::size_t(alignment)); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return take(bytes, std::size_t(alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

struct Free {
  void operator()(void* pointer) const { std::free(pointer); }
};
using Memory = std::unique_ptr<void, Free>;
Memory block(std::uint64_t bytes) { return Memory(std::aligned_alloc(64, bytes + 64 - bytes % 64)); }

rnn_engine_context* context_of(int threads) {
  rnn_engine_context* context = nullptr;
  CHECK(rnn_engine_context_create(threads, nullptr, &context) == 0, "context: %s", rnn_engine_last_error());
  return context;
}

// LSTM layers without biases, whose gradients are summed up over all layers in one place.
class Call {
 public:
  Call(rnn_engine_context* context, std::int64_t steps, std::int64_t batch, std::int64_t width, int layers,
       int schedule, int memory = RNN_ENGINE_STORE)
      : hidden_(static_cast<std::size_t>(layers), width), sets_(hidden_.size()), own_(hidden_.size()) {
    problem.steps = steps;
    problem.batch = batch;
    problem.input_size = width;
    problem.hidden_sizes = hidden_.data();
    problem.layers = layers;
    problem.directions = problem.training = problem.output = 1;
    problem.memory = memory;
    problem.schedule = schedule;
    CHECK(rnn_engine_plan_create(context, &problem, &plan) == 0, "plan: %s", rnn_engine_last_error());
    rnn_engine_sizes sizes{};
    CHECK(rnn_engine_plan_sizes(plan, &sizes) == 0, "sizes: %s", rnn_engine_last_error());
    const auto matrix = static_cast<std::size_t>(4 * width * width);
    weights_.resize(matrix);
    gradients_.resize(2 * matrix * hidden_.size());
    x_.resize(static_cast<std::size_t>(steps * batch * width));
    y_.resize(x_.size());
    states_.resize(2 * static_cast<std::size_t>(layers * batch * width));
    fill_values(reinterpret_cast<char*>(weights_.data()), matrix, 4, 0.1);
    fill_values(reinterpret_cast<char*>(x_.data()), x_.size(), 4, 1);
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      sets_[i].weight_ih = sets_[i].weight_hh = weights_.data();
      own_[i].weight_ih = gradients_.data() + 2 * i * matrix;
      own_[i].weight_hh = gradients_.data() + (2 * i + 1) * matrix;
    }
    reserve_ = block(sizes.reserve_bytes);
    workspace_ = block(sizes.workspace_bytes);
  }
  ~Call() { rnn_engine_plan_destroy(plan); }
  Call(const Call&) = delete;

  int forward() {
    rnn_engine_forward_args f{};
    f.weights = sets_.data();
    f.x = x_.data(), f.y = y_.data(), f.hn = states_.data(), f.cn = states_.data() + states_.size() / 2;
    f.reserve = reserve_.get(), f.workspace = workspace_.get();
    return rnn_engine_forward(plan, &f);
  }
  int backward() {
    rnn_engine_backward_args b{};
    b.weights = sets_.data(), b.gradients = own_.data(), b.overwrite = 1;
    b.x = x_.data(), b.y = y_.data(), b.dy = y_.data();
    b.reserve = reserve_.get(), b.workspace = workspace_.get();
    return rnn_engine_backward(plan, &b);
  }
  // Outputs and gradients that are no results.
  void forget() {
    std::fill(y_.begin() + static_cast<std::ptrdiff_t>(y_.size() / 2), y_.end(), 7.0f);
    std::fill(gradients_.begin(), gradients_.end(), 7.0f);
  }
  std::uint64_t results() const {
    return digest(y_.data(), 4 * y_.size()) ^ digest(gradients_.data(), 4 * gradients_.size());
  }

  rnn_engine_problem problem{};
  rnn_engine_plan* plan = nullptr;

 private:
  std::vector<std::int64_t> hidden_;
  std::vector<rnn_engine_weights> sets_, own_;
  std::vector<float> weights_, gradients_, x_, y_, states_;
  Memory reserve_, workspace_;
};

// The call with no memory after the first, second, ... allocation, until it needs no more.
void test_memory_of(const char* name, const std::function<int()>& call) {
  for (int allowed = 0; allowed < 100'000; allowed += SOME_ALONE ? 1 + allowed / 4 : 1) {
    allocations_left = allowed;
    const int code = call();
    allocations_left = -1;
    if (code == RNN_ENGINE_OK) return;
    CHECK(code == RNN_ENGINE_FAILED, "%s with %d allocations: code %d", name, allowed, code);
    CHECK(*rnn_engine_last_error() != 0, "%s: no message", name);
  }
  CHECK(false, "%s never ended", name);
}

void test_memory() {
  Call* some = nullptr;
  for (const int threads : {1, 3}) {
    test_memory_of("context_create", [&] {
      rnn_engine_context* context = nullptr;
      const int code = rnn_engine_context_create(threads, nullptr, &context);
      rnn_engine_context_destroy(context);
      return code;
    });
    rnn_engine_context* context = context_of(threads);
    {
      Call call(context, 6, 3, 20, 3, RNN_ENGINE_WAVEFRONT);
      some = &call;
      for (const int memory : {RNN_ENGINE_STORE, RNN_ENGINE_BUDGET})
        test_memory_of("plan_create", [&] {
          rnn_engine_problem problem = some->problem;
          problem.memory = memory;
          problem.budget = 1 << 30;
          rnn_engine_plan* plan = nullptr;
          const int code = rnn_engine_plan_create(context, &problem, &plan);
          rnn_engine_plan_destroy(plan);
          return code;
        });
      std::size_t count = 0;
      rnn_engine_tile tile{};
      rnn_engine_plan_facts facts{};
      double operations = 0;
      test_memory_of("plan_buffers", [&] { return rnn_engine_plan_buffers(call.plan, nullptr, 0, &count); });
      test_memory_of("plan_tile", [&] { return rnn_engine_plan_tile(call.plan, 2, &tile, nullptr, 0, &count); });
      test_memory_of("calibrate", [&] { return rnn_engine_calibrate(context, RNN_ENGINE_FLOAT32); });
      test_memory_of("plan_describe", [&] { return rnn_engine_plan_describe(call.plan, &facts); });
      CHECK(facts.seconds > 0, "no seconds after calibration");
      test_memory_of("peak", [&] { return rnn_engine_peak(context, 0, 1, &operations); });
      test_memory_of("forward", [&] { return call.forward(); });
      test_memory_of("backward", [&] { return call.backward(); });
    }
    rnn_engine_context_destroy(context);
  }
}

// Threads whose stacks the system cannot give.
void test_threads() {
  pthread_attr_t usual, endless;
  pthread_attr_init(&endless);
  CHECK(pthread_getattr_default_np(&usual) == 0 && pthread_attr_setstacksize(&endless, std::size_t{1} << 46) == 0 &&
            pthread_setattr_default_np(&endless) == 0,
        "the size of stacks cannot be set");
  rnn_engine_context* context = context_of(4);
  double operations = 0;
  CHECK(rnn_engine_peak(context, 0, 1, &operations) == RNN_ENGINE_FAILED, "threads without stacks");
  CHECK(std::strstr(rnn_engine_last_error(), "threads: 4 were asked for, the system gave 1"), "message: %s",
        rnn_engine_last_error());
  CHECK(rnn_engine_calibrate(context, RNN_ENGINE_FLOAT64) == RNN_ENGINE_FAILED || operations == 0, "calibration");
  pthread_setattr_default_np(&usual);
  CHECK(rnn_engine_peak(context, 0, 1, &operations) == 0 && operations > 0, "once there are threads: %s",
        rnn_engine_last_error());
  rnn_engine_context_destroy(context);
  pthread_attr_destroy(&endless);
  pthread_attr_destroy(&usual);
}

using Clock = std::chrono::steady_clock;
struct Asked {
  pthread_t caller = pthread_self();
  Clock::time_point before;
  int times = 0, most = 0, too_soon = 0, by_others = 0;

  // Stops the `most`-th time; 0: never.
  static int ask(void* user) {
    auto& self = *static_cast<Asked*>(user);
    const auto now = Clock::now();
    self.too_soon += now - self.before < std::chrono::milliseconds(19);
    self.before = now;
    self.by_others += !pthread_equal(self.caller, pthread_self());
    return ++self.times == self.most;
  }
};

using MakeCall = std::function<std::unique_ptr<Call>(rnn_engine_context*, std::int64_t times)>;

// A call that takes long ends when it is told to, and the same call gives the same results afterwards. How long it must
// be for that depends on the machine: it grows until it is asked often.
void test_interrupt(rnn_engine_context* context, const char* name, const MakeCall& make) {
  Asked asked;
  CHECK(rnn_engine_context_set_interrupt(context, Asked::ask, &asked) == 0, "set_interrupt");
  for (const bool in_backward : {false, true}) {
    std::unique_ptr<Call> call;
    const auto run = [&](int most) {
      call->forget();
      if (in_backward) CHECK(call->forward() == 0, "%s: %s", name, rnn_engine_last_error());
      asked = Asked{};
      asked.most = most;
      asked.before = Clock::now();
      const int code = in_backward ? call->backward() : call->forward();
      CHECK(code == (most ? RNN_ENGINE_INTERRUPTED : RNN_ENGINE_OK), "%s: code %d", name, code);
      CHECK(asked.too_soon == 0 && asked.by_others == 0, "%s: asked too soon %d times, by others %d times", name,
            asked.too_soon, asked.by_others);
    };
    asked.times = 0;
    for (std::int64_t times = 1; asked.times < 6 && times <= 4096; times *= 2) {
      call = make(context, times);
      run(0);
      if (asked.times >= 6) run(0);  // once more: it may only have waited for a processor
    }
    CHECK(asked.times >= 6, "%s: asked only %d times in a long call", name, asked.times);
    const std::uint64_t expected = call->results();
    run(1);
    CHECK(asked.times == 1, "%s: asked %d times, of which the first said no", name, asked.times);
    CHECK(call->results() != expected, "%s: everything was done, all the same", name);
    run(0);
    CHECK(call->results() == expected, "%s: other results after it", name);
  }
  rnn_engine_context_set_interrupt(context, nullptr, nullptr);
}

void test_interrupts() {
  const auto deep = [](int schedule, int memory = RNN_ENGINE_STORE) -> MakeCall {
    return [=](rnn_engine_context* context, std::int64_t times) {
      return std::make_unique<Call>(context, 5 * times, 24, 256, 2, schedule, memory);
    };
  };
  const MakeCall one_step = [](rnn_engine_context* context, std::int64_t times) {
    return std::make_unique<Call>(context, 1, 200 * times, 256, 1, RNN_ENGINE_LAYERS);
  };
  for (const int threads : {2, 1}) {
    const std::unique_ptr<rnn_engine_context, decltype(&rnn_engine_context_destroy)> own(context_of(threads),
                                                                                         rnn_engine_context_destroy);
    test_interrupt(own.get(), "layer by layer", deep(RNN_ENGINE_LAYERS));
    if (SOME_ALONE) continue;  // what a sanitizer finds does not depend on the schedule
    test_interrupt(own.get(), "one step", one_step);
    test_interrupt(own.get(), "wavefront", deep(RNN_ENGINE_WAVEFRONT));
    test_interrupt(own.get(), "recompute", deep(RNN_ENGINE_LAYERS, RNN_ENGINE_RECOMPUTE));
  }
}

}  // namespace

int main() {
  test_memory();
  test_threads();
  test_interrupts();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
