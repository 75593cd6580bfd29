// The gradients of weights and input: products over all steps of a piece, once the gates' gradients are there.
#pragma once

#include "cpu/gemm/large.h"
#include "cpu/run/backward_pseudo_layer.h"
#include "cpu/run/residual.h"

namespace rnn_engine {

template <class T>
class Gradients {
 public:
  // `overwrite`: what stands in the weights' gradients does not matter.
  Gradients(const Runner<T>& run, const GroupBackward<T>& workspace, const BackwardPseudoLayer<T>& pseudo,
            bool overwrite)
      : run_(run), workspace_(workspace), pseudo_(pseudo), overwrite_(overwrite) {}

  // What the layer read in forward, and the order of the piece's rows. Ends with a barrier.
  RowWindow<const T> begin(std::int64_t s0, std::int64_t s1) const {
    RowWindow<const T> input = pseudo_.input;
    if (run_.shape().dropout && pseudo_.layer > 0) {
      const StepRange range = step_range(run_.shape(), pseudo_.direction, s0, s1);
      const RowWindow<T> dropped{workspace_.input, range.row0, pseudo_.size.I};
      drop(run_, pseudo_.layer, range, input, dropped);
      input = dropped.as_const();
    }
    const RowWindow<T> h_dropped{workspace_.h_dropped, step_range(run_.shape(), pseudo_.direction, s0, s1).row0,
                                 pseudo_.size.R};
    if (run_.shape().recurrent_dropout > 0) drop_states(s0, s1, h_dropped);
    if (run_.team.id() == 0) fill_order(s0, s1, h_dropped);
    run_.team.barrier();
    return input;
  }

  void of_weights(const RowWindow<const T>& input, std::int64_t s0, std::int64_t s1) const {
    const std::int64_t rows = pseudo_.rows_from(s0, s1);
    const bool overwrite = overwrite_ && s1 == run_.shape().T;
    const LayerShape& size = pseudo_.size;
    const auto gradient = in_order(pseudo_.wx);
    const auto of_input = outer(size.I, in_order(input), pseudo_.gradients.weight_ih, overwrite);
    const auto of_state =
        outer(size.R, [&](std::int64_t k) { return workspace_.previous[k]; }, pseudo_.gradients.weight_hh, overwrite);
    if (run_.shape().cell.split) {
      accumulate(size.Z, rows, gradient, of_input);
      accumulate(size.Z, rows, in_order(pseudo_.uh), of_state);
    } else {
      accumulate(size.Z, rows, gradient, of_input, of_state);
    }
  }

  // Part of every backward tile: the gradients of h are there for its steps alone.
  void of_projection(std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo_.size;
    if (pseudo_.stored) {
      if (run_.team.id() == 0) fill_order(s0, s1, {});
      run_.team.barrier();
    }
    const auto gradient = [&](std::int64_t k) -> const T* {
      return workspace_.order[k] < 0 ? nullptr : workspace_.dstate + k * size.R;
    };
    accumulate(size.R, pseudo_.rows_from(s0, s1), gradient,
               outer(size.H, in_order(pseudo_.h_unprojected), pseudo_.gradients.weight_hr, overwrite_ && s1 == s.T));
  }

  // dx = d_wx W; the second direction's is added to the first's, and dropout follows when it is complete. What goes
  // around a residual layer is what the product begins with, or is added after dropout: dx, which may stand in its
  // place, is then made elsewhere.
  void of_input(std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo_.size;
    const StepRange range = step_range(s, pseudo_.direction, s0, s1);
    const bool drops = s.dropout && pseudo_.layer > 0, adds = drops && pseudo_.dy_around;
    RowWindow<T> dx = pseudo_.dx;
    if (adds && s.D == 1) dx = {workspace_.input, range.row0, size.I};
    if (adds && !pseudo_.stored) run_.team.barrier();  // others may still read the input there
    const RowWindow<const T> init = pseudo_.direction > 0 ? dx.as_const()
                                    : drops               ? RowWindow<const T>{}
                                                          : pseudo_.dy_around;
    multiply_large(
        run_,
        Product<T, T>{range.rows(), size.I, size.Z, pseudo_.wx.at(range.row0), size.G, pseudo_.weights.weight_ih,
                      init.at(range.row0), init.stride, dx.at(range.row0), dx.stride},
        workspace_.pack_b + run_.team.id() * workspace_.pack_b_size);
    if (!drops || pseudo_.direction + 1 < s.D) return;
    run_.team.barrier();
    drop(run_, pseudo_.layer, range, dx.as_const(), dx);
    if (adds) add_rows(run_, own_rows(run_, range), size.I, pseudo_.dy_around, dx.as_const(), pseudo_.dx);
  }

  void of_vectors() const {
    const Shape& s = run_.shape();
    const CellTraits& cell = s.cell;
    const std::int64_t H = pseudo_.size.H, size = sums_size(s, H);
    const std::int64_t blocks = (s.B + row_block(s) - 1) / row_block(s);
    const Team::Range units = run_.columns(H);
    const auto add = [&](Value<T>* gradient, std::int64_t j, Value<T> value) {
      if (gradient) gradient[j] = overwrite_ ? value : gradient[j] + value;
    };
    const auto total = [&](std::int64_t place) {
      Value<T> sum = pseudo_.own.sums[place];
      for (std::int64_t g = 1; g < blocks; ++g) sum = sum + pseudo_.own.sums[g * size + place];
      return sum;
    };
    for (int gate = 0; gate < cell.gates; ++gate) {
      for (std::int64_t j = gate * H + units.begin; j < gate * H + units.end; ++j) {
        Value<T> sums[kMaxSums] = {}, vector_params[kMaxVectorParams] = {};
        for (int i = 0; i < cell.sums; ++i) sums[i] = total(i * cell.gates * H + j);
        for (int i = 0; i < cell.vector_params; ++i)
          vector_params[i] = pseudo_.weights.vector_params[i] ? pseudo_.weights.vector_params[i][j] : Value<T>(0);
        VectorGradients<Value<T>> g{};
        for_each_cell([&]<class Cell>(int index) {
          if (index == s.cell_index) g = Cell::template finish<Value<T>>(sums, vector_params);
        });
        add(pseudo_.gradients.bias_ih, j, g.bias_ih);
        add(pseudo_.gradients.bias_hh, j, g.bias_hh);
        for (int i = 0; i < cell.vector_params; ++i) add(pseudo_.gradients.vector_params[i], j, g.vector_params[i]);
      }
    }
    for (int i = 0; i < cell.unit_vectors; ++i)
      for (std::int64_t j = units.begin; j < units.end; ++j)
        add(pseudo_.gradients.vector_params[cell.vector_params + i], j, total((cell.sums * cell.gates + i) * H + j));
  }

 private:
  // h before each row after recurrent dropout; this thread's share of the steps.
  void drop_states(std::int64_t s0, std::int64_t s1, const RowWindow<T>& h_dropped) const {
    const std::int64_t R = pseudo_.size.R;
    const Team::Range steps = run_.team.share(s1 - s0);
    for (std::int64_t s = s0 + steps.begin; s < s0 + steps.end; ++s) {
      const Step step = step_at(run_.shape(), pseudo_.direction, s);
      for (std::int64_t b = 0; b < step.rows; ++b)
        run_.kernels.scale({pseudo_.state_before(step, s, s0, b), pseudo_.own.factors + b * R,
                            h_dropped.at(run_.shape().offset(step.t) + b), R});
    }
  }

  // Weights' gradients sum over rows in the order in which backward meets them, so that K changes no bit.
  void fill_order(std::int64_t s0, std::int64_t s1, const RowWindow<T>& h_dropped) const {
    const Shape& shape = run_.shape();
    std::int64_t k = 0;
    for (std::int64_t s = s1 - 1; s >= s0; --s) {
      const Step step = step_at(shape, pseudo_.direction, s);
      for (std::int64_t b = 0; b < step.rows; ++b, ++k) {
        const std::int64_t row = shape.offset(step.t) + b;
        workspace_.order[k] = row;
        workspace_.previous[k] = h_dropped ? h_dropped.at(row) : pseudo_.state_before(step, s, s0, b);
      }
      for (; k % pseudo_.k_group != 0; ++k) {  // groups lie within a step, so that K does not matter
        workspace_.order[k] = -1;
        workspace_.previous[k] = nullptr;
      }
    }
  }

  // Row order[k] of what the layer has for each row, nullptr for none.
  template <class Any>
  auto in_order(const RowWindow<Any>& rows) const {
    return [rows, order = workspace_.order](std::int64_t k) -> const T* {
      if constexpr (kInterleave<T> > 1)
        if (order[k] < 0) return nullptr;
      return rows.at(order[k]);
    };
  }

  // out[m, n] += left^T right over rows, for each of `outers`.
  template <class Left, class... Outers>
  void accumulate(std::int64_t m, std::int64_t rows, const Left& left, const Outers&... outers) const {
    accumulate_outer(run_.team, run_.kernels, m, rows, left, workspace_.pack_a_rows,
                     workspace_.pack_a + run_.team.id() * workspace_.pack_a_size,
                     workspace_.pack_b + run_.team.id() * workspace_.pack_b_size, outers...);
  }

  template <class Right>
  static Outer<T, Right> outer(std::int64_t n, const Right& right, Value<T>* out, bool overwrite) {
    return {n, right, out, overwrite};
  }

  const Runner<T>& run_;
  const GroupBackward<T>& workspace_;
  const BackwardPseudoLayer<T>& pseudo_;
  const bool overwrite_;
};

}  // namespace rnn_engine
