// Products that threads share: every column is done once, by whomever, whoever calls, and after a fork.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "support.h"
#include "translate/sharing.h"

using rnn_engine::Team;
using rnn_engine::translate::Helpers;
using rnn_engine::translate::share_product;
using rnn_engine::translate::Sharing;

namespace {

constexpr std::int64_t kLarge = 1 << 20, kColumns = 640;

// Products one after the other, as in a sentence; returns whether all columns of all were done once, and sets `parts`
// to how many the last was cut into.
bool right(const Helpers& helpers, int threads, std::int64_t bytes, int products, int& parts) {
  const Sharing sharing(helpers, threads);
  std::vector<int> done(kColumns, 0);
  for (int product = 1; product <= products; ++product) {
    std::atomic<int> size{0};
    share_product(bytes, [&](const Team& team) {
      const Team::Range columns = team.share(kColumns, 64);
      for (std::int64_t i = columns.begin; i < columns.end; ++i) ++done[i];
      size = team.size();
    });
    for (const int each : done)
      if (each != product) return false;
    parts = size;
  }
  return true;
}

void test_all_columns() {
  const Helpers helpers;
  for (int threads : {1, 2, 3, 2, 40}) {
    int parts = 0;
    CHECK(right(helpers, threads, kLarge, 500, parts), "every column once, of %d threads", threads);
    CHECK(parts >= 1 && parts <= threads, "no more parts than threads");
    CHECK(right(helpers, threads, 1, 2, parts) && parts == 1, "small products are not shared");
  }
  int parts = 0;
  share_product(kLarge, [&](const Team& team) { parts = team.size(); });
  CHECK(parts == 1, "nothing is shared where nobody asked for it");
}

void test_callers_at_once() {
  const Helpers helpers;
  std::vector<std::thread> callers;
  std::vector<int> found(4, 0);
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&, caller] {
      int parts = 0;
      for (int repeat = 0; repeat < 20; ++repeat) found[caller] += right(helpers, 2, kLarge, 20, parts);
    });
  for (std::thread& each : callers) each.join();
  for (const int count : found) CHECK(count == 20, "callers at once");
}

void test_fork() {
  const Helpers helpers;
  int parts = 0;
  CHECK(right(helpers, 2, kLarge, 20, parts), "before the fork");
  const pid_t child = fork();
  if (child == 0) _exit(right(helpers, 2, kLarge, 20, parts) ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "in the child of a fork");
  CHECK(right(helpers, 2, kLarge, 20, parts), "after the fork");
}

}  // namespace

// `test_sharing --no-fork` leaves out the fork, as test_pool does.
int main(int argc, char** argv) {
  test_all_columns();
  test_callers_at_once();
  if (argc < 2 || std::strcmp(argv[1], "--no-fork") != 0) test_fork();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
