// Forward through a stack. For each layer and direction: one product W x for a chunk of steps, then the
// recurrence, a step at a time, in which each thread owns some of the hidden units: the product U h' of a
// tile of units is followed by the cell on the same tile, while it is in the nearest cache.
#include <cstring>

#include "stack/common.h"
#include "stack/gemm.h"
#include "stack/stack.h"

namespace rnn_engine {
namespace {

// One layer, one direction: pointers to what it reads and writes.
template <class T>
struct Lane {
  std::int64_t direction;
  Weights<T> weights;
  const T* input;  // [N, input_size]
  std::int64_t input_size;
  const T *h0, *c0;  // [B, H]
  T *a, *r, *c;      // training: [N, ...]; else rolling
  T* h;              // first unit of this direction in [N, D*H]
  T *hn, *cn;        // [B, H]
};

template <class T>
class Forward {
 public:
  Forward(Team& team, const Shape& shape, const Machine& machine, const Kernels<T>& kernels,
          const rnn_engine_forward_args& args, const ForwardScratch<T>& scratch)
      : team_(team), s_(shape), m_(machine), kernels_(kernels), args_(args), scratch_(scratch) {}

  void run() {
    if (team_.id() == 0) {
      fill_offsets(s_, scratch_.offsets);
      if (!args_.h0 || !args_.c0) std::memset(scratch_.zeros, 0, sizeof(T) * s_.B * s_.H);
    }
    team_.barrier();
    const T* input = static_cast<const T*>(args_.x);
    for (std::int64_t layer = 0; layer < s_.L; ++layer) {
      if (s_.dropout && layer > 0) {
        drop(team_, s_, kernels_, layer, scratch_.offsets, input, scratch_.dropped);
        input = scratch_.dropped;
        team_.barrier();
      }
      T* output = layer_output(layer);
      for (std::int64_t d = 0; d < s_.D; ++d) run_lane(make_lane(layer, d, input, output));
      input = output;
    }
  }

 private:
  T* layer_output(std::int64_t layer) const {
    if (layer == s_.L - 1) return static_cast<T*>(args_.y);
    return s_.training ? KeptLayer<T>::at(s_, layer, args_.kept).h : scratch_.output[layer % 2];
  }

  Lane<T> make_lane(std::int64_t layer, std::int64_t d, const T* input, T* output) const {
    const std::int64_t index = layer * s_.D + d, state = index * s_.B * s_.H;
    Lane<T> lane{d,
                 Weights<T>(args_.weights[index]),
                 input,
                 s_.input_size(layer),
                 nullptr,
                 nullptr,
                 nullptr,
                 nullptr,
                 nullptr,
                 output + d * s_.H,
                 static_cast<T*>(args_.hn) + state,
                 static_cast<T*>(args_.cn) + state};
    lane.h0 = args_.h0 ? static_cast<const T*>(args_.h0) + state : scratch_.zeros;
    lane.c0 = args_.c0 ? static_cast<const T*>(args_.c0) + state : scratch_.zeros;
    if (s_.training) {
      const KeptDirection<T> kept = KeptLayer<T>::at(s_, layer, args_.kept).direction[d];
      lane.a = kept.a;
      lane.r = kept.r;
      lane.c = kept.c;
    } else {
      lane.a = scratch_.a;
      lane.r = scratch_.r;
      lane.c = scratch_.c;
    }
    return lane;
  }

  void run_lane(const Lane<T>& lane) {
    pack_gates(team_, kernels_, lane.weights.weight_ih, s_.H, lane.input_size, scratch_.weight_ih);
    pack_gates(team_, kernels_, lane.weights.weight_hh, s_.H, s_.H, scratch_.weight_hh);
    if (team_.id() == 0 && s_.problem->bias) {
      for (std::int64_t j = 0; j < 4 * s_.H; ++j)
        scratch_.bias[j] =
            s_.cell.split ? lane.weights.bias_ih[j] : lane.weights.bias_ih[j] + lane.weights.bias_hh[j];
    }
    if (team_.id() == 0 && !s_.training) std::memcpy(lane.c, lane.c0, sizeof(T) * s_.B * s_.H);
    team_.barrier();

    const std::int64_t chunk = chunk_steps(s_);
    for (std::int64_t s0 = 0; s0 < s_.T; s0 += chunk) {
      const std::int64_t s1 = std::min(s_.T, s0 + chunk);
      // Steps s0..s1 in the order of computation are one piece of time in either direction.
      const std::int64_t t0 = lane.direction == 0 ? s0 : s_.T - s1, t1 = lane.direction == 0 ? s1 : s_.T - s0;
      const std::int64_t row0 = scratch_.offsets[t0], row1 = scratch_.offsets[t1];
      T* products = s_.training ? lane.a + row0 * 4 * s_.H : lane.a;
      input_products(lane, row0, row1, products);
      for (std::int64_t s = s0; s < s1; ++s) {
        const Step step = step_at(s_, lane.direction, s);
        run_step(lane, step, products + (scratch_.offsets[step.t] - row0) * 4 * s_.H);
        team_.barrier();
      }
    }
  }

  // products [rows, 4H] = bias + input W^T for rows [row0, row1). A thread that computes them for the units
  // that it owns in the recurrence finds them in its own cache there, and need not wait for the others. Where
  // the units do not divide evenly, rows do.
  void input_products(const Lane<T>& lane, std::int64_t row0, std::int64_t row1, T* products) {
    constexpr std::int64_t kRows =
        96;  // rows of the input that stay in the second cache while all panels pass
    const std::int64_t H = s_.H, width = m_.width, count = (H + width - 1) / width, k_all = lane.input_size;
    const std::int64_t most = (count + team_.size() - 1) / team_.size();
    const bool by_units = most * team_.size() * 20 <= count * 21;  // at most 5 % of waiting
    const Team::Range tiles = by_units ? team_.share(count) : Team::Range{0, count};
    const Team::Range share = by_units ? Team::Range{0, row1 - row0} : team_.share(row1 - row0, kRowBlock);
    for (std::int64_t row = share.begin; row < share.end; row += kRows) {
      for (std::int64_t k = 0; k < k_all; k += kDepth) {
        for (std::int64_t p = tiles.begin; p < tiles.end; ++p) {
          GemmTile<T> gemm{};
          gemm.a = lane.input + (row0 + row) * k_all + k;
          gemm.a_row = k_all;
          gemm.a_col = 1;
          gemm.panel = scratch_.weight_ih + (p * k_all + k) * kGates * width;
          gemm.rows = std::min(kRows, share.end - row);
          gemm.k = std::min(kDepth, k_all - k);
          gemm.vectors = kGates;
          gemm.c = products + row * 4 * H + p * width;
          gemm.c_row = 4 * H;
          gemm.init = k > 0 ? gemm.c : s_.problem->bias ? scratch_.bias + p * width : nullptr;
          gemm.init_row = k > 0 ? 4 * H : 0;
          gemm.vector_stride = H;
          gemm.gates = true;
          gemm.columns = std::min(width, H - p * width);
          kernels_.gemm(gemm);
        }
      }
    }
    if (!by_units) team_.barrier();
  }

  // a: [rows, 4H], the input products of this step.
  void run_step(const Lane<T>& lane, const Step& step, T* a) {
    const std::int64_t H = s_.H, width = m_.width, output_row = s_.D * H;
    const std::int64_t row = scratch_.offsets[step.t];
    const std::int64_t before = step.carried ? scratch_.offsets[step.before] : 0;
    T* r = !s_.cell.split ? nullptr : s_.training ? lane.r + row * 4 * H : lane.r;
    T* c = s_.training ? lane.c + row * H : lane.c;
    T* h = lane.h + row * output_row;
    const Team::Range tiles = team_.share((H + width - 1) / width);
    for (std::int64_t p = tiles.begin; p < tiles.end; ++p) {
      const std::int64_t unit = p * width;
      GemmTile<T> gemm{};
      gemm.a_col = 1;
      gemm.panel = scratch_.weight_hh + p * kGates * width * H;
      gemm.k = H;
      gemm.vectors = kGates;
      gemm.vector_stride = H;
      gemm.gates = true;
      gemm.columns = std::min(width, H - unit);
      gemm.c_row = 4 * H;
      gemm.init_row = s_.cell.split ? 0 : 4 * H;

      CellTile<T> cell{};
      cell.units = gemm.columns;
      cell.gate_stride = H;
      cell.a_row = cell.r_row = 4 * H;
      for (int e = 0; e < s_.cell.extra; ++e)
        cell.extra[e] = lane.weights.extra[e] ? lane.weights.extra[e] + unit : nullptr;
      cell.c_prev_row = cell.c_row = H;
      cell.h_row = output_row;

      // Rows that continue a sequence take its last state, the others the initial one.
      const auto part = [&](std::int64_t first, std::int64_t last, const T* h_prev, std::int64_t h_prev_row,
                            const T* c_prev) {
        if (first == last) return;
        gemm.rows = cell.rows = last - first;
        gemm.a = h_prev;
        gemm.a_row = h_prev_row;
        gemm.c = (s_.cell.split ? r : a) + first * 4 * H + unit;
        gemm.init = !s_.cell.split ? gemm.c : lane.weights.bias_hh ? lane.weights.bias_hh + unit : nullptr;
        kernels_.gemm(gemm);
        cell.a = a + first * 4 * H + unit;
        cell.r = r ? r + first * 4 * H + unit : nullptr;
        cell.c_prev = (s_.training ? c_prev : c + first * H) + unit;
        cell.c = c + first * H + unit;
        cell.h = h + first * output_row + unit;
        kernels_.cell_forward[s_.problem->cell](cell);
      };
      part(0, step.carried, lane.h + before * output_row, output_row, lane.c + before * H);
      part(step.carried, step.rows, lane.h0 + step.carried * H, H, lane.c0 + step.carried * H);

      for (std::int64_t b = step.continued; b < step.rows; ++b) {
        std::memcpy(lane.hn + b * H + unit, h + b * output_row + unit, sizeof(T) * cell.units);
        std::memcpy(lane.cn + b * H + unit, c + b * H + unit, sizeof(T) * cell.units);
      }
    }
  }

  Team& team_;
  const Shape& s_;
  const Machine& m_;
  const Kernels<T>& kernels_;
  const rnn_engine_forward_args& args_;
  const ForwardScratch<T>& scratch_;
};

}  // namespace

template <class T>
void run_forward(const Shape& shape, const Machine& machine, const Kernels<T>& kernels, Pool& pool,
                 const rnn_engine_forward_args& args) {
  Arena arena(args.scratch);
  const ForwardScratch<T> scratch(shape, machine, arena);
  pool.run([&](Team& team) { Forward<T>(team, shape, machine, kernels, args, scratch).run(); });
}

template void run_forward<float>(const Shape&, const Machine&, const Kernels<float>&, Pool&,
                                 const rnn_engine_forward_args&);
template void run_forward<double>(const Shape&, const Machine&, const Kernels<double>&, Pool&,
                                  const rnn_engine_forward_args&);

}  // namespace rnn_engine
