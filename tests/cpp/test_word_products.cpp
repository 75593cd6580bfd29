// Products of words: right, made once while there is room, and kept in few blocks.
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "support.h"
#include "translate/word_products.h"

using namespace rnn_engine::translate;

namespace {

constexpr std::int64_t kWords = 2'500, kWidth = 1'024, kKept = 2'048;  // 8 MiB of 4 KiB each

// The word's value in its first column, 1 more in the next one, ...; counts the rows.
class Counting : public Linear {
 public:
  void apply(std::int64_t rows, const float* x, std::int64_t x_row, float* y, std::int64_t y_row,
             const float*) const override {
    made += rows;
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < kWidth; ++j) y[i * y_row + j] = x[i * x_row] + static_cast<float>(j);
  }
  void pick(const std::vector<std::int32_t>&, std::unique_ptr<Linear>&) const override {}

  mutable std::atomic<std::int64_t> made{0};
};

std::shared_ptr<const Table> table() {
  std::vector<float> values(kWords);
  for (std::int64_t i = 0; i < kWords; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>(3 * i);
  return std::make_shared<Table>(Matrix{kWords, 1, values.data()}, 1.0f);
}

std::vector<const float*> look_up(const WordProducts& products, const Linear& linear,
                                  const std::vector<std::int32_t>& words) {
  std::vector<const float*> rows(words.size());
  products.look_up(linear, static_cast<std::int64_t>(words.size()), words.data(), rows.data());
  for (std::size_t i = 0; i < words.size(); ++i)
    for (std::int64_t j = 0; j < kWidth; ++j)
      CHECK(rows[i][j] == static_cast<float>(3 * words[i] + j), "word %d, column %d", words[i], static_cast<int>(j));
  return rows;
}

void test_words() {
  const WordProducts products(table(), kWidth);
  const Counting linear;
  std::vector<std::int32_t> all(kWords);
  for (std::int64_t i = 0; i < kWords; ++i) all[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i);
  const std::vector<const float*> first = look_up(products, linear, all);
  CHECK(linear.made == kWords, "every word once");
  const std::vector<const float*> second = look_up(products, linear, all);
  CHECK(linear.made == 2 * kWords - kKept, "those that there was no room for are made again");
  int apart = 0;
  for (std::size_t i = 0; i < kKept; ++i) {
    CHECK(first[i] == second[i], "word %d moved", static_cast<int>(i));
    if (i > 0 && first[i] != first[i - 1] + kWidth) ++apart;
  }
  CHECK(apart < 8, "%d blocks for 8 MiB: each is at least one of them", apart + 1);
}

void test_threads_at_once() {
  const WordProducts products(table(), kWidth);
  const Counting linear;
  const std::vector<std::int32_t> words{5, 5, 7, 2'499, 0, 5};
  std::vector<std::vector<const float*>> found(4);
  std::vector<std::thread> threads;
  for (auto& rows : found) threads.emplace_back([&] { rows = look_up(products, linear, words); });
  for (std::thread& each : threads) each.join();
  for (const auto& rows : found) CHECK(rows == found[0] && rows[0] == rows[1], "one product of a word, for all");
}

}  // namespace

int main() {
  test_words();
  test_threads_at_once();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
