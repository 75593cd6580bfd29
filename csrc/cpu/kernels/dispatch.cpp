// The table of instruction sets, best first, and the choice among them. Compiled without instruction-set flags.
#include <cstring>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/error.h"
#include "cpu/kernels/kernels.h"

namespace rnn_engine {
namespace cpu {
Backend generic_backend();
#if defined(__x86_64__)
Backend avx2_backend();
Backend avx512_backend();
Backend avx512_bf16_backend();
Backend amx_bf16_backend();
Int8Kernels avx512_vnni_int8_kernels();
Int8Kernels amx_int8_kernels();
#elif defined(__aarch64__)
Backend neon_backend();
#endif
}  // namespace cpu

namespace {

struct Entry {
  const char* name;
  bool (*available)();
  Backend (*make)();
  bool (*preferred)() = [] { return true; };  // to those below it; else it must be asked for
};

#if defined(__x86_64__)
// Whether there are tiles and their products, and the kernel lets this process have them: their state is so
// large that Linux wants to be asked.
bool has_matrix_unit() {
  constexpr unsigned kNeeded = 1u << 24 | 1u << 22 | 1u << 25;  // tiles, their products of bfloat16, of 8 bits
  constexpr long kRequestPermission = 0x1023, kTileData = 18;   // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kNeeded) == kNeeded &&
           syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return has;
}

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
bool has_amx_bf16() { return has_avx512() && has_matrix_unit(); }
// Pairs are twice as fast as float32 on AMD's processors, and half as fast on Intel's, whose bfloat16 is for matrix
// units. A processor always takes the same: bits must not follow from anything that is measured.
bool has_fast_pairs() { return __builtin_cpu_is("amd"); }
#endif

#if defined(__x86_64__)
// Some processors with AVX-512 have no VNNI.
template <Backend (*make)()>
Backend with_vnni() {
  Backend backend = make();
  if (__builtin_cpu_supports("avx512vnni")) backend.int8 = cpu::avx512_vnni_int8_kernels();
  return backend;
}
Backend with_tiles() {
  Backend backend = cpu::amx_bf16_backend();
  backend.int8 = cpu::amx_int8_kernels();
  return backend;
}
#endif

constexpr Entry kEntries[] = {
#if defined(__x86_64__)
    {"amx_bf16", has_amx_bf16, with_tiles},
    {"avx512_bf16", has_avx512_bf16, with_vnni<cpu::avx512_bf16_backend>, has_fast_pairs},
    {"avx512", has_avx512, with_vnni<cpu::avx512_backend>},
    {"avx2", has_avx2, cpu::avx2_backend},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, cpu::neon_backend},
#endif
    {"generic", [] { return true; }, cpu::generic_backend},
};

const Entry* find(const char* isa) {
  for (const Entry& entry : kEntries)
    if (std::strcmp(entry.name, isa) == 0) return &entry;
  return nullptr;
}

}  // namespace

bool has_backend(const char* isa) {
  const Entry* entry = find(isa);
  return entry && entry->available();
}

Backend select_backend(const char* isa) {
  const Entry* chosen = nullptr;
  if (isa && *isa) {
    chosen = find(isa);
    std::string known;
    for (const Entry& entry : kEntries) known += std::string(known.empty() ? "" : ", ") + entry.name;
    require(chosen, "instruction set: expected one of " + known + ", got \"" + isa + "\"");
    require(chosen->available(), "instruction set: this machine has no " + std::string(isa));
  } else {
    for (const Entry& entry : kEntries) {
      if (!entry.available() || !entry.preferred()) continue;
      chosen = &entry;
      break;
    }
  }
  return chosen->make();
}

}  // namespace rnn_engine
