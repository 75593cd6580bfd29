#include "cuda/attention/attention.h"

#include <algorithm>

#include "cuda/attention/workspace.h"
#include "cuda/run/run.h"

namespace rnn_engine::cuda {
namespace {

// What both directions do with slices.
template <class T>
class Slices {
 public:
  using S = Value<T>;

  Slices(const rnn_engine_attention_problem& problem, const Multipliers& with,
         const rnn_engine_attention_inputs& inputs, void* stream, const AttentionWorkspace<T>& workspace)
      : p_(problem), with_(with), in_(inputs), stream_(static_cast<Stream>(stream)), s_(workspace), taken_(problem) {}

  // Calls work(slice) for each, the steps of a sentence in their order.
  template <class Work>
  void for_each(const Work& work) const {
    Slice slice{};
    slice.batch = p_.batch;
    slice.steps = p_.steps;
    slice.source_steps = p_.source_steps;
    slice.heads = p_.heads;
    slice.source_lengths = in_.source_lengths;
    slice.target_lengths = in_.target_lengths;
    for (slice.first = 0; slice.first < p_.batch; slice.first += taken_.sentences) {
      slice.count = std::min(taken_.sentences, p_.batch - slice.first);
      for (slice.first_step = 0; slice.first_step < p_.steps; slice.first_step += taken_.steps) {
        slice.rows = std::min(taken_.steps, p_.steps - slice.first_step);
        work(slice);
      }
    }
  }

 protected:
  static constexpr Extent kWhole = Extent::kWhole, kSource = Extent::kSource, kTarget = Extent::kTarget;

  std::int64_t keys() const { return p_.key_size / p_.heads; }
  std::int64_t values() const { return p_.value_size / p_.heads; }
  // Of an array [steps, B, size], its rows and its columns.
  static ItemPlace place(std::int64_t size, std::int64_t width) { return {0, width, size}; }
  ItemPlace key_place() const { return place(p_.key_size, keys()); }
  ItemPlace value_place() const { return place(p_.value_size, values()); }
  ItemPlace weight_place(const Slice& slice) const {
    const std::int64_t each = slice.rows * taken_.row;
    return {p_.heads * each, each, 0};
  }
  const T* key_rows() const { return static_cast<const T*>(in_.keys); }
  const T* value_rows() const { return static_cast<const T*>(in_.values); }
  // Where the slice's steps begin in an array [T, B, size]; nullptr stays.
  const T* from(const void* array, const Slice& slice, std::int64_t size) const {
    return array ? static_cast<const T*>(array) + slice.first_step * p_.batch * size : nullptr;
  }
  T* from(void* array, const Slice& slice, std::int64_t size) const {
    return array ? static_cast<T*>(array) + slice.first_step * p_.batch * size : nullptr;
  }

  // scores = left right^T of rows of `width` columns.
  void multiply_rows(const Slice& slice, const T* left, const T* right, const ItemPlace& rows, std::int64_t size,
                     std::int64_t width, S* scores) const {
    ItemProducts<T> all{};
    all.slice = slice;
    all.m = kTarget;
    all.n = kSource;
    all.product.m = slice.rows;
    all.product.n = p_.source_steps;
    all.product.k = width;
    all.product.a = by_rows<T>(left, p_.batch * size);
    all.product.b = by_rows<T>(right, p_.batch * size);
    all.a = all.b = rows;
    all.product.c = scores;
    all.product.c_row = taken_.row;
    all.c = weight_place(slice);
    multiply_items(stream_, all, with_);
  }

  // out[target steps] = weights rows, of [S, B, size].
  void mix(const Slice& slice, const T* weights, const T* rows, const ItemPlace& where, std::int64_t size,
           std::int64_t width, T* out) const {
    ItemProducts<T> all{};
    all.slice = slice;
    all.m = kTarget;
    all.k = kSource;
    all.product.m = slice.rows;
    all.product.n = width;
    all.product.k = p_.source_steps;
    all.product.a = by_rows<T>(weights, taken_.row);
    all.a = weight_place(slice);
    all.product.b = by_columns<T>(rows, p_.batch * size);
    all.b = all.stored_c = where;
    all.product.stored_c = out;
    all.product.c_row = p_.batch * size;
    multiply_items(stream_, all, with_);
  }

  // out[source steps] = weights^T rows, of [T, B, size], behind what earlier steps of the same sentence gave. Sums of
  // rounded types wait for the last of them in `waiting`.
  void gather(const Slice& slice, const T* weights, const T* rows, const ItemPlace& where, std::int64_t size,
              std::int64_t width, S* waiting, T* out) const {
    ItemProducts<T> all{};
    all.slice = slice;
    all.m = kSource;
    all.k = kTarget;
    Product<T>& product = all.product;
    product.m = p_.source_steps;
    product.n = width;
    product.k = slice.rows;
    product.a = by_columns<T>(weights, taken_.row);
    all.a = weight_place(slice);
    product.b = by_columns<T>(rows, p_.batch * size);
    all.b = where;
    const ItemPlace waits{0, width, 0};
    if constexpr (kRounds<T>) {
      if (goes_on(slice)) product.init = waiting;
      product.init_row = size;
      all.init = waits;
    } else {
      if (goes_on(slice)) product.init = out;
      product.init_row = p_.batch * size;
      all.init = where;
    }
    if (kRounds<T> && !ends(slice)) {
      product.c = waiting;
      product.c_row = size;
      all.c = waits;
    } else {
      product.stored_c = out;
      product.c_row = p_.batch * size;
      all.stored_c = where;
    }
    multiply_items(stream_, all, with_);
  }

  bool goes_on(const Slice& slice) const { return slice.first_step > 0; }
  bool ends(const Slice& slice) const { return slice.first_step + slice.rows == p_.steps; }

  void score(const Slice& slice) const {
    if (p_.form == RNN_ENGINE_DOT)
      return multiply_rows(slice, from(in_.queries, slice, p_.key_size), key_rows(), key_place(), p_.key_size, keys(),
                           s_.scores);
    score_additive(stream_, additive(slice));
  }

  Additive<T> additive(const Slice& slice) const {
    Additive<T> form{};
    form.slice = slice;
    form.row = taken_.row;
    form.size = keys();
    form.queries = static_cast<const T*>(in_.queries);
    form.keys = key_rows();
    form.vector = static_cast<const S*>(in_.vector);
    form.scores = s_.scores;
    form.goes_on = goes_on(slice);
    form.ends = ends(slice);
    return form;
  }

  Weigh<T> weighing(const Slice& slice) const {
    Weigh<T> rows{};
    rows.slice = slice;
    rows.row = taken_.row;
    rows.scale = static_cast<S>(p_.scale);
    rows.scores = s_.scores;
    rows.weights = s_.weights;
    rows.drops = p_.dropout > 0;
    rows.key = key_of(in_.masks);
    rows.site = make_mask_site(MaskKind::kAttention, 0, 0, p_.dropout);
    rows.mask_step = p_.first_step;
    rows.row_ids = in_.masks.row_ids;
    rows.kept_scale = dropout_scale<S>(p_.dropout);
    return rows;
  }

  // What products take.
  const T* weights() const {
    if constexpr (kRounds<T>)
      return s_.weights;
    else
      return s_.scores;
  }
  const T* d_scores() const {
    if constexpr (kRounds<T>)
      return s_.d_scores;
    else
      return s_.d_weights;
  }

  // An array of the caller's of which not all is written where there are lengths, or no steps.
  void clear(void* array, std::int64_t values) const {
    if (array && (in_.source_lengths || in_.target_lengths || p_.steps == 0))
      fill_zero(array, static_cast<std::size_t>(values) * sizeof(T), stream_);
  }

  const rnn_engine_attention_problem& p_;
  const Multipliers& with_;
  const rnn_engine_attention_inputs& in_;
  const Stream stream_;
  const AttentionWorkspace<T>& s_;
  const Taken taken_;
};

template <class T>
class Forward : Slices<T> {
 public:
  using S = Value<T>;

  Forward(const rnn_engine_attention_problem& problem, const Multipliers& with,
          const rnn_engine_attention_forward_args& args, const AttentionWorkspace<T>& workspace)
      : Slices<T>(problem, with, args.inputs, args.stream, workspace), args_(args) {}

  void run() const {
    const rnn_engine_attention_problem& p = this->p_;
    this->clear(args_.context, p.steps * p.batch * p.value_size);
    this->for_each([&](const Slice& slice) {
      this->score(slice);
      Weigh<T> rows = this->weighing(slice);
      rows.logarithms = static_cast<S*>(args_.logarithms);
      rows.mean = static_cast<S*>(args_.weights);
      weigh(this->stream_, rows);
      this->mix(slice, this->weights(), this->value_rows(), this->value_place(), p.value_size, this->values(),
                this->from(args_.context, slice, p.value_size));
    });
  }

 private:
  const rnn_engine_attention_forward_args& args_;
};

template <class T>
class Backward : Slices<T> {
 public:
  using S = Value<T>;

  Backward(const rnn_engine_attention_problem& problem, const Multipliers& with,
           const rnn_engine_attention_backward_args& args, const AttentionWorkspace<T>& workspace)
      : Slices<T>(problem, with, args.inputs, args.stream, workspace), args_(args) {}

  void run() const {
    const rnn_engine_attention_problem& p = this->p_;
    this->clear(args_.d_queries, p.steps * p.batch * p.key_size);
    this->clear(args_.d_keys, p.source_steps * p.batch * p.key_size);
    this->clear(args_.d_values, p.source_steps * p.batch * p.value_size);
    this->for_each([&](const Slice& slice) { differentiate(slice); });
    if (args_.d_vector && p.steps > 0)
      add_vectors(this->stream_,
                  VectorSum<S>{p.batch, p.key_size, this->s_.d_vectors, static_cast<S*>(args_.d_vector)});
  }

 private:
  void differentiate(const Slice& slice) const {
    const rnn_engine_attention_problem& p = this->p_;
    const AttentionWorkspace<T>& s = this->s_;
    const T* d_context = this->from(args_.d_context, slice, p.value_size);
    this->score(slice);
    if (s.d_weights)
      this->multiply_rows(slice, d_context, this->value_rows(), this->value_place(), p.value_size, this->values(),
                          s.d_weights);
    WeighBackward<T> rows{};
    rows.again = this->weighing(slice);
    rows.logarithms = static_cast<const S*>(args_.logarithms);
    rows.d_weights = s.d_weights;
    // The additive form's gradients are no products, and take what is not rounded.
    rows.d_scores = p.form == RNN_ENGINE_DOT ? s.d_scores : nullptr;
    weigh_backward(this->stream_, rows);
    if (args_.d_values)
      this->gather(slice, this->weights(), d_context, this->value_place(), p.value_size, this->values(), s.d_values,
                   static_cast<T*>(args_.d_values));
    if (p.form == RNN_ENGINE_ADDITIVE) {
      Additive<T> form = this->additive(slice);
      form.d_scores = s.d_weights;
      form.d_queries = static_cast<T*>(args_.d_queries);
      form.d_keys = static_cast<T*>(args_.d_keys);
      form.waiting = s.d_keys;
      form.d_vectors = s.d_vectors;
      return additive_backward(this->stream_, form);
    }
    if (args_.d_queries)
      this->mix(slice, this->d_scores(), this->key_rows(), this->key_place(), p.key_size, this->keys(),
                this->from(args_.d_queries, slice, p.key_size));
    if (args_.d_keys)
      this->gather(slice, this->d_scores(), this->from(this->in_.queries, slice, p.key_size), this->key_place(),
                   p.key_size, this->keys(), s.d_keys, static_cast<T*>(args_.d_keys));
  }

  const rnn_engine_attention_backward_args& args_;
};

}  // namespace

std::uint64_t attention_workspace_bytes(const rnn_engine_attention_problem& problem, int gradients) {
  return visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena;
    AttentionWorkspace<T>(problem, gradients, arena);
    return static_cast<std::uint64_t>(arena.size());
  });
}

void run_attention_forward(const rnn_engine_attention_problem& problem, const Multipliers& with,
                           const rnn_engine_attention_forward_args& args) {
  visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena(args.workspace);
    const AttentionWorkspace<T> workspace(problem, 0, arena);
    Forward<T>(problem, with, args, workspace).run();
  });
}

void run_attention_backward(const rnn_engine_attention_problem& problem, const Multipliers& with,
                            const rnn_engine_attention_backward_args& args) {
  const int gradients =
      (args.d_queries ? RNN_ENGINE_ATTENTION_QUERIES : 0) | (args.d_keys ? RNN_ENGINE_ATTENTION_KEYS : 0) |
      (args.d_values ? RNN_ENGINE_ATTENTION_VALUES : 0) | (args.d_vector ? RNN_ENGINE_ATTENTION_VECTOR : 0);
  visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena(args.workspace);
    const AttentionWorkspace<T> workspace(problem, gradients, arena);
    Backward<T>(problem, with, args, workspace).run();
  });
}

}  // namespace rnn_engine::cuda
