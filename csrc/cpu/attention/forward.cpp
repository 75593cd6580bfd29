#include "base/log.h"
#include "cpu/attention/items.h"

namespace rnn_engine {
namespace {

// Of values T, by products of O: T or its sums.
template <class T, class O>
class Forward {
 public:
  using S = Value<T>;

  Forward(const rnn_engine_attention_problem& problem, const Machine& machine, const Backend& backend,
          const rnn_engine_attention_forward_args& args, std::int64_t thread, Arena& arena)
      : p_(problem),
        head_(problem),
        kernels_(backend.kernels<T>()),
        sums_(backend.kernels<S>()),
        products_(backend.kernels<O>()),
        args_(args),
        own_(problem, machine, thread, arena) {}

  std::int64_t* order() const { return own_.order; }

  void run(const Team& team, const Sentence& sentence, std::int64_t head) {
    const rnn_engine_attention_inputs& in = args_.inputs;
    const HeadRows<const T> queries(in.queries, p_, sentence.b, head, p_.key_size);
    const HeadRows<const T> keys(in.keys, p_, sentence.b, head, p_.key_size);
    const HeadRows<const T> values(in.values, p_, sentence.b, head, p_.value_size);
    const HeadRows<T> context(args_.context, p_, sentence.b, head, p_.value_size);
    if (sentence.steps > 0) {
      if (own_.packed)
        pack_transposed_rows(products_, operand_rows(kernels_, keys, sentence.length, own_.keys, head_.key_row),
                             sentence.length, head_.keys, own_.packed);
      else
        gather(kernels_, keys, sentence.length, own_.keys, head_.key_row);
      gather(kernels_, values, sentence.length, own_.values, head_.value_row);
    }
    for (std::int64_t t = 0; t < sentence.steps; t += head_.queries) {
      const std::int64_t rows = std::min(head_.queries, sentence.steps - t);
      if (team.stopped(2 * rows * sentence.length * (head_.keys + head_.values))) return;
      gather(kernels_, queries.from(t), rows, own_.queries, head_.key_row);
      score(rows, sentence.length, head);
      for (std::int64_t row = 0; row < rows; ++row) weigh(sentence, head, t + row, own_.weights + row * head_.row);
      const O* weights = as_operands(products_, own_.weights, rows, sentence.length, head_.row, own_.rounded);
      multiply_rows(products_,
                    RowsProduct<O>{rows, head_.values, sentence.length, left_rows(weights, head_.row), own_.values,
                                   head_.value_row, end_rows(own_.context, head_.value_row), own_.panel});
      hand_over(kernels_, own_.context, head_.value_row, rows, context.from(t));
    }
    context.clear(sentence.steps, p_.steps);
    for (std::int64_t t = sentence.steps; t < p_.steps; ++t) clear_row(sentence.b, head, t);
  }

 private:
  void score(std::int64_t rows, std::int64_t length, std::int64_t head) {
    if (p_.form == RNN_ENGINE_DOT)
      multiply_rows(products_, RowsProduct<O>{rows,
                                              length,
                                              head_.keys,
                                              left_rows<O>(own_.queries, head_.key_row),
                                              own_.packed,
                                              0,
                                              {own_.weights, nullptr, head_.row}});
    else if constexpr (!kRounds<O>)
      score_additive_rows(sums_, head_, vector_of<S>(args_.inputs, head_, head), own_.queries, rows, own_.keys, length,
                          own_.weights);
  }

  // A row of scores becomes weights.
  void weigh(const Sentence& sentence, std::int64_t head, std::int64_t t, S* row) {
    const RowTotal<S> total = sums_.weigh_row(row, sentence.length, static_cast<S>(p_.scale));
    if (S* logarithm = logarithm_at(sentence.b, head, t))
      *logarithm = static_cast<S>(static_cast<double>(total.highest) + portable_log(static_cast<double>(total.total)));
    if (S* mean = weights_at(sentence.b, t)) {
      const S share = S(1) / static_cast<S>(p_.heads);
      for (std::int64_t s = 0; s < sentence.length; ++s) mean[s] = (head == 0 ? S(0) : mean[s]) + row[s] * share;
      std::fill(mean + sentence.length, mean + p_.source_steps, S(0));
    }
    if (p_.dropout > 0)
      sums_.dropout({row, row, sentence.length, attention_mask(p_, args_.inputs.masks, sentence.b, head, t),
                     dropout_scale<S>(p_.dropout)});
  }

  void clear_row(std::int64_t b, std::int64_t head, std::int64_t t) {
    if (S* logarithm = logarithm_at(b, head, t)) *logarithm = S(0);
    if (S* mean = weights_at(b, t)) std::fill_n(mean, p_.source_steps, S(0));
  }

  S* logarithm_at(std::int64_t b, std::int64_t head, std::int64_t t) const {
    return args_.logarithms ? static_cast<S*>(args_.logarithms) + (t * p_.batch + b) * p_.heads + head : nullptr;
  }
  S* weights_at(std::int64_t b, std::int64_t t) const {
    return args_.weights ? static_cast<S*>(args_.weights) + (t * p_.batch + b) * p_.source_steps : nullptr;
  }

  const rnn_engine_attention_problem& p_;
  const HeadShape head_;
  const Kernels<T>& kernels_;
  const Kernels<S>& sums_;
  const Kernels<O>& products_;
  const rnn_engine_attention_forward_args& args_;
  const AttentionForwardWorkspace<T, O> own_;
};

}  // namespace

template <class T>
void run_attention_forward(const rnn_engine_attention_problem& problem, const Machine& machine, const Backend& backend,
                           Pool& pool, const rnn_engine_attention_forward_args& args, Interrupt& interrupt) {
  Arena shared(args.workspace);
  sort_sentences(problem, args.inputs, Forward<T, Value<T>>(problem, machine, backend, args, 0, shared).order());
  std::atomic<std::int64_t> next{0};
  // Heads add to the same weights, one after the other.
  const std::int64_t heads = args.weights ? problem.heads : 1;
  pool.run(
      [&](Team& team) {
        Arena arena(args.workspace);
        Forward<T, Value<T>> widened(problem, machine, backend, args, team.id(), arena);
        const auto run_all = [&](const auto& run) {
          for_each_sentence(problem, args.inputs, widened.order(), heads, next,
                            [&](const Sentence& sentence, std::int64_t begin, std::int64_t end) {
                              for (std::int64_t head = begin; head < end; ++head) run(sentence, head);
                            });
        };
        run_each<T>(problem, machine, team, widened, run_all,
                    [&] { return Forward<T, T>(problem, machine, backend, args, team.id(), arena); });
      },
      &interrupt);
}

template void run_attention_forward<float>(const rnn_engine_attention_problem&, const Machine&, const Backend&, Pool&,
                                           const rnn_engine_attention_forward_args&, Interrupt&);
template void run_attention_forward<double>(const rnn_engine_attention_problem&, const Machine&, const Backend&, Pool&,
                                            const rnn_engine_attention_forward_args&, Interrupt&);
template void run_attention_forward<BFloat16>(const rnn_engine_attention_problem&, const Machine&, const Backend&,
                                              Pool&, const rnn_engine_attention_forward_args&, Interrupt&);

}  // namespace rnn_engine
