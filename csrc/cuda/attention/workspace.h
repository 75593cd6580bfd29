// How much of a batch attention takes at once, and what lies in its workspace meanwhile.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/arena.h"
#include "base/float16.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {

inline constexpr int kForScores = ~RNN_ENGINE_ATTENTION_VALUES;  // gradients that take those of scores

// How many sentences, or steps of one, are taken at once: as many as keep all rows of weights of one kind within a
// bound.
struct Taken {
  std::int64_t row;  // values between rows of weights
  std::int64_t sentences, steps;

  explicit Taken(const rnn_engine_attention_problem& p) {
    constexpr std::int64_t kValues = 8 << 20, kLeast = 64, kAlign = 16, kMostItems = 65535;
    row = (p.source_steps + kAlign - 1) / kAlign * kAlign;
    const std::int64_t fitting = std::max(kLeast, kValues / (row * p.heads) / kLeast * kLeast);  // rows
    steps = std::min(p.steps, fitting);
    const std::int64_t sets = std::min(fitting / std::max<std::int64_t>(1, p.steps), kMostItems / p.heads);
    sentences = std::clamp<std::int64_t>(sets, 1, std::max<std::int64_t>(1, p.batch));
  }
  bool cuts(const rnn_engine_attention_problem& p) const { return steps < p.steps; }
};

// Of one slice, [sentences, heads, steps, row] each.
template <class T>
struct AttentionWorkspace {
  using S = Value<T>;
  S* scores;
  T* weights;  // what products take, of rounded types
  S* d_weights;
  T* d_scores;           // as `weights`
  S *d_keys, *d_values;  // [S, A], [S, C] of rounded types, sums over steps where they are cut
  S* d_vectors;          // [B, A]

  AttentionWorkspace(const rnn_engine_attention_problem& p, int gradients, Arena& arena) {
    const Taken taken(p);
    const std::int64_t values = taken.sentences * p.heads * taken.steps * taken.row;
    const bool for_scores = gradients & kForScores, sums = kRounds<T> && taken.cuts(p);
    const auto where = [](bool wanted, std::int64_t count) { return wanted ? count : 0; };
    scores = arena.take<S>("scores", values);
    weights = arena.take<T>("weights", where(kRounds<T>, values));
    d_weights = arena.take<S>("gradients of weights", where(for_scores, values));
    d_scores = arena.take<T>("gradients of scores", where(kRounds<T> && for_scores, values));
    d_keys =
        arena.take<S>("d_keys", where(sums && (gradients & RNN_ENGINE_ATTENTION_KEYS), p.source_steps * p.key_size));
    d_values = arena.take<S>("d_values",
                             where(sums && (gradients & RNN_ENGINE_ATTENTION_VALUES), p.source_steps * p.value_size));
    d_vectors = arena.take<S>("d_vector of each", where(gradients & RNN_ENGINE_ATTENTION_VECTOR, p.batch * p.key_size));
  }
};

}  // namespace rnn_engine::cuda
