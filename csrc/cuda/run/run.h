// Runs a plan: forward and backward put their kernels on a stream.
#pragma once

#include <type_traits>

#include "cuda/streams.h"
#include "plan/backward_pseudo_layer.h"

namespace rnn_engine::cuda {

// `streams`: where the tiles run.
template <class T>
void run_forward(const Plan& plan, const rnn_engine_forward_args& args, TileStreams& streams);
template <class T>
void run_backward(const Plan& plan, const rnn_engine_backward_args& args, TileStreams& streams);
// Before both: the tables that their kernels read, into workspace.
void write_tables(const Plan& plan, const rnn_engine_masks& masks, void* workspace, Stream stream);
// Copies the weights of all pseudo-layers to the plan's packed_slots.
template <class T>
void run_pack(const Plan& plan, const rnn_engine_weights* weights, void* packed, Stream stream);

// A row-major matrix [.., columns] as an operand whose rows are the product's, and as its transpose.
template <class T>
Operand<T> by_rows(const T* data, std::int64_t columns) {
  return {data, columns, 1};
}
template <class T>
Operand<T> by_columns(const T* data, std::int64_t columns) {
  return {data, 1, columns};
}

// The plan, and what is the same for all tiles of a stream.
template <class T>
struct Runner {
  const Plan& plan;
  Stream stream;
  TableWorkspace tables;

  const Shape& shape() const { return plan.shape; }

  void multiply(const Product<T>& product) const {
    cuda::multiply(stream, product, {plan.device.processors, plan.tf32, plan.cublas});
  }

  // W x of some rows, with the biases that begin it, into a.
  template <class PseudoLayer>
  Product<T> input_product(const PseudoLayer& pseudo, const RowWindow<const T>& input, const StepRange& range,
                           const RowWindow<Value<T>>& wx) const {
    Product<T> p{};
    p.m = range.rows();
    p.n = pseudo.size.Z;
    p.k = pseudo.size.I;
    p.a = by_rows<T>(input.at(range.row0), input.stride);
    p.b = by_rows<T>(pseudo.weights.weight_ih, pseudo.size.I);
    if (!shape().cell.adds_bias) p.bias[0] = pseudo.weights.bias_ih;
    if (!shape().cell.split) p.bias[1] = pseudo.weights.bias_hh;
    p.c = wx.at(range.row0);
    p.c_row = wx.stride;
    return p;
  }

  bool matrix_units() const { return kRounds<T> || (std::is_same_v<T, float> && plan.tf32); }
  // Whether a step's product and its cell are one kernel.
  bool fuses() const { return matrix_units() && !shape().cell.whole_rows; }

  RowMap row_map() const {
    return {tables.offsets, static_cast<std::int32_t>(shape().T), static_cast<std::int32_t>(shape().B)};
  }

  CellWeights<T> cell_weights(const Weights<T>& weights) const {
    CellWeights<T> out{};
    for (int e = 0; e < kMaxVectorParams; ++e) out.vector_params[e] = weights.vector_params[e];
    out.bias_ih = weights.bias_ih;
    out.bias_hh = weights.bias_hh;
    return out;
  }

  Draw<Value<T>> draw(const MaskSite& site) const {
    Draw<Value<T>> out{};
    out.site = site;
    out.key = tables.key;
    out.row_ids = tables.row_ids;
    out.on = out.drawn = true;
    return out;
  }
  Draw<Value<T>> recurrent_draw(std::int64_t layer, std::int64_t direction) const {
    return draw(make_mask_site(MaskKind::kRecurrent, layer, direction, shape().recurrent_dropout));
  }
  Draw<Value<T>> zoneout_draw(MaskKind kind, std::int64_t layer, std::int64_t direction, std::int64_t t) const {
    const double probability = kind == MaskKind::kZoneoutC ? shape().zoneout_c : shape().zoneout_h;
    Draw<Value<T>> out = draw(zoneout_site(shape(), kind, layer, direction));
    out.step = static_cast<std::uint32_t>(t);
    out.on = probability > 0;
    out.drawn = shape().zoneout_masks;
    out.share = static_cast<Value<T>>(probability);
    return out;
  }

  // The input of a layer above the first, or its gradient, dropped: rows of `range`.
  void drop(std::int64_t layer, const StepRange& range, RowWindow<const T> in, RowWindow<T> out) const {
    const Shape& s = shape();
    LayerDropout<T> dropout{};
    dropout.first = range.row0;
    dropout.rows = range.rows();
    dropout.columns = static_cast<std::int32_t>(s.layer(layer).I);
    dropout.in = in.at(range.row0);
    dropout.in_row = in.stride;
    dropout.out = out.at(range.row0);
    dropout.out_row = out.stride;
    dropout.map = row_map();
    dropout.draw = draw(make_mask_site(MaskKind::kLayer, layer, 0, s.dropout_probability));
    dropout.every_step = !s.one_mask;
    dropout.scale = dropout_scale<Value<T>>(s.dropout_probability);
    layer_dropout(stream, dropout);
  }

  // out = a + b for the rows of `range`; out may be either.
  void add(const StepRange& range, std::int64_t columns, const RowWindow<const T>& a, const RowWindow<const T>& b,
           const RowWindow<T>& out) const {
    const std::int64_t row = range.row0;
    sum_rows<T>(stream, {range.rows(), static_cast<std::int32_t>(columns), a.at(row), b.at(row), out.at(row), a.stride,
                         b.stride, out.stride});
  }
};

}  // namespace rnn_engine::cuda
