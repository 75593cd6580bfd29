// The engine's own logarithm is within one unit in the last place of the C library's.
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/log.h"

int main() {
  int failures = 0;
  const auto check = [&](double x) {
    const double expected = std::log(x), got = rnn_engine::portable_log(x), size = std::fabs(expected);
    const double unit = std::nextafter(size, std::numeric_limits<double>::infinity()) - size;
    if (std::fabs(got - expected) <= unit) return;
    ++failures;
    std::fprintf(stderr, "log(%a): expected %a, got %a\n", x, expected, got);
  };
  check(std::numeric_limits<double>::min());
  check(std::numeric_limits<double>::max());
  for (int i = -2000; i <= 2000; ++i) {
    check(1 + i * 0x1p-52);
    check(1 + i / 4096.0);
    check(std::exp2(i / 2.0));
    check(std::exp(i * 0.01));
  }
  if (!std::isnan(rnn_engine::portable_log(std::numeric_limits<double>::quiet_NaN()))) ++failures;
  std::printf("%d failures\n", failures);
  return failures != 0;
}
