#include "cpu/attention/items.h"

namespace rnn_engine {
namespace {

// With weights p, kept ones p' = m p of the mask's factors m, and e = d_context . v:
// dv_s = sum_t p'_ts d_context_t;  dz_ts = scale p_ts (m_ts e_ts - sum_s p'_ts e_ts);  dq_t = sum_s dz_ts k_s;
// dk_s = sum_t dz_ts q_t
// Of values T, by products of O: T or its sums.
template <class T, class O>
class Backward {
 public:
  using S = Value<T>;

  Backward(const rnn_engine_attention_problem& problem, int gradients, const Machine& machine, const Backend& backend,
           const rnn_engine_attention_backward_args& args, std::int64_t thread, Arena& arena)
      : p_(problem),
        head_(problem),
        kernels_(backend.kernels<T>()),
        sums_(backend.kernels<S>()),
        products_(backend.kernels<O>()),
        args_(args),
        own_(problem, gradients, machine, thread, arena) {}

  std::int64_t* order() const { return own_.order; }
  S* d_vectors() const { return own_.d_vectors; }

  void run(const Team& team, const Sentence& sentence, std::int64_t head) {
    const rnn_engine_attention_inputs& in = args_.inputs;
    const HeadRows<const T> queries(in.queries, p_, sentence.b, head, p_.key_size);
    const HeadRows<const T> keys(in.keys, p_, sentence.b, head, p_.key_size);
    const HeadRows<const T> values(in.values, p_, sentence.b, head, p_.value_size);
    const HeadRows<const T> d_context(args_.d_context, p_, sentence.b, head, p_.value_size);
    const HeadRows<T> d_queries(args_.d_queries, p_, sentence.b, head, p_.key_size);
    const HeadRows<T> d_keys(args_.d_keys, p_, sentence.b, head, p_.key_size);
    const HeadRows<T> d_values(args_.d_values, p_, sentence.b, head, p_.value_size);
    const std::int64_t length = sentence.length;
    OperandRows<O> lying;
    if (sentence.steps > 0) {
      gather(kernels_, keys, length, own_.keys, head_.key_row);
      if (own_.d_weights) lying = operand_rows(kernels_, values, length, own_.values, head_.value_row);
    }
    for (std::int64_t t = 0; t < sentence.steps; t += head_.queries) {
      const Block block{t, std::min(head_.queries, sentence.steps - t), t == 0, t + head_.queries >= sentence.steps};
      if (team.stopped(2 * block.rows * length * (head_.keys + head_.values))) return;
      gather(kernels_, queries.from(t), block.rows, own_.queries, head_.key_row);
      gather(kernels_, d_context.from(t), block.rows, own_.d_context, head_.value_row);
      score(block.rows, length, head);
      if (own_.d_weights)
        multiply_transposed(own_.d_context, head_.value_row, lying, block.rows, length, head_.values, own_.d_weights);
      for (std::int64_t row = 0; row < block.rows; ++row) differentiate(sentence, head, t + row, row);
      if (own_.d_weights) differentiate_scores(sentence, head, block, d_queries.from(t), d_keys);
      if (d_values) {
        const O* weights = as_operands(products_, own_.weights, block.rows, length, head_.row, own_.rounded);
        add_transposed(weights, own_.d_context, head_.value_row, length, block, own_.d_values, d_values);
      }
    }
    d_queries.clear(sentence.steps, p_.steps);
    d_keys.clear(sentence.steps > 0 ? length : 0, p_.source_steps);
    d_values.clear(sentence.steps > 0 ? length : 0, p_.source_steps);
  }

 private:
  // Some queries of a sentence, from `step` on.
  struct Block {
    std::int64_t step, rows;
    bool first, last;
  };

  // c[rows, length] = left[rows, k] right[length, k]^T
  void multiply_transposed(const O* left, std::int64_t stride, OperandRows<O> right, std::int64_t rows,
                           std::int64_t length, std::int64_t k, S* c) {
    pack_transposed_rows(products_, right, length, k, own_.packed);
    multiply_rows(products_,
                  RowsProduct<O>{rows, length, k, left_rows(left, stride), own_.packed, 0, {c, nullptr, head_.row}});
  }

  // sums[length, columns] = or += left[rows, length]^T right[rows, columns], and in the last block the result. Rows of
  // the right and of sums lie `stride` apart.
  void add_transposed(const O* left, const O* right, std::ptrdiff_t stride, std::int64_t length, const Block& block,
                      S* sums, const HeadRows<T>& result) {
    const LeftSide<O> turned = left_transposed(products_, left, head_.row, block.rows, length, own_.turned);
    const EndRows<O> so_far{sums, nullptr, stride};
    multiply_rows(products_, RowsProduct<O>{length, result.columns, block.rows, turned, right, stride,
                                            block.last ? end_rows(own_.result, stride) : so_far, own_.panel,
                                            block.first ? EndRows<O>{} : so_far});
    if (block.last) hand_over(kernels_, own_.result, stride, length, result);
  }

  void score(std::int64_t rows, std::int64_t length, std::int64_t head) {
    if (p_.form == RNN_ENGINE_DOT)
      multiply_transposed(own_.queries, head_.key_row, {own_.keys, head_.key_row}, rows, length, head_.keys,
                          own_.weights);
    else if constexpr (!kRounds<O>)
      score_additive_rows(sums_, head_, vector_of<S>(args_.inputs, head_, head), own_.queries, rows, own_.keys, length,
                          own_.weights);
  }

  // From the gradients of a block's scores to those of queries, keys and vector.
  void differentiate_scores(const Sentence& sentence, std::int64_t head, const Block& block,
                            const HeadRows<T>& d_queries, const HeadRows<T>& d_keys) {
    const std::int64_t length = sentence.length;
    if (p_.form == RNN_ENGINE_DOT) {
      const O* d_scores = as_operands(products_, own_.d_weights, block.rows, length, head_.row, own_.rounded);
      if (d_keys) add_transposed(d_scores, own_.queries, head_.key_row, length, block, own_.d_keys, d_keys);
      if (d_queries)
        multiply_rows(products_,
                      RowsProduct<O>{block.rows, head_.keys, length, left_rows(d_scores, head_.row), own_.keys,
                                     head_.key_row, end_rows(own_.d_queries, head_.key_row), own_.panel});
    } else if constexpr (!kRounds<O>) {
      differentiate_additive(sentence, head, block, d_queries ? own_.d_queries : nullptr, d_keys);
    }
    if (d_queries) hand_over(kernels_, own_.d_queries, head_.key_row, block.rows, d_queries);
  }

  void differentiate_additive(const Sentence& sentence, std::int64_t head, const Block& block, S* d_queries,
                              const HeadRows<T>& d_keys) {
    const std::int64_t length = sentence.length;
    S* const sums = own_.d_keys ? own_.d_keys : own_.result;
    AdditiveRow<S> tile{};
    tile.length = length;
    tile.size = head_.keys;
    tile.keys = own_.keys;
    tile.key_row = head_.key_row;
    tile.vector = vector_of<S>(args_.inputs, head_, head);
    tile.d_keys = d_keys ? sums : nullptr;
    tile.d_key_row = head_.key_row;
    if (own_.d_vectors) tile.d_vector = own_.d_vectors + sentence.b * p_.key_size + head * head_.keys;
    for (std::int64_t s = 0; block.first && tile.d_keys && s < length; ++s)
      std::fill_n(tile.d_keys + s * tile.d_key_row, head_.keys, S(0));
    for (std::int64_t row = 0; row < block.rows; ++row) {
      tile.query = own_.queries + row * head_.key_row;
      tile.d_scores = own_.d_weights + row * head_.row;
      tile.d_query = d_queries ? d_queries + row * head_.key_row : nullptr;
      sums_.differentiate_additive(tile);
    }
    if (block.last && d_keys) hand_over(kernels_, sums, head_.key_row, length, d_keys);
  }

  // A row of scores becomes the weights that dropout left, and one of their gradients those of the scores.
  void differentiate(const Sentence& sentence, std::int64_t head, std::int64_t t, std::int64_t row) {
    if (p_.dropout > 0)
      sums_.dropout({nullptr, own_.kept, sentence.length, attention_mask(p_, args_.inputs.masks, sentence.b, head, t),
                     dropout_scale<S>(p_.dropout)});
    const S logarithm = static_cast<const S*>(args_.logarithms)[(t * p_.batch + sentence.b) * p_.heads + head];
    sums_.differentiate_weights({sentence.length, static_cast<S>(p_.scale), logarithm,
                                 p_.dropout > 0 ? own_.kept : nullptr, own_.weights + row * head_.row,
                                 own_.d_weights ? own_.d_weights + row * head_.row : nullptr});
  }

  const rnn_engine_attention_problem& p_;
  const HeadShape head_;
  const Kernels<T>& kernels_;
  const Kernels<S>& sums_;
  const Kernels<O>& products_;
  const rnn_engine_attention_backward_args& args_;
  const AttentionBackwardWorkspace<T, O> own_;
};

}  // namespace

template <class T>
void run_attention_backward(const rnn_engine_attention_problem& problem, const Machine& machine, const Backend& backend,
                            Pool& pool, const rnn_engine_attention_backward_args& args, Interrupt& interrupt) {
  const int gradients =
      (args.d_queries ? RNN_ENGINE_ATTENTION_QUERIES : 0) | (args.d_keys ? RNN_ENGINE_ATTENTION_KEYS : 0) |
      (args.d_values ? RNN_ENGINE_ATTENTION_VALUES : 0) | (args.d_vector ? RNN_ENGINE_ATTENTION_VECTOR : 0);
  Arena first(args.workspace);
  const Backward<T, Value<T>> shared(problem, gradients, machine, backend, args, 0, first);
  sort_sentences(problem, args.inputs, shared.order());
  if (args.d_vector) std::fill_n(shared.d_vectors(), problem.batch * problem.key_size, Value<T>(0));
  std::atomic<std::int64_t> next{0};
  pool.run(
      [&](Team& team) {
        Arena arena(args.workspace);
        Backward<T, Value<T>> widened(problem, gradients, machine, backend, args, team.id(), arena);
        const auto run_all = [&](const auto& run) {
          for_each_sentence(problem, args.inputs, widened.order(), 1, next,
                            [&](const Sentence& sentence, std::int64_t head, std::int64_t) { run(sentence, head); });
        };
        run_each<T>(problem, machine, team, widened, run_all,
                    [&] { return Backward<T, T>(problem, gradients, machine, backend, args, team.id(), arena); });
      },
      &interrupt);
  if (!args.d_vector) return;
  for (std::int64_t b = 0; b < problem.batch; ++b)  // in their order, whoever made them
    for (std::int64_t a = 0; a < problem.key_size; ++a)
      static_cast<Value<T>*>(args.d_vector)[a] += shared.d_vectors()[b * problem.key_size + a];
}

template void run_attention_backward<float>(const rnn_engine_attention_problem&, const Machine&, const Backend&, Pool&,
                                            const rnn_engine_attention_backward_args&, Interrupt&);
template void run_attention_backward<double>(const rnn_engine_attention_problem&, const Machine&, const Backend&, Pool&,
                                             const rnn_engine_attention_backward_args&, Interrupt&);
template void run_attention_backward<BFloat16>(const rnn_engine_attention_problem&, const Machine&, const Backend&,
                                               Pool&, const rnn_engine_attention_backward_args&, Interrupt&);

}  // namespace rnn_engine
