// The gradients of weights, input and vectors: products over all steps of a piece, once the gates' gradients are there.
#pragma once

#include "cuda/run/run.h"

namespace rnn_engine::cuda {

template <class T>
using BackwardPseudoLayer = BackwardRows<T, PseudoLayerBackward<T>>;

template <class T>
class Gradients {
 public:
  // `overwrite`: what stands in the weights' gradients does not matter.
  Gradients(const Runner<T>& run, const StreamBackward<T>& workspace, const BackwardPseudoLayer<T>& pseudo,
            bool overwrite)
      : run_(run), workspace_(workspace), pseudo_(pseudo), overwrite_(overwrite) {}

  // What the layer read in forward, and h before each row.
  RowWindow<const T> begin(std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const StepRange range = step_range(s, pseudo_.direction, s0, s1);
    PreviousStates<T> states{};
    states.first = range.row0;
    states.rows = range.rows();
    states.units = static_cast<std::int32_t>(pseudo_.size.R);
    states.direction = static_cast<std::int32_t>(pseudo_.direction);
    states.map = run_.row_map();
    states.h = pseudo_.h.data;
    states.h_first = pseudo_.h.first;
    states.h_row = pseudo_.h.stride;
    states.h0 = pseudo_.h0;
    states.before = pseudo_.h_before;
    states.before_step = static_cast<std::int32_t>(step_at(s, pseudo_.direction, s0).t);
    states.factors = pseudo_.own.states.factors;
    states.out = workspace_.h_previous;
    previous_states(run_.stream, states);
    if (!s.dropout || pseudo_.layer == 0) return pseudo_.input;
    const RowWindow<T> dropped{workspace_.input, range.row0, pseudo_.size.I};
    run_.drop(pseudo_.layer, range, pseudo_.input, dropped);
    return dropped.as_const();
  }

  void of_weights(const RowWindow<const T>& input, std::int64_t s0, std::int64_t s1) const {
    const StepRange range = step_range(run_.shape(), pseudo_.direction, s0, s1);
    const LayerShape& size = pseudo_.size;
    const bool overwrite = overwrite_ && s1 == run_.shape().T;
    outer(range.rows(), size.Z, pseudo_.wx.at(range.row0), size.G, size.I, input.at(range.row0), input.stride,
          pseudo_.gradients.weight_ih, overwrite);
    outer(range.rows(), size.Z, pseudo_.d_uh().at(range.row0), size.G, size.R, workspace_.h_previous, size.R,
          pseudo_.gradients.weight_hh, overwrite);
  }

  // Part of every backward tile: the gradients of h are there for its steps alone.
  void of_projection(std::int64_t s0, std::int64_t s1) const {
    const StepRange range = step_range(run_.shape(), pseudo_.direction, s0, s1);
    const LayerShape& size = pseudo_.size;
    outer(range.rows(), size.R, workspace_.dstate, size.R, size.H, pseudo_.h_unprojected.at(range.row0), size.H,
          pseudo_.gradients.weight_hr, overwrite_ && s1 == run_.shape().T);
  }

  // dx = d_wx W; the second direction's is added to the first's, and dropout follows when it is complete. What goes
  // around a residual layer is what the product begins with, or is added after dropout: dx, which may stand in its
  // place, is then made elsewhere.
  void of_input(std::int64_t s0, std::int64_t s1) const {
    const Shape& s = run_.shape();
    const StepRange range = step_range(s, pseudo_.direction, s0, s1);
    const LayerShape& size = pseudo_.size;
    const bool drops = s.dropout && pseudo_.layer > 0, adds = drops && pseudo_.dy_around;
    RowWindow<T> dx = pseudo_.dx;
    if (adds && s.D == 1) dx = {workspace_.input, range.row0, size.I};
    const RowWindow<const T> init = pseudo_.direction > 0 ? dx.as_const()
                                    : drops               ? RowWindow<const T>{}
                                                          : pseudo_.dy_around;
    Product<T> p{};
    p.m = range.rows();
    p.n = size.I;
    p.k = size.Z;
    p.a = by_rows<T>(pseudo_.wx.at(range.row0), size.G);
    p.b = by_columns<T>(pseudo_.weights.weight_ih, size.I);
    p.stored_init = init.at(range.row0);
    p.init_row = init.stride;
    p.stored_c = dx.at(range.row0);
    p.c_row = dx.stride;
    run_.multiply(p);
    if (!drops || pseudo_.direction + 1 < s.D) return;
    run_.drop(pseudo_.layer, range, dx.as_const(), dx);
    if (adds) run_.add(range, size.I, pseudo_.dy_around, dx.as_const(), pseudo_.dx);
  }

  void of_vectors() const {
    VectorSums<T> sums{};
    sums.units = static_cast<std::int32_t>(pseudo_.size.H);
    sums.row_blocks = static_cast<std::int32_t>(row_blocks(run_.shape()));
    sums.sums = pseudo_.own.sums;
    sums.weights = run_.cell_weights(pseudo_.weights);
    sums.bias_ih = pseudo_.gradients.bias_ih;
    sums.bias_hh = pseudo_.gradients.bias_hh;
    for (int e = 0; e < kMaxVectorParams; ++e) sums.vector_params[e] = pseudo_.gradients.vector_params[e];
    sums.overwrite = overwrite_;
    vector_gradients(run_.stream, run_.shape().cell_index, sums);
  }

 private:
  // gradient [m, n] += left^T right, over rows [rows, m] and [rows, n].
  void outer(std::int64_t rows, std::int64_t m, const T* left, std::int64_t left_row, std::int64_t n, const T* right,
             std::int64_t right_row, Value<T>* gradient, bool overwrite) const {
    if (!gradient) return;
    Product<T> p{};
    p.m = m;
    p.n = n;
    p.k = rows;
    p.a = by_columns<T>(left, left_row);
    p.b = by_columns<T>(right, right_row);
    if (!overwrite) {
      p.init = gradient;
      p.init_row = n;
    }
    p.c = gradient;
    p.c_row = n;
    p.any_order = true;
    run_.multiply(p);
  }

  const Runner<T>& run_;
  const StreamBackward<T>& workspace_;
  const BackwardPseudoLayer<T>& pseudo_;
  const bool overwrite_;
};

}  // namespace rnn_engine::cuda
