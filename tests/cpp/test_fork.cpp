// A process may fork at any moment, while other threads run calls, make plans, calibrate and ask plans for their
// tables: the child computes with the same contexts and plans, with all of its threads, the same bits.
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "rnn_engine.h"
#include "support.h"

namespace {

constexpr int kThreads = 3;
constexpr unsigned kPatience = 60;  // seconds, after which a child counts as hung

// A stack on four threads' groups, with memory of its own, that runs forward and backward.
class Work {
 public:
  Work(rnn_engine_context* context, int memory, int schedule) : context_(context) {
    problem_.cell = RNN_ENGINE_LSTM;
    problem_.steps = 24;
    problem_.batch = 4;
    problem_.input_size = kWidth;
    problem_.hidden_sizes = kHidden;
    problem_.layers = kLayers;
    problem_.directions = problem_.training = problem_.output = 1;
    problem_.memory = memory;
    problem_.schedule = schedule;
    CHECK(rnn_engine_plan_create(context, &problem_, &plan_) == 0, "plan: %s", rnn_engine_last_error());
    rnn_engine_sizes sizes{};
    rnn_engine_array_sizes values{};
    CHECK(rnn_engine_plan_sizes(plan_, &sizes) == 0 && rnn_engine_plan_arrays(plan_, &values) == 0, "sizes");
    // Backward needs more time than an idle thread takes to wake up.
    weights_.resize(kLayers * 8 * kWidth * kWidth);
    gradients_.resize(weights_.size());
    x_.resize(static_cast<std::size_t>(values.x));
    y_.resize(static_cast<std::size_t>(values.y));
    states_.resize(static_cast<std::size_t>(values.h + values.c));
    fill_values(reinterpret_cast<char*>(weights_.data()), weights_.size(), 4, 0.2);
    fill_values(reinterpret_cast<char*>(x_.data()), x_.size(), 4, 1);
    reserve_.reset(std::aligned_alloc(64, sizes.reserve_bytes + 64 - sizes.reserve_bytes % 64));
    workspace_.reset(std::aligned_alloc(64, sizes.workspace_bytes + 64 - sizes.workspace_bytes % 64));
  }
  ~Work() { rnn_engine_plan_destroy(plan_); }
  Work(const Work&) = delete;

  std::uint64_t run() {
    rnn_engine_weights weights[kLayers]{}, gradients[kLayers]{};
    for (int layer = 0; layer < kLayers; ++layer) {
      weights[layer].weight_ih = weights_.data() + layer * 8 * kWidth * kWidth;
      weights[layer].weight_hh = weights_.data() + (layer * 8 + 4) * kWidth * kWidth;
      gradients[layer].weight_ih = gradients_.data() + layer * 8 * kWidth * kWidth;
      gradients[layer].weight_hh = gradients_.data() + (layer * 8 + 4) * kWidth * kWidth;
    }
    rnn_engine_forward_args f{};
    f.weights = weights;
    f.x = x_.data();
    f.y = y_.data();
    f.hn = states_.data();
    f.cn = states_.data() + states_.size() / 2;
    f.reserve = reserve_.get();
    f.workspace = workspace_.get();
    if (rnn_engine_forward(plan_, &f) != 0) return 0;
    rnn_engine_backward_args b{};
    b.weights = weights;
    b.gradients = gradients;
    b.x = x_.data();
    b.y = b.dy = y_.data();
    b.overwrite = 1;
    b.reserve = reserve_.get();
    b.workspace = workspace_.get();
    if (rnn_engine_backward(plan_, &b) != 0) return 0;
    return digest(gradients_.data(), gradients_.size() * sizeof(float)) ^ digest(y_.data(), y_.size() * sizeof(float));
  }

  // What else is asked of plans and contexts.
  bool ask(std::int64_t steps) {
    std::size_t count = 0;
    rnn_engine_tile tile{};
    rnn_engine_problem other = problem_;
    other.steps = steps;
    rnn_engine_plan* plan = nullptr;
    const bool right = rnn_engine_plan_create(context_, &other, &plan) == 0 &&
                       rnn_engine_plan_buffers(plan, nullptr, 0, &count) == 0 && count > 5 &&
                       rnn_engine_plan_tile(plan, 1, &tile, nullptr, 0, &count) == 0 &&
                       rnn_engine_plan_buffers(plan_, nullptr, 0, &count) == 0 && count > 5 && calibrates();
    rnn_engine_plan_destroy(plan);
    return right;
  }

 private:
  // With a context of its own, which does not know yet how fast it is.
  static bool calibrates() {
    rnn_engine_context* fresh = nullptr;
    const bool right =
        rnn_engine_context_create(2, "generic", &fresh) == 0 && rnn_engine_calibrate(fresh, RNN_ENGINE_FLOAT32) == 0;
    rnn_engine_context_destroy(fresh);
    return right;
  }

  static constexpr int kLayers = 3, kWidth = 48;
  static constexpr std::int64_t kHidden[kLayers] = {kWidth, kWidth, kWidth};
  struct Free {
    void operator()(void* pointer) const { std::free(pointer); }
  };

  rnn_engine_context* context_;
  rnn_engine_problem problem_{};
  rnn_engine_plan* plan_ = nullptr;
  std::vector<float> weights_, gradients_, x_, y_, states_;
  std::unique_ptr<void, Free> reserve_, workspace_;
};

int threads_of_process() {
  DIR* folder = opendir("/proc/self/task");
  int count = 0;
  while (folder && readdir(folder)) ++count;
  if (folder) closedir(folder);
  return count - 2;  // less . and ..
}

// In the child of a fork: 0 if all is well.
int in_child(std::vector<std::unique_ptr<Work>>& works, const std::vector<std::uint64_t>& expected) {
  // The sanitizers' own locks and threads are not made for a child that goes on: the thread sanitizer takes its threads
  // for the parent's, and the address sanitizer's allocator may be locked for good. There, forking alone is looked at.
  if (SOME_ALONE) return 0;
  alarm(kPatience);
  for (std::size_t i = 0; i < works.size(); ++i)
    if (works[i]->run() != expected[i]) return 2;
  if (threads_of_process() < kThreads) return 3;
  return works[0]->ask(31) ? 0 : 4;
}

void test_forks(int forks) {
  rnn_engine_context* context = nullptr;
  CHECK(rnn_engine_context_create(kThreads, nullptr, &context) == 0, "context: %s", rnn_engine_last_error());
  const auto make = [&] {
    std::vector<std::unique_ptr<Work>> works;
    works.push_back(std::make_unique<Work>(context, RNN_ENGINE_STORE, RNN_ENGINE_LAYERS));
    works.push_back(std::make_unique<Work>(context, RNN_ENGINE_STORE, RNN_ENGINE_WAVEFRONT));
    works.push_back(std::make_unique<Work>(context, RNN_ENGINE_RECOMPUTE, RNN_ENGINE_LAYERS));
    return works;
  };
  std::vector<std::unique_ptr<Work>> works = make(), others = make();
  std::vector<std::uint64_t> expected;
  for (const auto& work : works) expected.push_back(work->run());
  for (const std::uint64_t result : expected)
    CHECK(result == expected[0] && result != 0, "policies and schedules agree");

  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread caller([&] {
    while (!stop)
      for (std::size_t i = 0; i < others.size(); ++i) wrong += others[i]->run() != expected[i];
  });
  std::thread asker([&] {
    for (std::int64_t steps = 1; !stop; steps = steps % 60 + 1) wrong += !others[0]->ask(steps);
  });
  for (int fork_number = 0; fork_number < forks; ++fork_number) {
    const pid_t child = fork();
    if (child == 0) _exit(in_child(works, expected));
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status), "child %d was ended by signal %d", fork_number, WTERMSIG(status));
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "child %d found %d", fork_number, WEXITSTATUS(status));
    CHECK(works[static_cast<std::size_t>(fork_number) % works.size()]->run() == expected[0], "in the parent");
  }
  stop = true;
  caller.join();
  asker.join();
  CHECK(wrong == 0, "%d calls of other threads were wrong", wrong.load());
  works.clear();
  others.clear();
  rnn_engine_context_destroy(context);
}

}  // namespace

int main(int argc, char** argv) {
  test_forks(argc > 1 ? std::atoi(argv[1]) : SOME_ALONE ? 6 : 40);
  std::printf("%d failures\n", failures);
  return failures != 0;
}
