// Products of 8-bit integers of every instruction set against exact sums, and against each other to the bit: with odd
// sizes, and with few and many rows, which some multiply in different ways.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cpu/kernels/kernels.h"
#include "support.h"

using namespace rnn_engine;

namespace {

struct Sizes {
  std::int64_t rows, n, k;
};

struct Problem {
  std::vector<std::int8_t> weights;  // [n, k]
  std::vector<std::int8_t> panels;
  std::vector<float> values, scales, init;
};

std::vector<float> random_floats(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(uniform());
  return values;
}

Problem make_problem(const Sizes& s) {
  Problem p;
  for (std::int64_t i = 0; i < s.n * s.k; ++i) p.weights.push_back(static_cast<std::int8_t>(254 * uniform()));
  // What fills up the last panel must not matter, but for the last four k, whose partners are zeros.
  p.panels.assign(static_cast<std::size_t>(int8_bytes(s.n, s.k)), 77);
  const std::int64_t wide = round_up_to_four(s.k);
  for (std::int64_t row = 0; row < s.n; ++row)
    for (std::int64_t k = 0; k < wide; ++k)
      p.panels[static_cast<std::size_t>(row / kInt8Panel * kInt8Panel * wide + k / 4 * 4 * kInt8Panel +
                                        row % kInt8Panel * 4 + k % 4)] =
          k < s.k ? p.weights[static_cast<std::size_t>(row * s.k + k)] : std::int8_t{0};
  p.values = random_floats(s.rows * s.k);
  p.scales = random_floats(s.n);
  p.init = random_floats(s.rows * s.n);
  return p;
}

std::vector<float> multiply(const Int8Kernels& kernels, const Sizes& s, const Problem& p, const float* init,
                            std::int64_t init_row) {
  const std::int64_t wide = round_up_to_four(s.k), padded = (s.n + kInt8Panel - 1) / kInt8Panel * kInt8Panel;
  std::vector<std::int8_t> a(static_cast<std::size_t>(s.rows * wide));
  std::vector<float> row_scales(static_cast<std::size_t>(s.rows)), c(static_cast<std::size_t>(s.rows * s.n), NAN);
  std::vector<std::int32_t> offsets(static_cast<std::size_t>(padded));
  for (std::int64_t row = 0; row < s.n; ++row)
    for (std::int64_t k = 0; k < s.k; ++k)
      offsets[static_cast<std::size_t>(row)] += kernels.offset * p.weights[static_cast<std::size_t>(row * s.k + k)];
  kernels.quantise_rows(s.rows, p.values.data(), s.k, s.k, a.data(), row_scales.data());
  kernels.product({{s.n, s.k, p.panels.data(), p.scales.data()},
                   s.rows,
                   a.data(),
                   row_scales.data(),
                   offsets.data(),
                   init,
                   init_row,
                   c.data(),
                   s.n});
  return c;
}

void test_product(const char* isa, const Int8Kernels& kernels, const Int8Kernels& plainest, const Sizes& s) {
  const Problem p = make_problem(s);
  std::vector<std::int8_t> quantised(static_cast<std::size_t>(s.k));
  for (int begins = 0; begins < 3; ++begins) {  // with zeros, a row for all, a row each
    const float* init = begins ? p.init.data() : nullptr;
    const std::int64_t init_row = begins == 2 ? s.n : 0;
    const std::vector<float> found = multiply(kernels, s, p, init, init_row);
    CHECK(std::memcmp(found.data(), multiply(plainest, s, p, init, init_row).data(), sizeof(float) * found.size()) == 0,
          "%s: %d rows, n %d, k %d: other bits", isa, static_cast<int>(s.rows), static_cast<int>(s.n),
          static_cast<int>(s.k));
    for (std::int64_t row = 0; row < s.rows; ++row) {
      const float scale = plainest.quantise_row(p.values.data() + row * s.k, s.k, quantised.data());
      for (std::int64_t j = 0; j < s.n; ++j) {
        std::int64_t sum = 0;
        for (std::int64_t k = 0; k < s.k; ++k)
          sum +=
              std::int64_t{quantised[static_cast<std::size_t>(k)]} * p.weights[static_cast<std::size_t>(j * s.k + k)];
        const double first = init ? p.init[static_cast<std::size_t>(row * init_row + j)] : 0;
        const double exact = static_cast<double>(sum) * scale * p.scales[static_cast<std::size_t>(j)];
        CHECK(std::abs(found[static_cast<std::size_t>(row * s.n + j)] - exact - first) <=
                  1e-6 * (std::abs(exact) + std::abs(first)) + 1e-7,
              "%s: a product against its exact sum", isa);
      }
    }
  }
}

}  // namespace

int main() {
  const Int8Kernels plainest = select_backend("generic").int8;
  for (const char* isa : kIsas) {
    if (!has_backend(isa)) continue;
    const Int8Kernels kernels = select_backend(isa).int8;
    random_state = 11;
    for (const std::int64_t rows : {1, 7, 8, 16, 17, 31, 32, 33, 50})
      for (const Sizes s :
           {Sizes{rows, 1, 1}, {rows, 16, 64}, {rows, 17, 63}, {rows, 40, 65}, {rows, 100, 130}, {rows, 48, 4}})
        test_product(isa, kernels, plainest, s);
  }
  std::printf("%d failures\n", failures);
  return failures != 0;
}
