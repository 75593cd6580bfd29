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

  void run(const Sentence& sentence, std::int64_t head) {
    const rnn_engine_attention_inputs& in = args_.inputs;
    const HeadRows<const T> queries(in.queries, p_, sentence.b, head, p_.key_size);
    const HeadRows<const T> keys(in.keys, p_, sentence.b, head, p_.key_size);
    const HeadRows<const T> values(in.values, p_, sentence.b, head, p_.value_size);
    const HeadRows<const T> d_context(args_.d_context, p_, sentence.b, head, p_.value_size);
    const HeadRows<T> d_queries(args_.d_queries, p_, sentence.b, head, p_.key_size);
    const HeadRows<T> d_keys(args_.d_keys, p_, sentence.b, head, p_.key_size);
    const HeadRows<T> d_values(args_.d_values, p_, sentence.b, head, p_.value_size);
    if (sentence.steps > 0) {
      pack_transposed_rows(kernels_, keys, sentence.length, own_.keys_transposed);
      if (own_.values_transposed) pack_transposed_rows(kernels_, values, sentence.length, own_.values_transposed);
      if (d_queries) pack_panels(kernels_, keys, sentence.length, own_.keys);
    }
    for (std::int64_t t = 0; t < sentence.steps; t += head_.queries) {
      const std::int64_t rows = std::min(head_.queries, sentence.steps - t);
      const HeadRows<const T> block = from(queries, t), d_block = from(d_context, t);
      multiply_panels(kernels_, PanelProduct<T, S>{rows, sentence.length, head_.keys, block.first, block.stride, 1,
                                                   own_.keys_transposed, own_.weights, head_.row});
      if (own_.d_weights)
        multiply_panels(kernels_, PanelProduct<T, S>{rows, sentence.length, head_.values, d_block.first, d_block.stride,
                                                     1, own_.values_transposed, own_.d_weights, head_.row});
      for (std::int64_t row = 0; row < rows; ++row) differentiate(sentence, head, t + row, row);
      const T* d_scores =
          d_queries || d_keys ? factors(own_.d_weights, own_.d_rounded, rows, sentence.length) : nullptr;
      if (d_queries)
        multiply_panels(kernels_, PanelProduct<T, T>{rows, head_.keys, sentence.length, d_scores, head_.row, 1,
                                                     own_.keys, d_queries.at(t), d_queries.stride});
      if (d_keys) add_transposed(sentence, t, rows, d_scores, block, own_.queries, own_.d_keys, d_keys);
      if (d_values)
        add_transposed(sentence, t, rows, factors(own_.weights, own_.rounded, rows, sentence.length), d_block,
                       own_.d_context, own_.d_values, d_values);
    }
    d_queries.clear(sentence.steps, p_.steps);
    d_keys.clear(sentence.steps > 0 ? sentence.length : 0, p_.source_steps);
    d_values.clear(sentence.steps > 0 ? sentence.length : 0, p_.source_steps);
  }

 private:
  static HeadRows<const T> from(HeadRows<const T> rows, std::int64_t t) {
    rows.first = rows.at(t);
    return rows;
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

  // Some rows as products take them.
  const T* factors(const S* from, T* rounded, std::int64_t rows, std::int64_t length) {
    if constexpr (kRounds<T>) {
      kernels_.narrow({rows, 1, length, 0, from, head_.row, rounded, head_.row});
      return rounded;
    } else {
      return from;
    }
  }

  // gradient[length, columns] of the transpose of `left` with `right`, a block of queries after the other.
  void add_transposed(const Sentence& sentence, std::int64_t t, std::int64_t rows, const T* left,
                      const HeadRows<const T>& right, T* packed, S* sum, const HeadRows<T>& gradient) {
    const std::int64_t length = sentence.length;
    pack_panels(kernels_, right, rows, packed);
    const auto multiply = [&]<class End>(End* c, std::ptrdiff_t c_row) {
      PanelProduct<T, End> product{length, right.columns, rows, left, 1, head_.row, packed, c, c_row, t > 0};
      if constexpr (kRounds<T>) {
        pack_rows(kernels_, rows, length, [&](std::int64_t row) { return left + row * head_.row; }, own_.packed_rows);
        product.a = own_.packed_rows;
        product.a_row = kInterleave<T>;
        product.a_col = kRowBlock;
        product.a_block = kRowBlock * packed_depth<T>(rows);
      }
      multiply_panels(kernels_, product);
    };
    if constexpr (kRounds<T>) {
      if (sum) {  // rounded once all blocks are in
        multiply(sum, right.columns);
        if (t + rows == sentence.steps)
          kernels_.narrow({length, 1, right.columns, 0, sum, right.columns, gradient.first, gradient.stride});
        return;
      }
    }
    multiply(gradient.first, gradient.stride);
  }

  const rnn_engine_attention_problem& p_;
  const HeadShape head_;
  const Kernels<T>& kernels_;
  const Kernels<S>& sums_;
  const rnn_engine_attention_backward_args& args_;
  const AttentionBackwardWorkspace<T> own_;
};

}  // namespace

template <class T>
void run_attention_backward(const rnn_engine_attention_problem& problem, const Machine& machine, const Backend& backend,
                            Pool& pool, const rnn_engine_attention_backward_args& args, Interrupt& interrupt) {
  const int gradients = (args.d_queries ? RNN_ENGINE_ATTENTION_QUERIES : 0) |
                        (args.d_keys ? RNN_ENGINE_ATTENTION_KEYS : 0) |
                        (args.d_values ? RNN_ENGINE_ATTENTION_VALUES : 0);
  const Arena arena(args.workspace);
  sort_sentences(problem, args.inputs, Backward<T>(problem, gradients, machine, backend, args, 0, arena).order());
  std::atomic<std::int64_t> next{0};
  pool.run(
      [&](Team& team) {
        Backward<T> backward(problem, gradients, machine, backend, args, team.id(), arena);
        for_each_sentence(
            team, problem, args.inputs, backward.order(), 1, next,
            [&](const Sentence& sentence, std::int64_t head, std::int64_t) { backward.run(sentence, head); });
      },
      &interrupt);
}

template void run_attention_backward<float>(const rnn_engine_attention_problem&, const Machine&, const Backend&, Pool&,
                                            const rnn_engine_attention_backward_args&, Interrupt&);
template void run_attention_backward<double>(const rnn_engine_attention_problem&, const Machine&, const Backend&, Pool&,
                                             const rnn_engine_attention_backward_args&, Interrupt&);
template void run_attention_backward<BFloat16>(const rnn_engine_attention_problem&, const Machine&, const Backend&,
                                               Pool&, const rnn_engine_attention_backward_args&, Interrupt&);

}  // namespace rnn_engine
