// A plan and its two calls.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <vector>

#include "bindings/context.h"

// The problem must not change and the context must live as long as the plan (keep_alive in bind_plan).
struct PlanHandle {
  const Api& api;
  rnn_engine_plan* raw = nullptr;
  const Problem& problem;
  uint64_t packed_bytes = 0;

  PlanHandle(const Context& context, const Problem& p);
  PlanHandle(const PlanHandle&) = delete;
  ~PlanHandle() { api.plan_destroy(raw); }

  rnn_engine_sizes sizes() const { return api.plan_sizes(raw); }
  rnn_engine_plan_facts facts() const { return api.plan_describe(raw); }
  std::vector<int> policies() const;
  nanobind::list buffers() const;
  std::vector<int> kinds() const;  // of all tiles
  nanobind::tuple tile(int64_t index) const;

  void forward(const std::vector<Lane>& weights, const std::optional<Values>& packed, const Input& x,
               const std::optional<Input>& h0, const std::optional<Input>& c0, const std::optional<Values>& y,
               const std::optional<Values>& cy, const Values& hn, const Values& cn, const Values& reserve,
               const Values& workspace, uintptr_t stream) const;
  void backward(const std::vector<Lane>& weights, const std::vector<Lane>& gradients, const Input& x,
                const std::optional<Input>& h0, const std::optional<Input>& c0, const Input& y,
                const std::optional<Input>& dy, const std::optional<Input>& dcy,
                const std::optional<Input>& dhn, const std::optional<Input>& dcn,
                const std::optional<Values>& dx, const std::optional<Values>& dh0,
                const std::optional<Values>& dc0, const Values& reserve, const Values& workspace,
                bool overwrite, uintptr_t stream) const;
};

void bind_plan(nanobind::module_& module);
