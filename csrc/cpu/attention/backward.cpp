#include "cpu/attention/items.h"

namespace rnn_engine {
namespace {

// With weights p, kept ones p' = m p of the mask's factors m, and e = d_context . v:
// dv_s = sum_t p'_ts d_context_t;  dz_ts = scale p_ts (m_ts e_ts - sum_s p'_ts e_ts);  dq_t = sum_s dz_ts k_s;
// dk_s = sum_t dz_ts q_t
template <class T>
class Backward {
 public:
  using S = Value<T>;

  Backward(const rnn_engine_attention_problem& problem, int gradients, const Machine& machine, const Backend& backend,
           const rnn_engine_attention_backward_args& args, std::int64_t thread, Arena arena)
      : p_(problem),
        head_(problem),
        kernels_(backend.kernels<T>()),
        sums_(backend.kernels<S>()),
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
    const EndRows<S> keys_end = end_rows(d_keys, own_.d_keys), values_end = end_rows(d_values, own_.d_values);
    if (sentence.steps > 0) {
      gather(kernels_, keys, length, own_.keys, head_.key_row);
    }
    ValueRows<S> lying{};
    if (sentence.steps > 0 && own_.d_weights)
      lying = value_rows(kernels_, values, length, own_.values, head_.value_row);
    for (std::int64_t t = 0; t < sentence.steps; t += head_.queries) {
      const std::int64_t rows = std::min(head_.queries, sentence.steps - t);
      if (team.stopped(2 * rows * sentence.length * (head_.keys + head_.values))) return;
      gather(kernels_, queries.from(t), rows, own_.queries, head_.key_row);
      gather(kernels_, d_context.from(t), rows, own_.d_context, head_.value_row);
      score(rows, length, head);
      if (own_.d_weights)
        multiply_transposed(own_.d_context, head_.value_row, lying, rows, length, head_.values, own_.d_weights);
      for (std::int64_t row = 0; row < rows; ++row) differentiate(sentence, head, t + row, row);
      const HeadRows<T> queries_end = d_queries.from(t);
      if (own_.d_weights)
        differentiate_scores(sentence, head, t, rows, end_rows(queries_end, own_.d_queries), keys_end);
      if (d_queries) round_rows(kernels_, own_.d_queries, rows, queries_end);
      if (d_values)
        multiply_rows(sums_, RowsProduct<S>{length, head_.values, rows, own_.weights, 1, head_.row, own_.d_context,
                                            head_.value_row, values_end, own_.panel, t > 0});
    }
    if (sentence.steps > 0 && d_keys) round_rows(kernels_, own_.d_keys, length, d_keys);
    if (sentence.steps > 0 && d_values) round_rows(kernels_, own_.d_values, length, d_values);
    d_queries.clear(sentence.steps, p_.steps);
    d_keys.clear(sentence.steps > 0 ? sentence.length : 0, p_.source_steps);
    d_values.clear(sentence.steps > 0 ? sentence.length : 0, p_.source_steps);
  }

 private:
  // c[rows, length] = left[rows, k] right[length, k]^T
  void multiply_transposed(const S* left, std::int64_t stride, ValueRows<S> right, std::int64_t rows,
                           std::int64_t length, std::int64_t k, S* c) {
    pack_transposed_rows(sums_, right, length, k, own_.packed);
    multiply_rows(sums_, RowsProduct<S>{rows, length, k, left, stride, 1, own_.packed, 0, {c, head_.row}, nullptr});
  }

  void score(std::int64_t rows, std::int64_t length, std::int64_t head) {
    if (p_.form == RNN_ENGINE_DOT)
      multiply_transposed(own_.queries, head_.key_row, {own_.keys, head_.key_row}, rows, length, head_.keys,
                          own_.weights);
    else
      score_additive_rows(sums_, head_, vector_of<S>(args_.inputs, head_, head), own_.queries, rows, own_.keys, length,
                          own_.weights);
  }

  // From the gradients of a block's scores to those of queries, keys and vector.
  void differentiate_scores(const Sentence& sentence, std::int64_t head, std::int64_t t, std::int64_t rows,
                            EndRows<S> d_queries, EndRows<S> d_keys) {
    const std::int64_t length = sentence.length;
    if (p_.form == RNN_ENGINE_DOT) {
      if (d_queries.first)
        multiply_rows(sums_, RowsProduct<S>{rows, head_.keys, length, own_.d_weights, head_.row, 1, own_.keys,
                                            head_.key_row, d_queries, own_.panel});
      if (d_keys.first)
        multiply_rows(sums_, RowsProduct<S>{length, head_.keys, rows, own_.d_weights, 1, head_.row, own_.queries,
                                            head_.key_row, d_keys, own_.panel, t > 0});
      return;
    }
    AdditiveRow<S> tile{};
    tile.length = length;
    tile.size = head_.keys;
    tile.keys = own_.keys;
    tile.key_row = head_.key_row;
    tile.vector = vector_of<S>(args_.inputs, head_, head);
    tile.d_keys = d_keys.first;
    tile.d_key_row = d_keys.stride;
    if (own_.d_vectors) tile.d_vector = own_.d_vectors + sentence.b * p_.key_size + head * head_.keys;
    for (std::int64_t s = 0; t == 0 && tile.d_keys && s < length; ++s)
      std::fill_n(tile.d_keys + s * tile.d_key_row, head_.keys, S(0));
    for (std::int64_t row = 0; row < rows; ++row) {
      tile.query = own_.queries + row * head_.key_row;
      tile.d_scores = own_.d_weights + row * head_.row;
      tile.d_query = d_queries.first ? d_queries.first + row * d_queries.stride : nullptr;
      sums_.differentiate_additive(tile);
    }
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
  const rnn_engine_attention_backward_args& args_;
  const AttentionBackwardWorkspace<S> own_;
};

}  // namespace

template <class T>
void run_attention_backward(const rnn_engine_attention_problem& problem, const Machine& machine, const Backend& backend,
                            Pool& pool, const rnn_engine_attention_backward_args& args, Interrupt& interrupt) {
  const int gradients =
      (args.d_queries ? RNN_ENGINE_ATTENTION_QUERIES : 0) | (args.d_keys ? RNN_ENGINE_ATTENTION_KEYS : 0) |
      (args.d_values ? RNN_ENGINE_ATTENTION_VALUES : 0) | (args.d_vector ? RNN_ENGINE_ATTENTION_VECTOR : 0);
  const Arena arena(args.workspace);
  const Backward<T> shared(problem, gradients, machine, backend, args, 0, arena);
  sort_sentences(problem, args.inputs, shared.order());
  if (args.d_vector) std::fill_n(shared.d_vectors(), problem.batch * problem.key_size, Value<T>(0));
  std::atomic<std::int64_t> next{0};
  pool.run(
      [&](Team& team) {
        Backward<T> backward(problem, gradients, machine, backend, args, team.id(), arena);
        for_each_sentence(
            problem, args.inputs, backward.order(), 1, next,
            [&](const Sentence& sentence, std::int64_t head, std::int64_t) { backward.run(team, sentence, head); });
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
