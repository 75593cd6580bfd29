// Backward through a stack, last layer first. For each direction: the recurrence in reverse, in which each
// thread owns some of the hidden units: dh of a step is dy + dr U of the step after it, followed by the cell
// on the same tile, which writes the gates' gradients over what forward kept; then the weights' gradients, as
// products over all steps at once. The input's gradient comes last, when both directions are through.
#include <cstring>

#include "stack/common.h"
#include "stack/gemm.h"
#include "stack/stack.h"

namespace rnn_engine {
namespace {

template <class T>
struct Lane {
  std::int64_t direction;
  Weights<T> weights, gradients;
  const T* input;  // [N, input_size]
  std::int64_t input_size;
  const T *h0, *c0;    // [B, H]
  T *da, *dr;          // [N, 4H] what forward kept in, gradients out; the same array unless the cell is split
  T* c;                // [N, H]
  const T* h;          // first unit of this direction in [N, D*H]
  const T* dy;         // the same of the output's gradient; nullptr: zeros
  const T *dhn, *dcn;  // [B, H] or nullptr
  T *dh0, *dc0;        // [B, H] or nullptr
};

template <class T>
class Backward {
 public:
  Backward(Team& team, const Shape& shape, const Machine& machine, const Kernels<T>& kernels,
           const rnn_engine_backward_args& args, const BackwardScratch<T>& scratch)
      : team_(team), s_(shape), m_(machine), kernels_(kernels), args_(args), scratch_(scratch) {}

  void run() {
    if (team_.id() == 0) {
      fill_offsets(s_, scratch_.offsets);
      if (!args_.h0 || !args_.c0) std::memset(scratch_.zeros, 0, sizeof(T) * s_.B * s_.H);
    }
    team_.barrier();
    const T* dy = static_cast<const T*>(args_.dy);
    for (std::int64_t layer = s_.L - 1; layer >= 0; --layer) {
      const T* input = layer_input(layer);
      for (std::int64_t d = 0; d < s_.D; ++d) run_lane(make_lane(layer, d, input, dy));
      T* dx = layer > 0 ? scratch_.doutput : static_cast<T*>(args_.dx);
      if (dx) input_gradient(layer, dx);
      dy = dx;
    }
  }

 private:
  const T* layer_input(std::int64_t layer) {
    if (layer == 0) return static_cast<const T*>(args_.x);
    const T* below = KeptLayer<T>::at(s_, layer - 1, args_.kept).h;
    if (!s_.dropout) return below;
    drop(team_, s_, kernels_, layer, scratch_.offsets, below, scratch_.dropped);
    team_.barrier();
    return scratch_.dropped;
  }

  Lane<T> make_lane(std::int64_t layer, std::int64_t d, const T* input, const T* dy) const {
    const std::int64_t index = layer * s_.D + d, state = index * s_.B * s_.H;
    const KeptLayer<T> kept = KeptLayer<T>::at(s_, layer, args_.kept);
    const auto in = [&](const void* p) { return p ? static_cast<const T*>(p) + state : nullptr; };
    const auto out = [&](void* p) { return p ? static_cast<T*>(p) + state : nullptr; };
    Lane<T> lane{d,
                 Weights<T>(args_.weights[index]),
                 Weights<T>(args_.gradients[index]),
                 input,
                 s_.input_size(layer),
                 in(args_.h0),
                 in(args_.c0),
                 kept.direction[d].a,
                 kept.direction[d].r,
                 kept.direction[d].c,
                 nullptr,
                 dy ? dy + d * s_.H : nullptr,
                 in(args_.dhn),
                 in(args_.dcn),
                 out(args_.dh0),
                 out(args_.dc0)};
    lane.h = (layer == s_.L - 1 ? static_cast<const T*>(args_.y) : kept.h) + d * s_.H;
    if (!lane.h0) lane.h0 = scratch_.zeros;
    if (!lane.c0) lane.c0 = scratch_.zeros;
    if (!s_.cell.split) lane.dr = lane.da;
    return lane;
  }

  void run_lane(const Lane<T>& lane) {
    const Team::Range units = team_.share(s_.H, m_.width);
    // Each thread packs the columns of weight_hh that only it will use.
    for_each_panel(m_.width, units, [&](std::int64_t first, std::int64_t columns) {
      pack_panel(
          m_.width, 4 * s_.H, first, columns,
          [&](std::int64_t k) { return lane.weights.weight_hh + k * s_.H; },
          scratch_.weight_hh + first * 4 * s_.H);
    });
    const std::int64_t count = units.end - units.begin;
    for (std::int64_t b = 0; b < s_.B && count > 0; ++b) {
      T* dc = scratch_.dc + b * s_.H + units.begin;
      if (lane.dcn)
        std::memcpy(dc, lane.dcn + b * s_.H + units.begin, sizeof(T) * count);
      else
        std::memset(dc, 0, sizeof(T) * count);
    }
    for (std::int64_t row = 0; row < s_.cell.sums * 4 && count > 0; ++row)
      std::memset(scratch_.sums + row * s_.H + units.begin, 0, sizeof(T) * count);
    if (team_.id() == 0) fill_order(lane.direction);

    for (std::int64_t s = s_.T - 1; s >= 0; --s) {
      run_step(lane, step_at(s_, lane.direction, s), units);
      team_.barrier();
    }
    weight_gradients(lane);
    vector_gradients(lane, units);
    team_.barrier();
  }

  void run_step(const Lane<T>& lane, const Step& step, Team::Range units) {
    const std::int64_t H = s_.H, output_row = s_.D * H, row = scratch_.offsets[step.t];
    const std::int64_t after = step.continued ? scratch_.offsets[step.after] : 0;
    const std::int64_t before = step.carried ? scratch_.offsets[step.before] : 0;
    const T* dy = lane.dy ? lane.dy + row * output_row : nullptr;
    for_each_panel(m_.width, units, [&](std::int64_t first, std::int64_t columns) {
      GemmTile<T> gemm = state_product(first, columns);
      gemm.a = lane.dr + after * 4 * H;
      gemm.rows = step.continued;
      gemm.init = dy ? dy + first : nullptr;
      gemm.init_row = output_row;
      gemm.c = scratch_.dh + first;
      if (gemm.rows > 0) kernels_.gemm(gemm);
      for (std::int64_t b = step.continued; b < step.rows; ++b)  // sequences that end here
        for (std::int64_t j = first; j < first + columns; ++j)
          scratch_.dh[b * H + j] =
              (dy ? dy[b * output_row + j] : T(0)) + (lane.dhn ? lane.dhn[b * H + j] : T(0));

      for (std::int64_t unit = first; unit < first + columns; unit += m_.width) {
        run_cell(lane, unit, std::min<std::int64_t>(m_.width, first + columns - unit), row, 0, step.carried,
                 lane.c + before * H);
        run_cell(lane, unit, std::min<std::int64_t>(m_.width, first + columns - unit), row, step.carried,
                 step.rows, lane.c0 + step.carried * H);
      }
    });
    if (step.carried < step.rows) initial_gradients(lane, step, units);
  }

  // dh' = dr U on these columns; rows, a, init and c are the caller's to set.
  GemmTile<T> state_product(std::int64_t first, std::int64_t columns) const {
    GemmTile<T> gemm{};
    gemm.a_row = 4 * s_.H;
    gemm.a_col = 1;
    gemm.panel = scratch_.weight_hh + first * 4 * s_.H;
    gemm.k = 4 * s_.H;
    gemm.vectors = static_cast<int>((columns + m_.width - 1) / m_.width);
    gemm.c_row = s_.H;
    gemm.vector_stride = m_.width;
    gemm.columns = columns;
    return gemm;
  }

  void run_cell(const Lane<T>& lane, std::int64_t unit, std::int64_t units, std::int64_t row,
                std::int64_t first, std::int64_t last, const T* c_prev) {
    if (first == last) return;
    const std::int64_t H = s_.H;
    CellTile<T> cell{};
    cell.rows = last - first;
    cell.units = units;
    cell.gate_stride = H;
    cell.a = lane.da + (row + first) * 4 * H + unit;
    cell.r = s_.cell.split ? lane.dr + (row + first) * 4 * H + unit : nullptr;
    cell.a_row = cell.r_row = 4 * H;
    for (int e = 0; e < s_.cell.extra; ++e)
      cell.extra[e] = lane.weights.extra[e] ? lane.weights.extra[e] + unit : nullptr;
    cell.c_prev = c_prev + unit;
    cell.c = lane.c + (row + first) * H + unit;
    cell.dh = scratch_.dh + first * H + unit;
    cell.dc = scratch_.dc + first * H + unit;
    cell.c_prev_row = cell.c_row = cell.dh_row = cell.dc_row = H;
    cell.sums = scratch_.sums + unit;
    kernels_.cell_backward[s_.problem->cell](cell);
  }

  // Rows [carried, rows) of this step began their sequences: what flows further back belongs to the initial
  // states.
  void initial_gradients(const Lane<T>& lane, const Step& step, Team::Range units) {
    if (lane.dc0)
      for (std::int64_t b = step.carried; b < step.rows; ++b)
        for (std::int64_t j = units.begin; j < units.end; ++j)
          lane.dc0[b * s_.H + j] = scratch_.dc[b * s_.H + j];
    if (!lane.dh0) return;
    team_.barrier();  // dr of all units
    for_each_panel(m_.width, units, [&](std::int64_t first, std::int64_t columns) {
      GemmTile<T> gemm = state_product(first, columns);
      gemm.a = lane.dr + (scratch_.offsets[step.t] + step.carried) * 4 * s_.H;
      gemm.rows = step.rows - step.carried;
      gemm.c = lane.dh0 + step.carried * s_.H + first;
      kernels_.gemm(gemm);
    });
  }

  // Sums over k in the order in which backward meets the rows.
  void fill_order(std::int64_t direction) {
    std::int64_t k = 0;
    for (std::int64_t s = s_.T - 1; s >= 0; --s) {
      const Step step = step_at(s_, direction, s);
      for (std::int64_t b = 0; b < step.rows; ++b, ++k) {
        scratch_.order[k] = scratch_.offsets[step.t] + b;
        scratch_.previous[k] = b < step.carried ? scratch_.offsets[step.before] + b : -1 - b;
      }
    }
  }

  void weight_gradients(const Lane<T>& lane) {
    T* pack_a = scratch_.pack_a + team_.id() * scratch_.pack_a_size;
    T* pack_b = scratch_.pack_b + team_.id() * scratch_.pack_b_size;
    const std::int64_t* order = scratch_.order;
    const std::int64_t* previous = scratch_.previous;
    const std::int64_t gates = 4 * s_.H, output_row = s_.D * s_.H;
    if (lane.gradients.weight_ih)
      accumulate_outer(
          team_, kernels_, gates, lane.input_size, s_.N,
          [&](std::int64_t k) { return lane.da + order[k] * gates; },
          [&](std::int64_t k) { return lane.input + order[k] * lane.input_size; }, lane.gradients.weight_ih,
          pack_a, pack_b);
    if (lane.gradients.weight_hh)
      accumulate_outer(
          team_, kernels_, gates, s_.H, s_.N, [&](std::int64_t k) { return lane.dr + order[k] * gates; },
          [&](std::int64_t k) {
            return previous[k] >= 0 ? lane.h + previous[k] * output_row : lane.h0 + (-1 - previous[k]) * s_.H;
          },
          lane.gradients.weight_hh, pack_a, pack_b);
  }

  void vector_gradients(const Lane<T>& lane, Team::Range units) {
    const std::int64_t gates = 4 * s_.H;
    const auto add = [](T* gradient, std::int64_t j, T value) {
      if (gradient) gradient[j] += value;
    };
    for (int gate = 0; gate < kGates; ++gate) {
      for (std::int64_t j = gate * s_.H + units.begin; j < gate * s_.H + units.end; ++j) {
        T sums[kMaxSums] = {}, extra[kMaxExtra] = {};
        for (int i = 0; i < s_.cell.sums; ++i) sums[i] = scratch_.sums[i * gates + j];
        for (int i = 0; i < s_.cell.extra; ++i)
          extra[i] = lane.weights.extra[i] ? lane.weights.extra[i][j] : T(0);
        VectorGradients<T> g{};
        for_each_cell([&]<class Cell>(int index) {
          if (index == s_.problem->cell) g = Cell::template finish<T>(sums, extra);
        });
        add(lane.gradients.bias_ih, j, g.bias_ih);
        add(lane.gradients.bias_hh, j, g.bias_hh);
        for (int i = 0; i < s_.cell.extra; ++i) add(lane.gradients.extra[i], j, g.extra[i]);
      }
    }
  }

  void input_gradient(std::int64_t layer, T* dx) {
    const std::int64_t gates = 4 * s_.H, width = m_.width, columns = s_.input_size(layer);
    for (std::int64_t d = 0; d < s_.D; ++d) {
      const Lane<T> lane = make_lane(layer, d, nullptr, nullptr);
      const std::int64_t panel_columns = kPanelVectors * width;
      const Team::Range panels = team_.share((columns + panel_columns - 1) / panel_columns);
      for (std::int64_t p = panels.begin; p < panels.end; ++p) {
        const std::int64_t first = p * panel_columns;
        pack_panel(
            m_.width, gates, first, std::min(panel_columns, columns - first),
            [&](std::int64_t k) { return lane.weights.weight_ih + k * columns; },
            scratch_.weight_ih + first * gates);
      }
      team_.barrier();
      multiply(team_, kernels_,
               Product<T>{s_.N, columns, gates, lane.da, gates, scratch_.weight_ih, d == 0 ? nullptr : dx,
                          columns, dx, columns});
      team_.barrier();
    }
    if (layer > 0 && s_.dropout) {
      drop(team_, s_, kernels_, layer, scratch_.offsets, dx, dx);
      team_.barrier();
    }
  }

  Team& team_;
  const Shape& s_;
  const Machine& m_;
  const Kernels<T>& kernels_;
  const rnn_engine_backward_args& args_;
  const BackwardScratch<T>& scratch_;
};

}  // namespace

template <class T>
void run_backward(const Shape& shape, const Machine& machine, const Kernels<T>& kernels, Pool& pool,
                  const rnn_engine_backward_args& args) {
  Arena arena(args.scratch);
  const BackwardScratch<T> scratch(shape, machine, arena);
  pool.run([&](Team& team) { Backward<T>(team, shape, machine, kernels, args, scratch).run(); });
}

template void run_backward<float>(const Shape&, const Machine&, const Kernels<float>&, Pool&,
                                  const rnn_engine_backward_args&);
template void run_backward<double>(const Shape&, const Machine&, const Kernels<double>&, Pool&,
                                   const rnn_engine_backward_args&);

}  // namespace rnn_engine
