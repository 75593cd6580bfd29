// Products of the inputs go on from one to the next as one chain over k. Rows are taken some at a time where something
// of each waits in workspace, which therefore does not grow with them.
#include "cuda/linear/linear.h"

#include <algorithm>

#include "base/arena.h"
#include "cuda/run/run.h"

namespace rnn_engine::cuda {
namespace {

std::int64_t rows_of(const rnn_engine_linear_problem& p) { return p.steps * p.batch; }

std::int64_t depth_of(const rnn_engine_linear_problem& p) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < p.inputs; ++i) sum += p.input_sizes[i];
  return sum;
}

// Whether the gradient of y is not yet that of the product.
bool has_epilogue(const rnn_engine_linear_problem& p) { return p.activation != RNN_ENGINE_IDENTITY || p.dropout > 0; }

// Rows taken at once: as many as keep what waits of them within this many bytes, but enough for large products.
std::int64_t chunk_of(const rnn_engine_linear_problem& p) {
  constexpr std::int64_t kBytes = 64 << 20, kLeast = 1024, kGrain = kLinearSum;
  const std::int64_t size = p.dtype == RNN_ENGINE_FLOAT64 ? 8 : 4;
  const std::int64_t fitting = std::max(kLeast, kBytes / (size * p.outputs) / kGrain * kGrain);
  return std::min(fitting, (rows_of(p) + kGrain - 1) / kGrain * kGrain);
}

template <class T>
struct LinearForward {
  std::int64_t chunk;
  Value<T>* product;  // [chunk, O] of rounded types, before it is rounded

  LinearForward(const rnn_engine_linear_problem& p, Arena& arena) : chunk(chunk_of(p)) {
    const bool waits = kRounds<T> && (has_epilogue(p) || p.inputs > 1);
    product = arena.take<Value<T>>("products before rounding", waits ? chunk * p.outputs : 0);
  }
};

template <class T>
struct LinearBackward {
  std::int64_t chunk;
  T* slopes;       // [chunk, O] gradient of the product
  Value<T>* sums;  // [chunk / kLinearSum, O] of the slopes

  LinearBackward(const rnn_engine_linear_problem& p, Arena& arena) : chunk(chunk_of(p)) {
    slopes = arena.take<T>("slopes", has_epilogue(p) ? chunk * p.outputs : 0);
    sums = arena.take<Value<T>>("sums for the bias", chunk / kLinearSum * p.outputs);
  }
};

template <class S>
RowFactors<S> factors_of(MaskKind kind, std::uint64_t seed, double probability, double scale, std::int64_t batch,
                         bool per_sentence, std::int64_t first_step) {
  RowFactors<S> factors{};
  factors.key = key_of({seed, nullptr});
  factors.site = make_mask_site(kind, 0, 0, probability);
  factors.drops = probability > 0;
  factors.scale = static_cast<S>(scale * dropout_scale<double>(probability));
  factors.batch = batch;
  factors.first_step = first_step;
  factors.per_sentence = per_sentence;
  return factors;
}

// What both directions know of a call.
template <class T, class Args>
struct LinearCall {
  using S = Value<T>;
  const rnn_engine_linear_problem& p;
  const Multipliers& with;
  const Args& args;
  const Stream stream;
  const std::int64_t rows, depth;
  const RowFactors<S> factors;

  LinearCall(const rnn_engine_linear_problem& problem, const Multipliers& multipliers, const Args& given)
      : p(problem),
        with(multipliers),
        args(given),
        stream(static_cast<Stream>(given.stream)),
        rows(rows_of(problem)),
        depth(depth_of(problem)),
        factors(factors_of<S>(MaskKind::kLinear, given.seed, problem.dropout, 1.0, problem.batch,
                              problem.per_sentence != 0, problem.first_step)) {}

  const T* weight(std::int64_t first_column) const { return static_cast<const T*>(args.weight) + first_column; }
  std::int64_t input_row(std::int64_t i) const { return args.input_rows[i] ? args.input_rows[i] : p.input_sizes[i]; }
  const T* input(std::int64_t i, std::int64_t row) const {
    return static_cast<const T*>(args.inputs[i]) + row * input_row(i);
  }
  // Calls work(i, first column of the weight) for each input.
  template <class Work>
  void for_each_input(const Work& work) const {
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < p.inputs; first += p.input_sizes[i++]) work(i, first);
  }
};

template <class T>
void forward(const LinearCall<T, rnn_engine_linear_args>& call, const LinearForward<T>& s) {
  using S = Value<T>;
  const rnn_engine_linear_problem& p = call.p;
  for (std::int64_t row = 0; row < call.rows; row += s.chunk) {
    const std::int64_t rows = std::min(s.chunk, call.rows - row);
    T* y = static_cast<T*>(call.args.y) + row * p.outputs;
    S* waiting = s.product;
    if constexpr (!kRounds<T>) waiting = y;
    call.for_each_input([&](std::int64_t i, std::int64_t first) {
      Product<T> product{};
      product.m = rows;
      product.n = p.outputs;
      product.k = p.input_sizes[i];
      product.a = by_rows<T>(call.input(i, row), call.input_row(i));
      product.b = by_rows<T>(call.weight(first), call.depth);
      if (i == 0)
        product.bias[0] = static_cast<const S*>(call.args.bias);
      else
        product.init = waiting;
      product.init_row = product.c_row = p.outputs;
      if (i + 1 == p.inputs && !has_epilogue(p))
        product.stored_c = y;
      else
        product.c = waiting;
      multiply(call.stream, product, call.with);
    });
    if (!has_epilogue(p)) continue;
    EpilogueForward<T> epilogue{};
    epilogue.first = row;
    epilogue.rows = rows;
    epilogue.columns = static_cast<std::int32_t>(p.outputs);
    epilogue.factors = call.factors;
    epilogue.tanh = p.activation == RNN_ENGINE_TANH;
    epilogue.product = waiting;
    epilogue.out = y;
    epilogue_forward(call.stream, epilogue);
  }
}

template <class T>
class Backward {
 public:
  using S = Value<T>;

  Backward(const LinearCall<T, rnn_engine_linear_backward_args>& call, const LinearBackward<T>& workspace)
      : call_(call),
        p_(call.p),
        s_(workspace),
        d_weight_(static_cast<S*>(call.args.d_weight)),
        d_bias_(static_cast<S*>(call.args.d_bias)) {}

  void run() const {
    if (call_.rows == 0) return clear();
    for (std::int64_t row = 0; row < call_.rows; row += s_.chunk) {
      const std::int64_t rows = std::min(s_.chunk, call_.rows - row);
      const T* dy = static_cast<const T*>(call_.args.dy) + row * p_.outputs;
      if (has_epilogue(p_) || d_bias_) slopes(row, rows, dy);
      const T* gradient = has_epilogue(p_) ? s_.slopes : dy;
      const bool overwrite = call_.args.overwrite && row == 0;
      if (d_bias_)
        sum_for_bias(call_.stream, BiasSum<S>{(rows + kLinearSum - 1) / kLinearSum,
                                              static_cast<std::int32_t>(p_.outputs), s_.sums, d_bias_, overwrite});
      call_.for_each_input([&](std::int64_t i, std::int64_t first) {
        if (call_.args.d_inputs[i]) input_gradient(i, first, row, rows, gradient);
        if (d_weight_) weight_gradient(i, first, row, rows, gradient, overwrite);
      });
    }
  }

 private:
  void clear() const {
    if (!call_.args.overwrite) return;
    const auto bytes = [](std::int64_t values) { return static_cast<std::size_t>(values) * sizeof(S); };
    if (d_weight_) fill_zero(d_weight_, bytes(p_.outputs * call_.depth), call_.stream);
    if (d_bias_) fill_zero(d_bias_, bytes(p_.outputs), call_.stream);
  }

  void slopes(std::int64_t row, std::int64_t rows, const T* dy) const {
    EpilogueBackward<T> epilogue{};
    epilogue.first = row;
    epilogue.rows = rows;
    epilogue.columns = static_cast<std::int32_t>(p_.outputs);
    epilogue.factors = call_.factors;
    epilogue.tanh = p_.activation == RNN_ENGINE_TANH;
    epilogue.inverse = static_cast<S>(1 - p_.dropout);
    epilogue.dy = dy;
    if (epilogue.tanh) epilogue.y = static_cast<const T*>(call_.args.y) + row * p_.outputs;
    epilogue.slopes = s_.slopes;
    epilogue.sums = d_bias_ ? s_.sums : nullptr;
    epilogue_backward(call_.stream, epilogue);
  }

  void input_gradient(std::int64_t i, std::int64_t first, std::int64_t row, std::int64_t rows,
                      const T* gradient) const {
    Product<T> product{};
    product.m = rows;
    product.n = p_.input_sizes[i];
    product.k = p_.outputs;
    product.a = by_rows<T>(gradient, p_.outputs);
    product.b = by_columns<T>(call_.weight(first), call_.depth);
    product.stored_c = static_cast<T*>(call_.args.d_inputs[i]) + row * p_.input_sizes[i];
    product.c_row = p_.input_sizes[i];
    multiply(call_.stream, product, call_.with);
  }

  void weight_gradient(std::int64_t i, std::int64_t first, std::int64_t row, std::int64_t rows, const T* gradient,
                       bool overwrite) const {
    Product<T> product{};
    product.m = p_.outputs;
    product.n = p_.input_sizes[i];
    product.k = rows;
    product.a = by_columns<T>(gradient, p_.outputs);
    product.b = by_columns<T>(call_.input(i, row), call_.input_row(i));
    product.c = d_weight_ + first;
    if (!overwrite) product.init = product.c;
    product.init_row = product.c_row = call_.depth;
    product.any_order = true;
    multiply(call_.stream, product, call_.with);
  }

  const LinearCall<T, rnn_engine_linear_backward_args>& call_;
  const rnn_engine_linear_problem& p_;
  const LinearBackward<T>& s_;
  S *d_weight_, *d_bias_;
};

}  // namespace

void linear_workspace_bytes(const rnn_engine_linear_problem& problem, std::uint64_t& forward, std::uint64_t& backward) {
  visit_dtype(problem.dtype, [&]<class T>() {
    Arena first, second;
    LinearForward<T>(problem, first);
    LinearBackward<T>(problem, second);
    forward = first.size();
    backward = second.size();
  });
}

void run_linear(const rnn_engine_linear_problem& problem, const Multipliers& with, const rnn_engine_linear_args& args) {
  visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena(args.workspace);
    const LinearForward<T> workspace(problem, arena);
    forward(LinearCall<T, rnn_engine_linear_args>(problem, with, args), workspace);
  });
}

void run_linear_backward(const rnn_engine_linear_problem& problem, const Multipliers& with,
                         const rnn_engine_linear_backward_args& args) {
  visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena(args.workspace);
    const LinearBackward<T> workspace(problem, arena);
    const LinearCall<T, rnn_engine_linear_backward_args> call(problem, with, args);
    Backward<T>(call, workspace).run();
  });
}

void run_dropout(const rnn_engine_dropout_problem& problem, const rnn_engine_dropout_args& args) {
  visit_dtype(problem.dtype, [&]<class T>() {
    RowDropout<T> dropout{};
    dropout.rows = problem.steps * problem.batch;
    dropout.columns = static_cast<std::int32_t>(problem.features);
    dropout.factors = factors_of<Value<T>>(MaskKind::kValues, args.seed, problem.dropout, problem.scale, problem.batch,
                                           problem.per_sentence != 0, 0);
    dropout.drops_rows = problem.row_dropout > 0;
    dropout.row_site = make_mask_site(MaskKind::kRows, 0, 0, problem.row_dropout);
    dropout.in = static_cast<const T*>(args.in);
    dropout.in_row = args.in_row ? args.in_row : problem.features;
    dropout.out = static_cast<T*>(args.out);
    row_dropout(static_cast<Stream>(args.stream), dropout);
  });
}

}  // namespace rnn_engine::cuda
