// Every instruction set's vector type does what plain scalar code does, bit for bit, special values included,
// and partial loads and stores touch no value beyond theirs.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "rnn_engine.h"
#include "vector_ops.h"

using namespace rnn_engine;

namespace {

int failures = 0;

template <class T>
bool same_bits(T a, T b) {
  return (a != a && b != b) || std::memcmp(&a, &b, sizeof a) == 0;  // which NaN it is differs between processors
}

template <class T>
void expect(const char* isa, const char* operation, T a, T b, T c, T expected, T got, bool any_zero = false) {
  if (same_bits(expected, got) || (any_zero && expected == 0 && got == 0)) return;
  ++failures;
  std::fprintf(stderr, "%s, %zu-byte floats: %s of %a, %a, %a: expected %a, got %a\n", isa, sizeof(T), operation,
               static_cast<double>(a), static_cast<double>(b), static_cast<double>(c), static_cast<double>(expected),
               static_cast<double>(got));
}

template <class T>
void test_operations(const char* isa, const VectorOps<T>& ops, const T* a, const T* b, const T* c) {
  constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
  const T whole[kOperands] = {0, 1, -1, 2, -2, 10, -10, 64, -64, 100, -100, 126, -126, 127, kNan, 3};
  VectorResults<T> r;
  ops.apply(a, b, c, whole, r);
  for (int i = 0; i < kOperands; ++i) {
    const T x = a[i], y = b[i], z = c[i];
    const auto check = [&](const char* operation, T expected, T got, bool any_zero = false) {
      expect(isa, operation, x, y, z, expected, got, any_zero);
    };
    check("a + b", x + y, r.sum[i]);
    check("a - b", x - y, r.difference[i]);
    check("a * b", x * y, r.product[i]);
    check("a / b", x / y, r.quotient[i]);
    check("-a", -x, r.negative[i]);
    check("min(a, b)", x < y ? x : y, r.least[i]);
    check("max(a, b)", x > y ? x : y, r.most[i]);
    check("fma(a, b, c)", std::fma(x, y, z), r.fused[i]);
    // Adding and subtracting a constant, as the generic type does, loses the sign of zero; larger values are
    // beyond what is promised.
    if (!(std::abs(x) >= 4194304)) check("round_even(a)", std::nearbyint(x), r.rounded[i], true);
    const T n = whole[i];  // 1 of NaN, so that exp(NaN) is the NaN of its other factor
    expect(isa, "pow2", n, n, n, n == n ? std::ldexp(T(1), static_cast<int>(n)) : T(1), r.power[i]);
    check("V(a)", x, r.broadcast[i]);
    check("interleave", x, r.interleaved[2 * i]);
    check("interleave", y, r.interleaved[2 * i + 1]);
  }
}

template <class T>
void test_special_values(const char* isa, const VectorOps<T>& ops) {
  using Limits = std::numeric_limits<T>;
  const T epsilon = Limits::epsilon();
  const T values[] = {T(0),
                      -T(0),
                      T(1),
                      -T(1),
                      T(0.5),
                      -T(0.5),
                      T(1.5),
                      T(2.5),
                      -T(2.5),
                      T(0.3),
                      1 + epsilon,
                      1 - epsilon / 2,
                      T(1) / 3,
                      -T(4194303),
                      Limits::min(),
                      -Limits::min() * T(1.75),
                      Limits::denorm_min(),
                      -Limits::denorm_min() * 3,
                      Limits::max(),
                      Limits::lowest(),
                      Limits::infinity(),
                      -Limits::infinity(),
                      Limits::quiet_NaN()};
  constexpr int kCount = sizeof values / sizeof values[0];
  // Every triple of them, kOperands at a time.
  T a[kOperands], b[kOperands], c[kOperands];
  for (int first = 0; first < kCount * kCount * kCount; first += kOperands) {
    for (int i = 0; i < kOperands; ++i) {
      const int at = (first + i) % (kCount * kCount * kCount);
      a[i] = values[at % kCount];
      b[i] = values[at / kCount % kCount];
      c[i] = values[at / kCount / kCount];
    }
    test_operations(isa, ops, a, b, c);
  }
}

// The values to move end where a page does, and the next page must not be touched.
template <class T>
void test_partial_moves(const char* isa, const VectorOps<T>& ops) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto pages = [&] {
    void* memory = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char* end = static_cast<char*>(memory) + page;
    mprotect(end, page, PROT_NONE);
    return reinterpret_cast<T*>(end);
  };
  T *from = pages(), *to = pages();
  for (int n = 0; n <= ops.width; ++n) {
    T lanes[kOperands], middle[2 * kOperands];
    for (int i = 1; i <= kOperands; ++i) from[-i] = to[-i] = T(i);
    ops.move(from - n, n, lanes, to - n);
    for (int i = 0; i < ops.width; ++i) expect(isa, "load of n", T(n), T(i), T(0), i < n ? T(n - i) : T(0), lanes[i]);
    for (int i = 1; i <= kOperands; ++i) expect(isa, "store of n", T(n), T(i), T(0), T(i), to[-i]);
    for (T& value : middle) value = T(-1);
    ops.move(from - n, n, lanes, middle + kOperands / 2);
    for (int i = 0; i < 2 * kOperands; ++i) {
      const int lane = i - kOperands / 2;
      expect(isa, "store of n", T(n), T(lane), T(0), lane >= 0 && lane < n ? T(n - lane) : T(-1), middle[i]);
    }
  }
  munmap(reinterpret_cast<char*>(from) - page, 2 * page);
  munmap(reinterpret_cast<char*>(to) - page, 2 * page);
}

struct Entry {
  const char* isa;
  VectorTypes (*types)();
};

constexpr Entry kEntries[] = {
    {"generic", generic_vectors},
#if defined(__x86_64__)
    {"avx2", avx2_vectors},
    {"avx512", avx512_vectors},
#elif defined(__aarch64__)
    {"neon", neon_vectors},
#endif
};

}  // namespace

int main() {
  for (const Entry& entry : kEntries) {
    if (!rnn_engine_has_isa(entry.isa)) continue;
    const VectorTypes types = entry.types();
    test_special_values(entry.isa, types.f32);
    test_special_values(entry.isa, types.f64);
    test_partial_moves(entry.isa, types.f32);
    test_partial_moves(entry.isa, types.f64);
  }
  std::printf("%d failures\n", failures);
  return failures != 0;
}
