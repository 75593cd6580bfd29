// Z = W X^T + b is kept transposed, [V, tokens]: the weight is streamed as it lies, the packed operand is
// the small one, and the lanes of the softmax are tokens. docs/engine.md has the equations.
//
// Bit rules: products are chains (cpu/kernels/kernels.h); sums over classes run in blocks of kClassBlock,
// then over the blocks; sums over tokens are chains in their order, the bias's over 16 lanes within a chunk. Of
// tokens in two passes a chunk holds both: its first half is of one pass, its second of the other.
//
// Of bfloat16 hidden vectors and weights, logits, softmax and slopes are float32; products take the slopes rounded.
#include "cpu/loss/linear_cross_entropy.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "api/arguments.h"
#include "base/error.h"
#include "base/log.h"
#include "cpu/gemm/gemm.h"

namespace rnn_engine {
namespace {

template <class T>
class Loss {
 public:
  using S = Value<T>;

  Loss(Team& team, const rnn_engine_loss_problem& problem, const Backend& backend, const rnn_engine_loss_args& args,
       const LossWorkspace<T>& workspace)
      : team_(team),
        p_(problem),
        kernels_(backend.kernels<T>()),
        softmax_(backend.kernels<S>()),
        args_(args),
        s_(workspace),
        weight_(static_cast<const T*>(args.weight)),
        d_weight_(static_cast<S*>(args.d_weight)),
        d_bias_(static_cast<S*>(args.d_bias)),
        passes_(problem.divergence > 0 ? 2 : 1) {}

  rnn_engine_loss_result run() {
    rnn_engine_loss_result result{};
    if (team_.id() == 0) s_.cursor[0] = 0;
    for (;;) {
      if (team_.id() == 0) collect();
      team_.barrier();
      count_ = s_.cursor[1];
      if (count_ == 0) break;
      pack_hidden();
      logits();
      team_.barrier();
      join();
      team_.barrier();
      if (team_.id() == 0) add_up(result);
      if (p_.gradients) {
        slopes();
        team_.barrier();
        if (args_.d_hidden) hidden_gradient();
      }
      team_.barrier();
    }
    if (passes_ == 2) result.loss += p_.divergence * result.divergence;
    return result;
  }

 private:
  // The next tokens that are not ignored, in all their passes; none if nobody wants the result any more.
  void collect() {
    s_.cursor[1] = 0;
    if (team_.stopped(2 * s_.chunk * p_.features * p_.vocabulary)) return;
    std::int64_t count = 0, next = s_.cursor[0];
    for (; next < p_.tokens && passes_ * count < s_.chunk; next += passes_) {
      if (args_.targets[next] == p_.ignore_index) {
        if (args_.d_hidden)
          std::memset(static_cast<T*>(args_.d_hidden) + next * p_.features, 0, sizeof(T) * passes_ * p_.features);
        continue;
      }
      s_.row[count] = next;
      s_.target[count] = args_.targets[next];
      ++count;
    }
    for (std::int64_t j = count; j < passes_ * count; ++j) {
      s_.row[j] = s_.row[j - count] + 1;
      s_.target[j] = s_.target[j - count];
    }
    s_.cursor[0] = next;
    s_.cursor[1] = passes_ * count;
  }

  void pack_hidden() {
    const std::int64_t E = p_.features;
    const Team::Range tokens = team_.share(count_);
    for (std::int64_t j = tokens.begin; j < tokens.end; ++j)
      std::memcpy(s_.x + j * E, static_cast<const T*>(args_.hidden) + s_.row[j] * E, sizeof(T) * E);
    team_.barrier();
    pack_weight_transposed(team_, kernels_, s_.x, count_, E, s_.x_transposed);
    if (d_weight_) {
      const std::int64_t panel_columns = kPanelVectors * kernels_.width;
      const Team::Range panels = team_.share((E + panel_columns - 1) / panel_columns);
      for (std::int64_t p = panels.begin; p < panels.end; ++p) {
        const std::int64_t first = p * panel_columns;
        pack_panel(
            kernels_, count_, first, std::min(panel_columns, E - first), [&](std::int64_t j) { return s_.x + j * E; },
            s_.x_packed + first * packed_depth<T>(count_));
      }
    }
    team_.barrier();
  }

  // One block of classes: rows of z, of the weight and of its gradient.
  SoftmaxPairs<S> block_at(std::int64_t block) const {
    const std::int64_t first = block * kClassBlock;
    SoftmaxPairs<S> tile{};
    tile.rows = std::min(kClassBlock, p_.vocabulary - first);
    tile.columns = count_;
    tile.z = s_.z + (p_.gradients ? first : team_.id() * kClassBlock) * s_.chunk;
    tile.z_row = s_.chunk;
    tile.top = s_.top + block * s_.chunk;
    tile.total = s_.total + block * s_.chunk;
    tile.sum = s_.sum + block * s_.chunk;
    if (passes_ == 2) tile.apart = s_.apart + block * s_.chunk;
    tile.divergence = static_cast<S>(p_.divergence);
    return tile;
  }

  void logits() {
    Team alone(0, 1, nullptr);
    const S* bias = static_cast<const S*>(args_.bias);
    const Team::Range blocks = team_.share(s_.blocks);
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      const SoftmaxPairs<S> tile = block_at(block);
      const std::int64_t first = block * kClassBlock;
      for (std::int64_t v = 0; v < tile.rows && bias; ++v)
        std::fill_n(tile.z + v * tile.z_row, count_, bias[first + v]);
      multiply(alone, kernels_,
               Product<T>{tile.rows, count_, p_.features, weight_ + first * p_.features, p_.features, s_.x_transposed,
                          bias ? tile.z : nullptr, tile.z_row, tile.z, tile.z_row});
      for (std::int64_t j = 0; j < count_; ++j)
        if (is_in_block(s_.target[j], first)) note_target(tile, s_.target[j] - first, j);
      if (passes_ == 2)
        softmax_.softmax_pairs_block(tile);
      else
        softmax_.softmax_block(tile);
    }
  }

  // Without a division: every block asks this of every token.
  static bool is_in_block(std::int64_t target, std::int64_t first) {
    return static_cast<std::uint64_t>(target - first) < static_cast<std::uint64_t>(kClassBlock);
  }

  void note_target(const SoftmaxBlock<S>& tile, std::int64_t target, std::int64_t j) {
    const S chosen = tile.z[target * tile.z_row + j];
    bool target_is_argmax = true;
    for (std::int64_t v = 0; v < tile.rows && target_is_argmax; ++v) {  // each is a line of its own in memory
      const S other = tile.z[v * tile.z_row + j];
      target_is_argmax = v < target ? other < chosen : other <= chosen;
    }
    s_.chosen[j] = chosen;
    s_.target_is_argmax[j] = target_is_argmax;
  }

  // Every token's normaliser, for this thread's share of them, and how far its passes lie apart.
  void join() {
    const std::int64_t tokens = count_ / passes_;
    const Team::Range mine = team_.share(tokens, kMaxWidth);
    if (mine.begin == mine.end) return;
    for (std::int64_t first = 0; first < count_; first += tokens) {
      const Team::Range columns{first + mine.begin, first + mine.end};
      join_columns(columns);
      if (passes_ == 2) expect_apart(columns);
    }
  }

  void join_columns(const Team::Range& mine) {
    for (std::int64_t block = 0; block < s_.blocks; ++block) {
      const S* top = s_.top + block * s_.chunk;
      for (std::int64_t j = mine.begin; j < mine.end; ++j) {
        const bool before = (block + 1) * kClassBlock <= s_.target[j];
        s_.target_is_argmax[j] &= before ? top[j] < s_.chosen[j] : top[j] <= s_.chosen[j];
      }
    }
    SoftmaxJoin<S> tile{};
    tile.blocks = s_.blocks;
    tile.columns = mine.end - mine.begin;
    tile.stride = s_.chunk;
    tile.top = s_.top + mine.begin;
    tile.total = s_.total + mine.begin;
    tile.sum = s_.sum + mine.begin;
    tile.scale = passes_ == 2 ? S(1) : static_cast<S>(args_.scale);
    tile.highest = s_.highest + mine.begin;
    tile.all = s_.all + mine.begin;
    softmax_.softmax_join(tile);
  }

  // With g the mean of z - z' over p, z' the partner's logits and g' its mean of z' - z over q:
  // KL(p || q) + KL(q || p) = g + g', whose slope by z is p (z - z' - g + 1) - q.
  void expect_apart(const Team::Range& mine) {
    std::fill(s_.mean_apart + mine.begin, s_.mean_apart + mine.end, 0.0);
    for (std::int64_t block = 0; block < s_.blocks; ++block) {
      const S *share = s_.top + block * s_.chunk, *apart = s_.apart + block * s_.chunk;
      for (std::int64_t j = mine.begin; j < mine.end; ++j)
        s_.mean_apart[j] += static_cast<double>(share[j]) * static_cast<double>(apart[j]);
    }
    for (std::int64_t j = mine.begin; j < mine.end; ++j) {
      s_.lift[j] = static_cast<S>(1 + p_.divergence * (1 - s_.mean_apart[j]));
      s_.factor[j] = static_cast<S>(args_.scale) / s_.all[j];
    }
  }

  void add_up(rnn_engine_loss_result& result) const {
    for (std::int64_t j = 0; j < count_; ++j) {
      const double chosen = s_.chosen[j], mean = static_cast<double>(s_.sum[j]) / p_.vocabulary;
      const double nll = portable_log(static_cast<double>(s_.all[j])) + (s_.highest[j] - chosen);
      result.nll += nll;
      // Without smoothing the mean must not count: it may be -inf.
      result.loss += p_.smoothing > 0 ? nll + p_.smoothing * (chosen - mean) : nll;
      result.target_is_argmax += s_.target_is_argmax[j];
      if (passes_ == 2) result.divergence += s_.mean_apart[j];
    }
    result.tokens += count_;
  }

  // z becomes scale * (softmax - smoothed target + the divergence's slope), and goes into the gradients of weight and
  // bias while it is near.
  void slopes() {
    Team alone(0, 1, nullptr);
    const S off = static_cast<S>(args_.scale * p_.smoothing / p_.vocabulary);
    const S on = static_cast<S>(args_.scale * (1 - p_.smoothing));
    const Team::Range blocks = team_.share(s_.blocks);
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      SoftmaxPairs<S> tile = block_at(block);
      const std::int64_t first = block * kClassBlock;
      tile.shift = off;
      tile.row_sums = d_bias_ ? s_.row_sums + team_.id() * kClassBlock : nullptr;
      if (passes_ == 2) {
        tile.highest = s_.highest;
        tile.factor = s_.factor;
        tile.lift = s_.lift;
        softmax_.softmax_pairs_slope(tile);
      } else {
        tile.factor = tile.top;
        softmax_.softmax_slope(tile);
      }
      for (std::int64_t v = 0; v < tile.rows && d_bias_; ++v) d_bias_[first + v] += tile.row_sums[v];
      for (std::int64_t j = 0; j < count_; ++j) {
        const std::int64_t target = s_.target[j];
        if (!is_in_block(target, first)) continue;
        tile.z[(target - first) * tile.z_row + j] -= on;
        if (d_bias_) d_bias_[target] -= on;
      }
      if (!d_weight_ && !args_.d_hidden) continue;
      const T* factors = factors_of(tile);
      if (!d_weight_) continue;
      S* gradient = d_weight_ + first * p_.features;
      multiply(alone, kernels_,
               Product<T>{tile.rows, p_.features, count_, factors, s_.chunk, s_.x_packed, gradient, p_.features,
                          gradient, p_.features});
    }
  }

  // A block's slopes as products take them, [rows, chunk]. Rounded ones also go where hidden_gradient looks
  // for them: over the first half of each row of z.
  const T* factors_of(const SoftmaxBlock<S>& tile) const {
    if constexpr (kRounds<T>) {
      T* rounded = s_.rounded + team_.id() * kClassBlock * s_.chunk;
      kernels_.narrow({tile.rows, 1, count_, 0, tile.z, tile.z_row, rounded, s_.chunk});
      for (std::int64_t v = 0; v < tile.rows && args_.d_hidden; ++v)
        std::memcpy(tile.z + v * tile.z_row, rounded + v * s_.chunk, sizeof(T) * count_);
      return rounded;
    } else {
      return tile.z;
    }
  }

  // The gradients grow where the hidden vectors were, then go to the caller's rows.
  void hidden_gradient() {
    const std::int64_t E = p_.features;
    const Team::Range mine = team_.share(count_);
    const auto class_row = [&](std::int64_t v) { return weight_ + v * E; };
    accumulate_outer(
        team_, kernels_, count_, p_.vocabulary,
        [&](std::int64_t v) { return reinterpret_cast<const T*>(s_.z + v * s_.chunk); }, s_.pack_a_rows,
        s_.pack_a + team_.id() * s_.pack_a_size, s_.pack_b + team_.id() * s_.pack_b_size,
        Outer<T, decltype(class_row)>{E, class_row, s_.d_x, true});
    team_.barrier();
    for (std::int64_t j = mine.begin; j < mine.end; ++j) {
      T* row = static_cast<T*>(args_.d_hidden) + s_.row[j] * E;
      if constexpr (kRounds<T>)
        kernels_.narrow({1, 1, E, 0, s_.d_x + j * E, E, row, E});
      else
        std::memcpy(row, s_.d_x + j * E, sizeof(T) * E);
    }
  }

  Team& team_;
  const rnn_engine_loss_problem& p_;
  const Kernels<T>& kernels_;
  const Kernels<S>& softmax_;
  const rnn_engine_loss_args& args_;
  const LossWorkspace<T>& s_;
  const T* weight_;
  S *d_weight_, *d_bias_;
  const std::int64_t passes_;
  std::int64_t count_ = 0;
};

void check_targets(const rnn_engine_loss_problem& p, const std::int64_t* targets) {
  for (std::int64_t i = 0; i < p.tokens; ++i) {
    const std::int64_t target = targets[i];
    if (target == p.ignore_index || (target >= 0 && target < p.vocabulary)) continue;
    throw InvalidArgument("targets[" + std::to_string(i) +
                          "]: expected 0 to V - 1 = " + std::to_string(p.vocabulary - 1) +
                          " or ignore_index = " + std::to_string(p.ignore_index) + ", got " + std::to_string(target));
  }
  for (std::int64_t i = 1; i < p.tokens && p.divergence > 0; i += 2)
    if (targets[i] != targets[i - 1])
      throw InvalidArgument("targets[" + std::to_string(i) + "]: expected " + std::to_string(targets[i - 1]) +
                            " as the token before, which is its other pass, got " + std::to_string(targets[i]));
}

}  // namespace

void check_loss(const rnn_engine_loss_problem& p) {
  require_dtype(p.dtype);
  require_loss_problem(p);
}

std::size_t loss_workspace_bytes(const rnn_engine_loss_problem& problem, const Machine& machine) {
  return visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena;
    LossWorkspace<T>(problem, machine, arena);
    return arena.size();
  });
}

template <class T>
void run_linear_cross_entropy(const rnn_engine_loss_problem& problem, const Machine& machine, const Backend& backend,
                              Pool& pool, const rnn_engine_loss_args& args, rnn_engine_loss_result& result,
                              Interrupt& interrupt) {
  check_targets(problem, args.targets);
  Arena arena(args.workspace);
  const LossWorkspace<T> workspace(problem, machine, arena);
  pool.run(
      [&](Team& team) {
        const rnn_engine_loss_result found = Loss<T>(team, problem, backend, args, workspace).run();
        if (team.id() == 0) result = found;
      },
      &interrupt);
}

template void run_linear_cross_entropy<float>(const rnn_engine_loss_problem&, const Machine&, const Backend&, Pool&,
                                              const rnn_engine_loss_args&, rnn_engine_loss_result&, Interrupt&);
template void run_linear_cross_entropy<double>(const rnn_engine_loss_problem&, const Machine&, const Backend&, Pool&,
                                               const rnn_engine_loss_args&, rnn_engine_loss_result&, Interrupt&);
template void run_linear_cross_entropy<BFloat16>(const rnn_engine_loss_problem&, const Machine&, const Backend&, Pool&,
                                                 const rnn_engine_loss_args&, rnn_engine_loss_result&, Interrupt&);

}  // namespace rnn_engine
