// A plan, its two calls, and the packing of weights for it.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <string>
#include <vector>

#include "bindings/context.h"

// The options of a stack and of a call to it, as rnn_engine_problem has them, with the arrays that it points
// to.
struct Options {
  rnn_engine_problem raw{};
  std::vector<int64_t> hidden_sizes, batch_sizes;
};

class PlanHandle {
 public:
  // The context must live as long as the plan (keep_alive in bind_plan).
  PlanHandle(const Context& context, const Options& options);
  PlanHandle(const PlanHandle&) = delete;
  ~PlanHandle() { api.plan_destroy(raw); }

  const Functions& api;
  rnn_engine_plan* raw = nullptr;
  rnn_engine_sizes sizes;
  // Of the arrays that a call returns; y: [T, B, D*R], or [N, D*R] where lengths differ; states [L*D, B,
  // width], or flat where the layers differ in width.
  nanobind::object y_shape = nanobind::none(), cy_shape = nanobind::none(), h_shape,
                   c_shape;  // None: not returned
  const std::string dtype;
  const bool training;

  rnn_engine_plan_facts facts() const { return api.plan_describe(raw); }
  std::vector<int> policies() const;
  nanobind::list buffers() const;
  std::vector<int> kinds() const;  // of all tiles
  nanobind::tuple tile(int64_t index) const;

  void forward(const nanobind::list& weights, const std::optional<Values>& packed, const Input& x,
               const std::optional<Input>& h0, const std::optional<Input>& c0, const std::optional<Values>& y,
               const std::optional<Values>& cy, const Values& hn, const Values& cn,
               const std::optional<Values>& reserve, const std::optional<Values>& workspace, uint64_t seed,
               const std::optional<Input>& row_ids, uintptr_t stream) const;
  void backward(const nanobind::list& weights, const nanobind::list& gradients, const Input& x,
                const std::optional<Input>& h0, const std::optional<Input>& c0, const Input& y,
                const std::optional<Input>& dy, const std::optional<Input>& dcy, const std::optional<Input>& dhn,
                const std::optional<Input>& dcn, const std::optional<Values>& dx, const std::optional<Values>& dh0,
                const std::optional<Values>& dc0, const std::optional<Values>& reserve,
                const std::optional<Values>& workspace, bool overwrite, uint64_t seed,
                const std::optional<Input>& row_ids, uintptr_t stream) const;
  void pack(const nanobind::list& weights, const Values& packed, uintptr_t stream) const;

 private:
  // A weight that the stack has: where rnn_engine_weights wants it, and its values.
  struct Slot {
    size_t index;
    int which;
    int64_t values;
  };
  using WeightArrays = std::vector<rnn_engine_weights>;

  // What a list of all weights, or of their gradients, points to; None: a gradient that is not wanted.
  WeightArrays arrays_of(const nanobind::list& list, bool gradients) const;
  rnn_engine_masks masks_of(uint64_t seed, const std::optional<Input>& row_ids) const;

  const int device_;
  const Type &stored_, &value_;
  rnn_engine_array_sizes arrays_;
  int64_t batch_;
  size_t pseudo_layers_;
  std::vector<Slot> slots_;
};

void bind_plan(nanobind::module_& module);
