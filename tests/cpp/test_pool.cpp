// The thread pool: every thread takes part, barriers order what they should, of all or of groups, shares
// cover everything once, and calls from several threads at once and after a fork all get their work done.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "base/pool.h"
#include "support.h"

using rnn_engine::Pool;
using rnn_engine::Team;

namespace {

// Each thread adds to its neighbour's number after a barrier; the result depends on every barrier being one.
std::vector<long> rounds(Pool& pool, int threads, int count) {
  std::vector<long> values(threads, 1), next(threads, 0);
  pool.run([&](Team& team) {
    for (int round = 0; round < count; ++round) {
      for (int i = team.id(); i < threads; i += team.size())
        next[i] = values[i] + round * values[(i + 1) % threads] % 7;
      team.barrier();
      for (int i = team.id(); i < threads; i += team.size()) values[i] = next[i];
      team.barrier();
    }
  });
  return values;
}

void test_barriers() {
  Pool one(1);
  for (int threads = 1; threads <= 4; ++threads) {
    Pool pool(threads);
    for (int repeat = 0; repeat < 50; ++repeat)
      CHECK(rounds(pool, 4, 40) == rounds(one, 4, 40), "barriers order the rounds");
  }
}

// Groups meet on their own: each runs a different number of rounds, and only its own threads take part.
void test_groups() {
  Pool pool(4);
  for (int repeat = 0; repeat < 50; ++repeat)
    for (int groups : {1, 2, 4}) {
      std::vector<std::vector<long>> values(groups, std::vector<long>(4, 1));
      pool.run([&](Team& all) {
        Team team = all.group(groups);
        CHECK(team.size() == 4 / groups, "groups are equally large");
        const int group = all.id() / team.size();
        std::vector<long>& mine = values[group];
        for (int round = 0; round < 10 * (group + 1); ++round) {
          const long before = mine[(team.id() + 1) % team.size()];
          team.barrier();
          mine[team.id()] += before % 7 + round;
          team.barrier();
        }
      });
      for (int group = 0; group < groups; ++group) {
        std::vector<long> expected(4, 1);
        const int size = 4 / groups;
        for (int round = 0; round < 10 * (group + 1); ++round) {
          const std::vector<long> before = expected;
          for (int i = 0; i < size; ++i) expected[i] += before[(i + 1) % size] % 7 + round;
        }
        CHECK(values[group] == expected, "barriers of groups order their rounds");
      }
    }
}

void test_shares() {
  for (int size = 1; size <= 5; ++size)
    for (std::int64_t count : {0, 1, 5, 16, 17, 100})
      for (std::int64_t grain : {1, 6, 16}) {
        std::int64_t next = 0;
        for (int id = 0; id < size; ++id) {
          const Team::Range range = Team(id, size, nullptr).share(count, grain);
          CHECK(range.begin == next && range.end >= range.begin, "shares follow each other");
          CHECK(range.begin == range.end || range.begin % grain == 0, "shares begin at multiples of the grain");
          next = range.end;
        }
        CHECK(next == count, "shares cover everything");
      }
}

void test_callers_at_once() {
  Pool pool(2), one(1);
  const std::vector<long> expected = rounds(one, 3, 30);
  std::vector<std::thread> callers;
  std::vector<int> right(4, 0);
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&, caller] {
      for (int repeat = 0; repeat < 50; ++repeat) right[caller] += rounds(pool, 3, 30) == expected;
    });
  for (auto& caller : callers) caller.join();
  for (int count : right) CHECK(count == 50, "calls from several threads at once");
}

void test_fork() {
  Pool pool(2), one(1);
  const std::vector<long> expected = rounds(one, 3, 30);
  CHECK(rounds(pool, 3, 30) == expected, "before the fork");
  const pid_t child = fork();
  if (child == 0) _exit(rounds(pool, 3, 30) == expected ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "in the child of a fork");
  CHECK(rounds(pool, 3, 30) == expected, "after the fork");
}

}  // namespace

// `test_pool --no-fork` leaves out the fork: an emulator of another processor cannot fork with threads about.
int main(int argc, char** argv) {
  test_shares();
  test_barriers();
  test_groups();
  test_callers_at_once();
  if (argc < 2 || std::strcmp(argv[1], "--no-fork") != 0) test_fork();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
