#include <algorithm>

#include "cpu/linear/linear.h"
#include "cpu/linear/masks.h"
#include "cpu/sentence_masks.h"

namespace rnn_engine {
namespace {

// For some neighbouring sequences of a step: 0 where the row is left out.
template <class S>
struct KeptRows {
  static constexpr std::int64_t kMost = 64;
  S factors[kMost];

  KeptRows(const Kernels<S>& kernels, const rnn_engine_dropout_problem& p, std::uint64_t seed, std::int64_t step,
           std::int64_t first, std::int64_t count) {
    if (p.row_dropout <= 0) {
      std::fill_n(factors, count, S(1));
      return;
    }
    const MaskSite site = make_mask_site(MaskKind::kRows, 0, 0, p.row_dropout);
    DropoutRow<S> row{};
    row.out = factors;
    row.columns = count;
    row.scale = S(1);
    row.mask.key = key_of({seed, nullptr});
    row.mask.site = site.site;
    row.mask.threshold = site.threshold;
    row.mask.row = static_cast<std::uint32_t>(step);
    row.mask.first = first;
    kernels.dropout(row);
  }
};

}  // namespace

template <class T>
void run_dropout(const rnn_engine_dropout_problem& p, const Backend& backend, Pool& pool,
                 const rnn_engine_dropout_args& args, Interrupt& interrupt) {
  using S = Value<T>;
  constexpr std::int64_t kGrain = 16384;  // values that are worth a thread
  const std::int64_t rows = p.steps * p.batch, in_row = args.in_row ? args.in_row : p.features;
  if (rows == 0 || p.features == 0) return;
  const RowMasks<T> masks(MaskKind::kValues, args.seed, p.dropout, p.scale, p.batch, p.per_sentence != 0);
  const Kernels<T>& kernels = backend.kernels<T>();
  const auto run = [&](const Team& team) {
    const Team::Range mine = team.share(rows, std::max<std::int64_t>(1, kGrain / p.features));
    if (p.per_sentence && p.dropout > 0 && p.row_dropout <= 0 && mine.end - mine.begin > p.batch) {
      for_each_sentence_mask(
          backend.kernels<S>(), masks.factors(), p.batch, p.features,
          [](std::int64_t b) { return static_cast<std::uint32_t>(b); },
          [&](std::int64_t b, std::int64_t first, std::int64_t count, const S* factors) {
            if (team.stopped(count * (mine.end - mine.begin) / p.batch)) return;
            std::int64_t row = mine.begin / p.batch * p.batch + b;
            if (row < mine.begin) row += p.batch;
            for (; row < mine.end; row += p.batch)
              kernels.scale({static_cast<const T*>(args.in) + row * in_row + first, factors,
                             static_cast<T*>(args.out) + row * p.features + first, count});
          });
      return;
    }
    for (std::int64_t row = mine.begin; row < mine.end;) {
      const std::int64_t first = row % p.batch;
      const std::int64_t count = std::min({KeptRows<S>::kMost, p.batch - first, mine.end - row});
      if (team.stopped(16 * count * p.features)) return;
      const KeptRows<S> kept(backend.kernels<S>(), p, args.seed, row / p.batch, first, count);
      for (std::int64_t i = 0; i < count; ++i, ++row) {
        T* out = static_cast<T*>(args.out) + row * p.features;
        if (kept.factors[i] == S(0)) {
          std::fill_n(out, p.features, T{});
          continue;
        }
        EpilogueRow<T> epilogue = masks.at(row, 0, p.features);
        epilogue.dy = static_cast<const T*>(args.in) + row * in_row;
        epilogue.out = out;
        kernels.epilogue_backward(epilogue);
      }
    }
  };
  if (rows * p.features <= kGrain)
    run(Team(0, 1, nullptr));
  else
    pool.run(run, &interrupt);
}

template void run_dropout<float>(const rnn_engine_dropout_problem&, const Backend&, Pool&,
                                 const rnn_engine_dropout_args&, Interrupt&);
template void run_dropout<double>(const rnn_engine_dropout_problem&, const Backend&, Pool&,
                                  const rnn_engine_dropout_args&, Interrupt&);
template void run_dropout<BFloat16>(const rnn_engine_dropout_problem&, const Backend&, Pool&,
                                    const rnn_engine_dropout_args&, Interrupt&);

}  // namespace rnn_engine
