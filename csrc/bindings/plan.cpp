#include "bindings/plan.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;

PlanHandle::PlanHandle(const Context& context, const Problem& p) : api(context.api), problem(p) {
  // With Python's lock: a process that forks does so with the lock too, and never amid a context's own.
  api.check(api.plan_create(context.raw, &p.raw, &raw));
  if (p.raw.prepacked) packed_bytes = context.packed_bytes(p);
}

std::vector<int> PlanHandle::policies() const {
  std::vector<int> out;
  for (int64_t layer = 0; layer < problem.raw.layers; ++layer) out.push_back(api.plan_policy(raw, layer));
  return out;
}

nb::list PlanHandle::buffers() const {
  size_t count = 0;
  api.check(api.plan_buffers(raw, nullptr, 0, &count));
  std::vector<rnn_engine_buffer> rows(count);
  api.check(api.plan_buffers(raw, rows.data(), count, &count));
  nb::list out;
  for (const rnn_engine_buffer& b : rows)
    out.append(
        nb::make_tuple(b.name, b.arena, b.layer, b.direction, b.offset, b.bytes, b.first_tile, b.last_tile));
  return out;
}

std::vector<int> PlanHandle::kinds() const {
  std::vector<int> out(static_cast<size_t>(facts().tiles));
  for (size_t i = 0; i < out.size(); ++i) {
    rnn_engine_tile t{};
    api.check(api.plan_tile(raw, static_cast<int64_t>(i), &t, nullptr, 0, nullptr));
    out[i] = t.kind;
  }
  return out;
}

nb::tuple PlanHandle::tile(int64_t index) const {
  rnn_engine_tile t{};
  size_t count = 0;
  api.check(api.plan_tile(raw, index, &t, nullptr, 0, &count));
  std::vector<int64_t> inputs(count);
  api.check(api.plan_tile(raw, index, &t, inputs.data(), count, &count));
  return nb::make_tuple(t.kind, t.layer, t.direction, t.begin, t.end, inputs);
}

void PlanHandle::forward(const std::vector<Lane>& weights, const std::optional<Values>& packed,
                         const Input& x, const std::optional<Input>& h0, const std::optional<Input>& c0,
                         const std::optional<Values>& y, const std::optional<Values>& cy, const Values& hn,
                         const Values& cn, const Values& reserve, const Values& workspace,
                         uintptr_t stream) const {
  const rnn_engine_sizes s = sizes();
  const std::vector<rnn_engine_weights> w = weights_of(api, problem, weights, problem.stored(), "weights");
  rnn_engine_forward_args args{};
  args.weights = w.data();
  args.packed = packed ? bytes_of(*packed, packed_bytes, "packed") : nullptr;
  args.x = data_of(problem.stored(), x, problem.rows * problem.raw.input_size, "x");
  args.h0 = data_of(problem.stored(), h0, problem.h_values, "h0");
  args.c0 = data_of(problem.value(), c0, problem.c_values, "c0");
  args.y = data_of(problem.stored(), y, problem.rows * problem.output_width, "y");
  args.cy = data_of(problem.value(), cy, problem.rows * problem.cell_width, "cy");
  args.hn = data_of(problem.stored(), hn, problem.h_values, "hn");
  args.cn = data_of(problem.value(), cn, problem.c_values, "cn");
  args.reserve = bytes_of(reserve, s.reserve_bytes, "reserve");
  args.workspace = bytes_of(workspace, s.forward_workspace_bytes, "workspace");
  args.stream = stream_of(stream);
  released(api, [&] { return api.forward(raw, &args); });
}

void PlanHandle::backward(const std::vector<Lane>& weights, const std::vector<Lane>& gradients,
                          const Input& x, const std::optional<Input>& h0, const std::optional<Input>& c0,
                          const Input& y, const std::optional<Input>& dy, const std::optional<Input>& dcy,
                          const std::optional<Input>& dhn, const std::optional<Input>& dcn,
                          const std::optional<Values>& dx, const std::optional<Values>& dh0,
                          const std::optional<Values>& dc0, const Values& reserve, const Values& workspace,
                          bool overwrite, uintptr_t stream) const {
  const rnn_engine_sizes s = sizes();
  const std::vector<rnn_engine_weights> w = weights_of(api, problem, weights, problem.stored(), "weights");
  const std::vector<rnn_engine_weights> g = weights_of(api, problem, gradients, problem.value(), "gradients");
  rnn_engine_backward_args args{};
  args.weights = w.data();
  args.gradients = g.data();
  args.overwrite = overwrite;
  args.x = data_of(problem.stored(), x, problem.rows * problem.raw.input_size, "x");
  args.h0 = data_of(problem.stored(), h0, problem.h_values, "h0");
  args.c0 = data_of(problem.value(), c0, problem.c_values, "c0");
  args.y = data_of(problem.stored(), y, problem.rows * problem.output_width, "y");
  args.dy = data_of(problem.stored(), dy, problem.rows * problem.output_width, "dy");
  args.dcy = data_of(problem.value(), dcy, problem.rows * problem.cell_width, "dcy");
  args.dhn = data_of(problem.stored(), dhn, problem.h_values, "dhn");
  args.dcn = data_of(problem.value(), dcn, problem.c_values, "dcn");
  args.dx = data_of(problem.stored(), dx, problem.rows * problem.raw.input_size, "dx");
  args.dh0 = data_of(problem.stored(), dh0, problem.h_values, "dh0");
  args.dc0 = data_of(problem.value(), dc0, problem.c_values, "dc0");
  args.reserve = bytes_of(reserve, s.reserve_bytes, "reserve");
  args.workspace = bytes_of(workspace, s.backward_workspace_bytes, "workspace");
  args.stream = stream_of(stream);
  released(api, [&] { return api.backward(raw, &args); });
}

void bind_plan(nb::module_& module) {
  nb::class_<PlanHandle>(module, "Plan")
      .def(nb::init<const Context&, const Problem&>(), "context"_a, "problem"_a, nb::keep_alive<1, 2>(),
           nb::keep_alive<1, 3>())
      .def_prop_ro("reserve_bytes", [](const PlanHandle& p) { return p.sizes().reserve_bytes; })
      .def_prop_ro("workspace_bytes", [](const PlanHandle& p) { return p.sizes().workspace_bytes; })
      .def_prop_ro("forward_workspace_bytes",
                   [](const PlanHandle& p) { return p.sizes().forward_workspace_bytes; })
      .def_prop_ro("backward_workspace_bytes",
                   [](const PlanHandle& p) { return p.sizes().backward_workspace_bytes; })
      .def_prop_ro("steps", [](const PlanHandle& p) { return p.facts().steps; })
      .def_prop_ro("seconds", [](const PlanHandle& p) { return p.facts().seconds; })
      .def_prop_ro("groups", [](const PlanHandle& p) { return p.facts().groups; })
      .def_prop_ro("tile_count", [](const PlanHandle& p) { return p.facts().tiles; })
      .def("policies", &PlanHandle::policies)
      .def("buffers", &PlanHandle::buffers)
      .def("kinds", &PlanHandle::kinds)
      .def("tile", &PlanHandle::tile, "index"_a)
      .def("forward", &PlanHandle::forward, "weights"_a, "packed"_a.none(), "x"_a, "h0"_a.none(),
           "c0"_a.none(), "y"_a.none(), "cy"_a.none(), "hn"_a, "cn"_a, "reserve"_a, "workspace"_a,
           "stream"_a = 0)
      .def("backward", &PlanHandle::backward, "weights"_a, "gradients"_a, "x"_a, "h0"_a.none(), "c0"_a.none(),
           "y"_a, "dy"_a.none(), "dcy"_a.none(), "dhn"_a.none(), "dcn"_a.none(), "dx"_a.none(),
           "dh0"_a.none(), "dc0"_a.none(), "reserve"_a, "workspace"_a, "overwrite"_a = false, "stream"_a = 0);
}
