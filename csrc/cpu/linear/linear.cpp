// Bit rules: products are chains (cpu/kernels/kernels.h) that go on from one input to the next; sums over rows for the
// bias are chains of kLinearSum rows, then a chain over those.
//
// Of bfloat16 inputs and weights, the product, its activation and its slopes are float32; products take slopes rounded.
#include "cpu/linear/linear.h"

#include <cstring>

#include "cpu/linear/masks.h"

namespace rnn_engine {
namespace {

// What both directions know of a call.
template <class T, class Args>
struct LinearCall {
  const rnn_engine_linear_problem& p;
  const Kernels<T>& kernels;
  const Args& args;
  const T* weight;
  std::int64_t rows, depth;  // M, I_1 + I_2 + ...
  RowMasks<T> masks;

  LinearCall(const rnn_engine_linear_problem& problem, const Backend& backend, const Args& given)
      : p(problem),
        kernels(backend.kernels<T>()),
        args(given),
        weight(static_cast<const T*>(given.weight)),
        rows(rows_of(problem)),
        depth(inputs_of(problem)),
        masks(MaskKind::kLinear, given.seed, problem.dropout, 1.0, problem.batch, problem.per_sentence != 0,
              problem.first_step) {}

  std::int64_t input_row(std::int64_t i) const { return args.input_rows[i] ? args.input_rows[i] : p.input_sizes[i]; }
  const T* input(std::int64_t i, std::int64_t row) const {
    return static_cast<const T*>(args.inputs[i]) + row * input_row(i);
  }
};

template <class T>
void forward(Team& team, const LinearCall<T, rnn_engine_linear_args>& call, const LinearForward<T>& workspace) {
  const rnn_engine_linear_problem& p = call.p;
  Side<T> sides[RNN_ENGINE_MAX_INPUTS];
  std::int64_t first = 0;
  for (std::int64_t i = 0; i < p.inputs; first += p.input_sizes[i++]) {
    sides[i] = {call.input(i, 0), call.input_row(i), p.input_sizes[i], workspace.packed[i]};
    pack_weight_transposed(team, call.kernels, call.weight + first, p.outputs, p.input_sizes[i], workspace.packed[i],
                           call.depth);
  }
  team.barrier();
  T* y = static_cast<T*>(call.args.y);
  const bool finishes = kRounds<T> || has_epilogue(p);
  multiply_side_by_side(
      team, call.kernels, call.rows, p.outputs, std::span<const Side<T>>(sides, static_cast<std::size_t>(p.inputs)),
      static_cast<const Value<T>*>(call.args.bias), y, p.outputs, workspace.rounded + team.id() * kBlockSize<T>,
      [&](std::int64_t row, std::int64_t column, std::int64_t height, std::int64_t columns, const Value<T>* product,
          std::int64_t product_row) {
        for (std::int64_t r = 0; finishes && r < height; ++r) {
          EpilogueRow<T> epilogue = call.masks.at(row + r, column, columns);
          epilogue.tanh = p.activation == RNN_ENGINE_TANH;
          epilogue.product = product + r * product_row;
          epilogue.out = y + (row + r) * p.outputs + column;
          call.kernels.epilogue_forward(epilogue);
        }
      });
}

template <class T>
class Backward {
 public:
  using S = Value<T>;

  Backward(Team& team, const LinearCall<T, rnn_engine_linear_backward_args>& call, const LinearBackward<T>& workspace)
      : team_(team),
        call_(call),
        p_(call.p),
        s_(workspace),
        dy_(static_cast<const T*>(call.args.dy)),
        d_weight_(static_cast<S*>(call.args.d_weight)),
        d_bias_(static_cast<S*>(call.args.d_bias)) {}

  void run() {
    if (call_.rows == 0) return clear();
    pack();
    for (std::int64_t row = 0; row < call_.rows; row += s_.chunk) {
      const std::int64_t rows = std::min(s_.chunk, call_.rows - row);
      if (has_epilogue(p_) || d_bias_) slopes(row, rows);
      team_.barrier();
      const T* gradient = has_epilogue(p_) ? s_.slopes : dy_ + row * p_.outputs;
      if (d_bias_) bias_gradient(rows, call_.args.overwrite && row == 0);
      input_gradients(row, rows, gradient);
      if (d_weight_) weight_gradient(row, rows, gradient);
      team_.barrier();
    }
  }

 private:
  void clear() {
    if (team_.id() > 0 || !call_.args.overwrite) return;
    if (d_weight_) std::fill_n(d_weight_, p_.outputs * call_.depth, S(0));
    if (d_bias_) std::fill_n(d_bias_, p_.outputs, S(0));
  }

  // The weight as products with slopes take it, for the inputs whose gradients are wanted.
  void pack() {
    const std::int64_t panel_columns = kPanelVectors * call_.kernels.width, O = p_.outputs;
    std::int64_t column = 0;
    for (std::int64_t i = 0; i < p_.inputs; column += p_.input_sizes[i++]) {
      if (!call_.args.d_inputs[i]) continue;
      const std::int64_t size = p_.input_sizes[i];
      const Team::Range panels = team_.share((size + panel_columns - 1) / panel_columns);
      for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
        const std::int64_t first = panel * panel_columns;
        pack_panel(
            call_.kernels, O, first, std::min(panel_columns, size - first),
            [&](std::int64_t k) { return call_.weight + k * call_.depth + column; },
            s_.packed[i] + first * packed_depth<T>(O));
      }
    }
  }

  void slopes(std::int64_t row, std::int64_t rows) {
    const std::int64_t O = p_.outputs;
    const T* y = static_cast<const T*>(call_.args.y);
    const Team::Range mine = team_.share(rows, kLinearSum);
    for (std::int64_t r = mine.begin; r < mine.end; ++r) {
      S* sums = s_.sums + r / kLinearSum * O;
      if (r % kLinearSum == 0) std::fill_n(sums, O, S(0));
      EpilogueRow<T> epilogue = call_.masks.at(row + r, 0, O);
      epilogue.tanh = p_.activation == RNN_ENGINE_TANH;
      epilogue.dy = dy_ + (row + r) * O;
      epilogue.y = y ? y + (row + r) * O : nullptr;
      epilogue.out = has_epilogue(p_) ? s_.slopes + r * O : nullptr;
      epilogue.sums = d_bias_ ? sums : nullptr;
      call_.kernels.epilogue_backward(epilogue);
    }
  }

  void bias_gradient(std::int64_t rows, bool overwrite) {
    const std::int64_t O = p_.outputs;
    const Team::Range mine = team_.share(O, kMaxWidth);
    for (std::int64_t r = 0; r < rows; r += kLinearSum) {
      const S* sums = s_.sums + r / kLinearSum * O;
      for (std::int64_t j = mine.begin; j < mine.end; ++j)
        d_bias_[j] = overwrite && r == 0 ? sums[j] : d_bias_[j] + sums[j];
    }
  }

  void input_gradients(std::int64_t row, std::int64_t rows, const T* gradient) {
    for (std::int64_t i = 0; i < p_.inputs; ++i) {
      if (!call_.args.d_inputs[i]) continue;
      const std::int64_t size = p_.input_sizes[i];
      const Side<T> side{gradient, p_.outputs, p_.outputs, s_.packed[i]};
      T* out = static_cast<T*>(call_.args.d_inputs[i]) + row * size;
      multiply_side_by_side(
          team_, call_.kernels, rows, size, std::span<const Side<T>>(&side, 1), nullptr, out, size,
          s_.rounded + team_.id() * kBlockSize<T>,
          [&](std::int64_t first_row, std::int64_t first, std::int64_t height, std::int64_t columns, const S* product,
              std::int64_t product_row) {
            if constexpr (kRounds<T>)
              call_.kernels.narrow({height, 1, columns, 0, product, product_row, out + first_row * size + first, size});
          });
    }
  }

  void weight_gradient(std::int64_t row, std::int64_t rows, const T* gradient) {
    const std::int64_t O = p_.outputs;
    T* pack_a = s_.pack_a + team_.id() * s_.pack_a_size;
    T* pack_b = s_.pack_b + team_.id() * s_.pack_b_size;
    const bool overwrite = call_.args.overwrite && row == 0;
    for_each_left(
        team_, call_.kernels, O, rows, call_.depth, [&](std::int64_t k) { return gradient + k * O; }, s_.pack_a_rows,
        pack_a,
        [&](std::int64_t first, std::int64_t height, std::int64_t k0, std::int64_t depth) {
          std::int64_t column = 0;
          for (std::int64_t i = 0; i < p_.inputs; column += p_.input_sizes[i++]) {
            const auto input = [&](std::int64_t k) { return call_.input(i, row + k); };
            accumulate_panels(
                call_.kernels,
                Outer<T, decltype(input)>{p_.input_sizes[i], input, d_weight_ + column, overwrite, call_.depth}, first,
                height, k0, depth, pack_a, pack_b);
          }
        });
  }

  Team& team_;
  const LinearCall<T, rnn_engine_linear_backward_args>& call_;
  const rnn_engine_linear_problem& p_;
  const LinearBackward<T>& s_;
  const T* dy_;
  S *d_weight_, *d_bias_;
};

}  // namespace

void linear_workspace_bytes(const rnn_engine_linear_problem& problem, const Machine& machine, std::uint64_t& forward,
                            std::uint64_t& backward) {
  visit_dtype(problem.dtype, [&]<class T>() {
    Arena first, second;
    LinearForward<T>(problem, machine, first);
    LinearBackward<T>(problem, machine, second);
    forward = first.size();
    backward = second.size();
  });
}

template <class T>
void run_linear(const rnn_engine_linear_problem& problem, const Machine& machine, const Backend& backend, Pool& pool,
                const rnn_engine_linear_args& args, Interrupt& interrupt) {
  if (rows_of(problem) == 0) return;
  Arena arena(args.workspace);
  const LinearForward<T> workspace(problem, machine, arena);
  const LinearCall<T, rnn_engine_linear_args> call(problem, backend, args);
  pool.run([&](Team& team) { forward(team, call, workspace); }, &interrupt);
}

template <class T>
void run_linear_backward(const rnn_engine_linear_problem& problem, const Machine& machine, const Backend& backend,
                         Pool& pool, const rnn_engine_linear_backward_args& args, Interrupt& interrupt) {
  Arena arena(args.workspace);
  const LinearBackward<T> workspace(problem, machine, arena);
  const LinearCall<T, rnn_engine_linear_backward_args> call(problem, backend, args);
  pool.run([&](Team& team) { Backward<T>(team, call, workspace).run(); }, &interrupt);
}

template void run_linear<float>(const rnn_engine_linear_problem&, const Machine&, const Backend&, Pool&,
                                const rnn_engine_linear_args&, Interrupt&);
template void run_linear<double>(const rnn_engine_linear_problem&, const Machine&, const Backend&, Pool&,
                                 const rnn_engine_linear_args&, Interrupt&);
template void run_linear<BFloat16>(const rnn_engine_linear_problem&, const Machine&, const Backend&, Pool&,
                                   const rnn_engine_linear_args&, Interrupt&);
template void run_linear_backward<float>(const rnn_engine_linear_problem&, const Machine&, const Backend&, Pool&,
                                         const rnn_engine_linear_backward_args&, Interrupt&);
template void run_linear_backward<double>(const rnn_engine_linear_problem&, const Machine&, const Backend&, Pool&,
                                          const rnn_engine_linear_backward_args&, Interrupt&);
template void run_linear_backward<BFloat16>(const rnn_engine_linear_problem&, const Machine&, const Backend&, Pool&,
                                            const rnn_engine_linear_backward_args&, Interrupt&);

}  // namespace rnn_engine
