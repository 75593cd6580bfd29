// A backward tile: one layer and direction over a piece of K steps. The gates are recomputed if they were not
// kept; then comes the recurrence in reverse, in which each thread owns some of the hidden units: dh of a
// step is dy + d_uh U of the step after it, followed by the cell on the same tile of units, which writes the
// gates' gradients over what forward kept. The weights' and the input's gradients are products over all steps
// of the piece: tiles of their own where the gates' gradients stay, else part of this one.
#pragma once

#include "cpu/run/backward_steps.h"
#include "cpu/run/gradients.h"
#include "cpu/run/recomputed_gates.h"

namespace rnn_engine {

template <class T>
class BackwardTile {
 public:
  // `overwrite`: what stands in the weights' gradients does not matter.
  BackwardTile(const Runner<T>& run, const GroupBackward<T>& workspace, bool overwrite)
      : run_(run), workspace_(workspace), overwrite_(overwrite) {}

  // Before a pseudo-layer's first tile. A barrier must follow.
  void begin(const BackwardPseudoLayer<T>& pseudo) const {
    const Shape& s = run_.shape();
    const LayerShape& size = pseudo.size;
    const int width = run_.width();
    // Each thread packs the columns that only it will use.
    const auto pack = [&](Team::Range columns, std::int64_t k, const T* rows, std::int64_t row, T* packed) {
      for_each_panel(width, columns, [&](std::int64_t first, std::int64_t count) {
        pack_panel(
            run_.kernels, k, first, count, [&](std::int64_t i) { return rows + i * row; },
            packed + first * packed_depth<T>(k));
      });
    };
    pack(run_.columns(size.R), size.Z, pseudo.weights.weight_hh, size.R, pseudo.own.weight_hh);
    if (s.projected) pack(run_.columns(size.H), size.R, pseudo.weights.weight_hr, size.H, pseudo.own.weight_hr);
    if (s.recurrent_dropout > 0)
      recurrent_factors(run_, pseudo.layer, pseudo.direction, run_.team.share(s.B), pseudo.own.factors);
    if (run_.team.id() == 0 && pseudo.own.bias) sum_biases(s, size, pseudo.weights, pseudo.own.bias);
    const Team::Range units = run_.columns(size.H);
    const std::int64_t count = units.end - units.begin;
    if (count <= 0) return;
    const std::size_t bytes = sizeof(Value<T>) * static_cast<std::size_t>(count);
    for (std::int64_t b = 0; b < s.B; ++b) {
      Value<T>* dc = pseudo.own.dc + b * size.H + units.begin;
      if (pseudo.dcn)
        std::memcpy(dc, pseudo.dcn + b * size.H + units.begin, bytes);
      else
        std::memset(dc, 0, bytes);
    }
    const std::int64_t groups = (s.B + row_block(s) - 1) / row_block(s);
    for (std::int64_t row = 0; row < groups * s.cell.sums_width(); ++row)
      std::memset(pseudo.own.sums + row * size.H + units.begin, 0, bytes);
  }

  // `rebuild`: wx, uh and c of the piece are to be recomputed from the input and h. Ends with a barrier.
  void run(const BackwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1, bool rebuild) const {
    const Shape& s = run_.shape();
    const Gradients<T> gradients = gradients_of(pseudo);
    const BackwardSteps<T> steps(run_, workspace_, pseudo);
    RowWindow<const T> input = pseudo.input;
    if (!pseudo.stored) input = gradients.begin(s0, s1);
    if (rebuild) RecomputedGates<T>(run_, workspace_, pseudo).make(input, s0, s1);
    for (std::int64_t step = s1 - 1; step >= s0; --step) {
      steps.run(step_at(s, pseudo.direction, step), step, s0, s1);
      run_.team.barrier();
    }
    if (s.projected) gradients.of_projection(s0, s1);
    if (!pseudo.stored) {
      gradients.of_weights(input, s0, s1);
      if (pseudo.dx) gradients.of_input(s0, s1);
      copy_boundary(pseudo, step_at(s, pseudo.direction, s0));
    }
    if (s0 == 0) gradients.of_vectors();
    run_.team.barrier();
  }

  // One step of a piece, where all layers take one before any takes the next; the products follow. Ends with a barrier.
  void run_step(const BackwardPseudoLayer<T>& pseudo, std::int64_t step, std::int64_t s0, std::int64_t s1) const {
    const Step at = step_at(run_.shape(), pseudo.direction, step);
    BackwardSteps<T>(run_, workspace_, pseudo).run(at, step, s0, s1);
    run_.team.barrier();
    if (!pseudo.stored && step == s0) copy_boundary(pseudo, at);
    if (step == 0) gradients_of(pseudo).of_vectors();
    if (step == s0) run_.team.barrier();
  }

  // Of kept gates, whose gradients now stand in their place. Ends with a barrier.
  void run_weight_gradients(const BackwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1) const {
    const Gradients<T> gradients = gradients_of(pseudo);
    gradients.of_weights(gradients.begin(s0, s1), s0, s1);
    run_.team.barrier();
  }

  // The same for the input's gradient.
  void run_input_gradient(const BackwardPseudoLayer<T>& pseudo, std::int64_t s0, std::int64_t s1) const {
    gradients_of(pseudo).of_input(s0, s1);
    run_.team.barrier();
  }

 private:
  Gradients<T> gradients_of(const BackwardPseudoLayer<T>& pseudo) const {
    return {run_, workspace_, pseudo, overwrite_};
  }

  // The step before the piece will need this d_uh when the piece's buffers hold another.
  void copy_boundary(const BackwardPseudoLayer<T>& pseudo, const Step& step) const {
    const std::int64_t G = pseudo.size.G, row = run_.shape().offset(step.t);
    const Team::Range rows = run_.team.share(step.rows);
    if (rows.begin < rows.end)
      std::memcpy(pseudo.own.boundary + rows.begin * G, pseudo.d_uh().at(row + rows.begin),
                  sizeof(T) * static_cast<std::size_t>((rows.end - rows.begin) * G));
  }

  const Runner<T>& run_;
  const GroupBackward<T>& workspace_;
  const bool overwrite_;
};

}  // namespace rnn_engine
