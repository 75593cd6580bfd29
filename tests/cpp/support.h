/* What the tests of the C API share: checks, inputs that are the same on every machine, the contexts to test,
 * and digests. */
#ifndef RNN_ENGINE_TESTS_SUPPORT_H_
#define RNN_ENGINE_TESTS_SUPPORT_H_

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rnn_engine.h"

/* The bfloat16 of PLAIN_ISAS gives the same bits, that of each of the others its own. */
enum { PLAIN_ISAS = 4, ISAS = 6, MACHINES = 2 * PLAIN_ISAS, ALL_MACHINES = 2 * ISAS, KINDS = 1 + ISAS - PLAIN_ISAS };

static const char* const kIsas[ISAS] = {"generic", "neon", "avx2", "avx512", "avx512_bf16", "amx_bf16"};

/* Races do not depend on the instruction set, and the thread sanitizer makes everything many times slower. */
#ifdef __SANITIZE_THREAD__
enum { BEST_ISA_ALONE = 1 };
#else
enum { BEST_ISA_ALONE = 0 };
#endif

/* Values of a case whose gradients are compared with differences. What a sanitizer or an emulator finds does
 * not depend on their number: the bits are the same as in the native tests, which look at more. */
#ifdef EVERYTHING_IS_SLOW
enum { DIFFERENCES = 5, SOME_ALONE = 1 };
#else
enum { DIFFERENCES = 100, SOME_ALONE = 0 };
#endif

/* Whether to run combination `number` of a machine's settings. Where everything is slow, every other one is
 * left to the next machine and the next case, unless NMT_TESTS=exhaustive. */
static inline int wanted(int number) {
  const char* tests = getenv("NMT_TESTS");
  return !SOME_ALONE || number % 2 == 0 || (tests && strcmp(tests, "exhaustive") == 0);
}

static int failures = 0;

#define CHECK(condition, ...)                         \
  do {                                                \
    if (!(condition)) {                               \
      ++failures;                                     \
      fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
      fprintf(stderr, __VA_ARGS__);                   \
      fputc('\n', stderr);                            \
    }                                                 \
  } while (0)

static inline void expect_error(int code, const char* part) {
  CHECK(code == RNN_ENGINE_INVALID, "expected an error about %s, got code %d", part, code);
  CHECK(strstr(rnn_engine_last_error(), part) != NULL, "expected a message with \"%s\", got \"%s\"", part,
        rnn_engine_last_error());
}

static uint64_t random_state;
static inline double uniform(void) { /* xorshift64*, in [-0.5, 0.5) */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (double)((random_state * 2685821657736338717ull) >> 11) / 9007199254740992.0 - 0.5;
}

/* The bfloat16 next to x. */
static inline uint16_t nearest(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* Fills `count` values of `size` bytes (2: bfloat16) with numbers in [-scale / 2, scale / 2). */
static inline void fill_values(char* values, size_t count, size_t size, double scale) {
  random_state = 12345;
  for (size_t i = 0; i < count; ++i) {
    const double v = scale * uniform();
    if (size == 2)
      ((uint16_t*)values)[i] = nearest((float)v);
    else if (size == 4)
      ((float*)values)[i] = (float)v;
    else
      ((double*)values)[i] = v;
  }
}

static inline const char* name_of_isa(const rnn_engine_context* context) {
  const char* isa = "?";
  CHECK(rnn_engine_context_isa(context, &isa) == 0, "isa: %s", rnn_engine_last_error());
  return isa;
}

typedef struct {
  const char* isa;
  int threads;
  rnn_engine_context* context;
} Machine;

/* Every instruction set that this machine has (under the thread sanitizer the best alone), on 1 and on 4
 * threads (which also divide into groups of two); returns how many. They are made once for all cases, since
 * each measures its costs when a budget is first planned. */
static inline int make_machines(Machine machines[MACHINES]) {
  int count = 0, first = 0;
  if (BEST_ISA_ALONE) {
    first = PLAIN_ISAS - 1;
    while (!rnn_engine_has_isa(kIsas[first])) --first;
  }
  for (int i = first; i < PLAIN_ISAS; ++i) {
    if (!rnn_engine_has_isa(kIsas[i])) continue;
    for (int threads = 1; threads <= 4; threads += 3) {
      Machine* machine = &machines[count++];
      *machine = (Machine){kIsas[i], threads, NULL};
      if (rnn_engine_context_create(threads, kIsas[i], &machine->context) == 0) continue;
      fprintf(stderr, "context: %s\n", rnn_engine_last_error());
      exit(1);
    }
  }
  return count;
}

/* Those whose bfloat16 has bits of its own, after `count` other machines; returns how many there are now. */
static inline int add_odd_ones(Machine machines[ALL_MACHINES], int count) {
  for (int i = PLAIN_ISAS; i < ISAS; ++i)
    for (int threads = 1; rnn_engine_has_isa(kIsas[i]) && threads <= 4; threads += 3) {
      Machine* machine = &machines[count++];
      *machine = (Machine){kIsas[i], threads, NULL};
      CHECK(rnn_engine_context_create(threads, machine->isa, &machine->context) == 0, "context: %s",
            rnn_engine_last_error());
    }
  return count;
}

/* Machines of one kind give the same bits in bfloat16: 0, or that of an odd one. */
static inline int kind_of(const Machine* m) {
  for (int i = PLAIN_ISAS; i < ISAS; ++i)
    if (strcmp(m->isa, kIsas[i]) == 0) return 1 + i - PLAIN_ISAS;
  return 0;
}

static inline void release_machines(const Machine* machines, int count) {
  for (int i = 0; i < count; ++i) rnn_engine_context_destroy(machines[i].context);
}

/* FNV-1a */
static inline uint64_t digest(const void* data, size_t bytes) {
  uint64_t hash = 14695981039346656037ull;
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ ((const unsigned char*)data)[i]) * 1099511628211ull;
  return hash;
}

#endif
