// A plan, its two calls, and the packing of weights for it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bindings/context.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// The options of a stack and of a call to it, as rnn_engine_problem has them, with the arrays that it points to.
struct Options {
  rnn_engine_problem raw{};
  std::vector<int64_t> hidden_sizes, batch_sizes;
};

constexpr int kWeights = 5 + RNN_ENGINE_MAX_VECTOR_PARAMS;  // members of rnn_engine_weights

const char* name_of(int which) {
  constexpr const char* kNames[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "vector_params"};
  return kNames[std::min(which, 5)];
}

void*& member(rnn_engine_weights& weights, int which) {
  void** members[] = {&weights.weight_ih, &weights.weight_hh, &weights.bias_ih, &weights.bias_hh, &weights.weight_hr};
  return which < 5 ? *members[which] : weights.vector_params[which - 5];
}

bool is_matrix(int which) { return which < 2 || which == 4; }

// [L*D, B, width], or flat where the layers differ in width.
nb::tuple state_shape(const rnn_engine_problem& p, const std::vector<int64_t>& widths, int64_t values) {
  const bool equal = std::adjacent_find(widths.begin(), widths.end(), std::not_equal_to<>()) == widths.end();
  return equal ? nb::make_tuple(p.layers * p.directions, p.batch, widths.front()) : nb::make_tuple(values);
}

nb::tuple output_shape(const rnn_engine_problem& p, int64_t rows, int64_t values) {
  return p.batch_sizes ? nb::make_tuple(rows, values / rows) : nb::make_tuple(p.steps, p.batch, values / rows);
}

// A function of Python's that is called before every step; what it raises ends the call, and is raised by it.
class BeforeStep {
 public:
  explicit BeforeStep(const std::optional<nb::callable>& function) : function_(function) {}
  rnn_engine_before_step call() const { return function_ ? &ask : nullptr; }

  // That of the call, which must not be the thread's own: the function may make calls that take it.
  void* workspace_of(int device, const std::optional<Values>& given, uint64_t bytes) const {
    return function_ ? bytes_of(device, given, bytes, "workspace") : ::workspace_of(device, given, bytes);
  }

  // Runs the call that asks, without Python's lock.
  template <class Call>
  void during(const Functions& api, const Call& call) {
    try {
      released(api, call);
    } catch (...) {
      if (raised_) std::rethrow_exception(raised_);
      throw;
    }
  }

 private:
  static int ask(void* user, int64_t step) noexcept {
    auto* self = static_cast<BeforeStep*>(user);
    nb::gil_scoped_acquire acquire;
    try {
      (*self->function_)(step);
      return 0;
    } catch (...) {
      self->raised_ = std::current_exception();
      return 1;
    }
  }

  const std::optional<nb::callable>& function_;
  std::exception_ptr raised_;
};

class PlanHandle {
 public:
  // The context must live as long as the plan (keep_alive in bind_plan).
  PlanHandle(const Context& context, const Options& options)
      : api(context.api),
        dtype(type_of(options.raw.dtype).name),
        training(options.raw.training != 0),
        device_(context.device),
        stored_(type_of(options.raw.dtype)),
        value_(value_type_of(options.raw.dtype)),
        batch_(options.raw.batch) {
    const rnn_engine_problem& p = options.raw;
    if (p.batch_sizes && static_cast<int64_t>(options.batch_sizes.size()) != p.steps)
      throw nb::value_error(("batch_sizes: expected [T] = [" + std::to_string(p.steps) + "], got [" +
                             std::to_string(options.batch_sizes.size()) + "]")
                                .c_str());
    // Planning keeps Python's lock: it takes microseconds.
    check(api, api.plan_create(context.raw, &p, &raw));
    check(api, api.plan_sizes(raw, &sizes));
    check(api, api.plan_arrays(raw, &arrays_));
    if (p.output || training) y_shape = output_shape(p, arrays_.rows, arrays_.y);
    if (p.cell_output) cy_shape = output_shape(p, arrays_.rows, arrays_.cy);
    std::vector<int64_t> widths(options.hidden_sizes);
    c_shape = state_shape(p, widths, arrays_.c);
    if (p.projection) std::fill(widths.begin(), widths.end(), p.projection);
    h_shape = state_shape(p, widths, arrays_.h);
    pseudo_layers_ = static_cast<size_t>(p.layers * p.directions);
    for (size_t index = 0; index < pseudo_layers_; ++index)
      for (int which = 0; which < kWeights; ++which) {
        int64_t values = 0;
        check(api, api.plan_weight(raw, static_cast<int64_t>(index), which, &values));
        if (values) slots_.push_back({index, which, values});
      }
  }
  PlanHandle(const PlanHandle&) = delete;
  ~PlanHandle() { api.plan_destroy(raw); }

  const Functions& api;
  rnn_engine_plan* raw = nullptr;
  rnn_engine_sizes sizes;
  // Of the arrays that a call returns; y: [T, B, D*R], or [N, D*R] where lengths differ; states [L*D, B,
  // width], or flat where the layers differ in width.
  nb::object y_shape = nb::none(), cy_shape = nb::none(), h_shape,
             c_shape;  // None: not returned
  const std::string dtype;
  const bool training;

  rnn_engine_plan_facts facts() const {
    rnn_engine_plan_facts facts{};
    check(api, api.plan_describe(raw, &facts));
    return facts;
  }
  std::vector<int> policies() const {
    std::vector<int> out;
    const int64_t layers = facts().layers;
    for (int64_t layer = 0; layer < layers; ++layer) {
      int32_t policy = 0;
      check(api, api.plan_policy(raw, layer, &policy));
      out.push_back(policy);
    }
    return out;
  }
  nb::list buffers() const {
    size_t count = 0;
    check(api, api.plan_buffers(raw, nullptr, 0, &count));
    std::vector<rnn_engine_buffer> rows(count);
    check(api, api.plan_buffers(raw, rows.data(), count, &count));
    nb::list out;
    for (const rnn_engine_buffer& b : rows)
      out.append(nb::make_tuple(b.name, b.arena, b.layer, b.direction, b.offset, b.bytes, b.first_tile, b.last_tile));
    return out;
  }
  std::vector<int> kinds() const {
    std::vector<int> out(static_cast<size_t>(facts().tiles));
    for (size_t i = 0; i < out.size(); ++i) {
      rnn_engine_tile t{};
      check(api, api.plan_tile(raw, static_cast<int64_t>(i), &t, nullptr, 0, nullptr));
      out[i] = t.kind;
    }
    return out;
  }
  nb::tuple tile(int64_t index) const {
    rnn_engine_tile t{};
    size_t count = 0;
    check(api, api.plan_tile(raw, index, &t, nullptr, 0, &count));
    std::vector<int64_t> inputs(count);
    check(api, api.plan_tile(raw, index, &t, inputs.data(), count, &count));
    return nb::make_tuple(t.kind, t.layer, t.direction, t.begin, t.end, inputs);
  }

  void forward(const nb::list& weights, const std::optional<Values>& packed, const Input& x,
               const std::optional<Input>& h0, const std::optional<Input>& c0, const std::optional<Values>& y,
               const std::optional<Values>& cy, const Values& hn, const Values& cn,
               const std::optional<Values>& reserve, const std::optional<Values>& workspace, uint64_t seed,
               const std::optional<Input>& row_ids, uintptr_t stream,
               const std::optional<nb::callable>& before_step) const {
    const WeightArrays w = arrays_of(weights, false);
    BeforeStep before(before_step);
    rnn_engine_forward_args args{};
    args.weights = w.data();
    if (packed) args.packed = bytes_of(device_, packed, sizes.packed_bytes, "packed");
    args.x = data_of({device_, stored_, arrays_.x}, x, "x");
    args.h0 = data_of({device_, stored_, arrays_.h}, h0, "h0");
    args.c0 = data_of({device_, value_, arrays_.c}, c0, "c0");
    args.y = data_of({device_, stored_, arrays_.y}, y, "y");
    args.cy = data_of({device_, value_, arrays_.cy}, cy, "cy");
    args.hn = data_of({device_, stored_, arrays_.h}, hn, "hn");
    args.cn = data_of({device_, value_, arrays_.c}, cn, "cn");
    args.masks = masks_of(seed, row_ids);
    args.reserve = bytes_of(device_, reserve, sizes.reserve_bytes, "reserve");
    args.workspace = before.workspace_of(device_, workspace, sizes.forward_workspace_bytes);
    args.stream = stream_of(stream);
    args.before_step = before.call();
    args.before_step_user = &before;
    before.during(api, [&] { return api.forward(raw, &args); });
  }
  void backward(const nb::list& weights, const nb::list& gradients, const Input& x, const std::optional<Input>& h0,
                const std::optional<Input>& c0, const Input& y, const std::optional<Input>& dy,
                const std::optional<Input>& dcy, const std::optional<Input>& dhn, const std::optional<Input>& dcn,
                const std::optional<Values>& dx, const std::optional<Values>& dh0, const std::optional<Values>& dc0,
                const std::optional<Values>& reserve, const std::optional<Values>& workspace, bool overwrite,
                uint64_t seed, const std::optional<Input>& row_ids, uintptr_t stream,
                const std::optional<nb::callable>& before_step) const {
    BeforeStep before(before_step);
    const WeightArrays w = arrays_of(weights, false), g = arrays_of(gradients, true);
    rnn_engine_backward_args args{};
    args.weights = w.data();
    args.gradients = g.data();
    args.overwrite = overwrite;
    args.x = data_of({device_, stored_, arrays_.x}, x, "x");
    args.h0 = data_of({device_, stored_, arrays_.h}, h0, "h0");
    args.c0 = data_of({device_, value_, arrays_.c}, c0, "c0");
    args.y = data_of({device_, stored_, arrays_.y}, y, "y");
    args.dy = data_of({device_, stored_, arrays_.y}, dy, "dy");
    args.dcy = data_of({device_, value_, arrays_.cy}, dcy, "dcy");
    args.dhn = data_of({device_, stored_, arrays_.h}, dhn, "dhn");
    args.dcn = data_of({device_, value_, arrays_.c}, dcn, "dcn");
    args.dx = data_of({device_, stored_, arrays_.x}, dx, "dx");
    args.dh0 = data_of({device_, stored_, arrays_.h}, dh0, "dh0");
    args.dc0 = data_of({device_, value_, arrays_.c}, dc0, "dc0");
    args.masks = masks_of(seed, row_ids);
    args.reserve = bytes_of(device_, reserve, sizes.reserve_bytes, "reserve");
    args.workspace = before.workspace_of(device_, workspace, sizes.backward_workspace_bytes);
    args.stream = stream_of(stream);
    args.before_step = before.call();
    args.before_step_user = &before;
    before.during(api, [&] { return api.backward(raw, &args); });
  }
  void pack(const nb::list& weights, const Values& packed, uintptr_t stream) const {
    const WeightArrays w = arrays_of(weights, false);
    void* block = bytes_of(device_, packed, sizes.packed_bytes, "packed");
    released(api, [&] { return api.pack(raw, w.data(), block, stream_of(stream)); });
  }

 private:
  // A weight that the stack has: where rnn_engine_weights wants it, and its values.
  struct Slot {
    size_t index;
    int which;
    int64_t values;
  };
  using WeightArrays = std::vector<rnn_engine_weights>;

  // What a list of all weights, or of their gradients, points to; None: a gradient that is not wanted.
  WeightArrays arrays_of(const nb::list& list, bool gradients) const {
    const char* name = gradients ? "gradients" : "weights";
    if (list.size() != slots_.size())
      throw nb::value_error((std::string(name) + ": expected " + std::to_string(slots_.size()) +
                             " arrays, those of each layer and direction one after the other, got " +
                             std::to_string(list.size()))
                                .c_str());
    WeightArrays out(pseudo_layers_);
    for (size_t i = 0; i < slots_.size(); ++i) {
      const Slot& slot = slots_[i];
      if (gradients && list[i].is_none()) continue;
      const auto where = [&] { return std::string(name) + "[" + std::to_string(i) + "], " + name_of(slot.which); };
      Values values;
      if (!nb::try_cast(list[i], values))
        throw nb::value_error((where() + ": expected a contiguous array on the CPU or on a CUDA device").c_str());
      const Type& type = is_matrix(slot.which) && !gradients ? stored_ : value_;
      if (values.device != device_ || values.type != type.native || values.count != slot.values)
        data_of({device_, type, slot.values}, values, where());  // throws
      member(out[slot.index], slot.which) = values.data;
    }
    return out;
  }
  rnn_engine_masks masks_of(uint64_t seed, const std::optional<Input>& row_ids) const {
    return {seed, static_cast<const int64_t*>(data_of({kCpu, kInt64, batch_}, row_ids, "row_ids"))};
  }

  const int device_;
  const Type &stored_, &value_;
  rnn_engine_array_sizes arrays_;
  int64_t batch_;
  size_t pseudo_layers_;
  std::vector<Slot> slots_;
};

}  // namespace

void bind_plan(nb::module_& module) {
  nb::class_<PlanHandle>(module, "Plan")
      .def(
          "__init__",
          [](PlanHandle* self, const Context& context, int cell, int dtype, int64_t steps, int64_t batch,
             int64_t input_size, std::vector<int64_t> hidden_sizes, int64_t projection, int directions, bool bias,
             bool training, bool output, bool cell_output, bool input_gradient, bool prepacked,
             std::optional<std::vector<int64_t>> batch_sizes, double dropout, double recurrent_dropout,
             std::tuple<double, double> zoneout, bool zoneout_masks, int memory, uint64_t budget, int schedule,
             bool tf32, bool residual, bool dropout_per_sentence) {
            Options options{{}, std::move(hidden_sizes), batch_sizes.value_or(std::vector<int64_t>{})};
            options.raw = {.cell = cell,
                           .dtype = dtype,
                           .steps = steps,
                           .batch = batch,
                           .input_size = input_size,
                           .hidden_sizes = options.hidden_sizes.data(),
                           .layers = static_cast<int64_t>(options.hidden_sizes.size()),
                           .projection = projection,
                           .directions = directions,
                           .bias = bias,
                           .training = training,
                           .output = output,
                           .cell_output = cell_output,
                           .input_gradient = input_gradient,
                           .prepacked = prepacked,
                           .batch_sizes = batch_sizes ? options.batch_sizes.data() : nullptr,
                           .dropout = dropout,
                           .recurrent_dropout = recurrent_dropout,
                           .zoneout = {std::get<0>(zoneout), std::get<1>(zoneout)},
                           .zoneout_masks = zoneout_masks,
                           .memory = memory,
                           .budget = budget,
                           .schedule = schedule,
                           .tf32 = tf32,
                           .residual = residual,
                           .dropout_per_sentence = dropout_per_sentence};
            new (self) PlanHandle(context, options);
          },
          "context"_a, nb::kw_only(), "cell"_a, "dtype"_a, "steps"_a, "batch"_a, "input_size"_a, "hidden_sizes"_a,
          "projection"_a, "directions"_a, "bias"_a, "training"_a, "output"_a, "cell_output"_a, "input_gradient"_a,
          "prepacked"_a, "batch_sizes"_a.none(), "dropout"_a, "recurrent_dropout"_a, "zoneout"_a, "zoneout_masks"_a,
          "memory"_a, "budget"_a, "schedule"_a, "tf32"_a, "residual"_a, "dropout_per_sentence"_a,
          nb::keep_alive<1, 2>())
      .def_ro("dtype", &PlanHandle::dtype)
      .def_ro("training", &PlanHandle::training)
      .def_ro("y_shape", &PlanHandle::y_shape)
      .def_ro("cy_shape", &PlanHandle::cy_shape)
      .def_ro("h_shape", &PlanHandle::h_shape)
      .def_ro("c_shape", &PlanHandle::c_shape)
      .def_prop_ro("reserve_bytes", [](const PlanHandle& p) { return p.sizes.reserve_bytes; })
      .def_prop_ro("workspace_bytes", [](const PlanHandle& p) { return p.sizes.workspace_bytes; })
      .def_prop_ro("forward_workspace_bytes", [](const PlanHandle& p) { return p.sizes.forward_workspace_bytes; })
      .def_prop_ro("backward_workspace_bytes", [](const PlanHandle& p) { return p.sizes.backward_workspace_bytes; })
      .def_prop_ro("packed_bytes", [](const PlanHandle& p) { return p.sizes.packed_bytes; })
      .def_prop_ro("steps", [](const PlanHandle& p) { return p.facts().steps; })
      .def_prop_ro("seconds", [](const PlanHandle& p) { return p.facts().seconds; })
      .def_prop_ro("groups", [](const PlanHandle& p) { return p.facts().groups; })
      .def_prop_ro("tile_count", [](const PlanHandle& p) { return p.facts().tiles; })
      .def("policies", &PlanHandle::policies)
      .def("buffers", &PlanHandle::buffers)
      .def("kinds", &PlanHandle::kinds)
      .def("tile", &PlanHandle::tile, "index"_a)
      .def("forward", &PlanHandle::forward, "weights"_a, "packed"_a.none(), "x"_a, "h0"_a.none(), "c0"_a.none(),
           "y"_a.none(), "cy"_a.none(), "hn"_a, "cn"_a, "reserve"_a.none(), "workspace"_a.none(), "seed"_a = 0,
           "row_ids"_a.none() = nb::none(), "stream"_a = 0, "before_step"_a.none() = nb::none())
      .def("backward", &PlanHandle::backward, "weights"_a, "gradients"_a, "x"_a, "h0"_a.none(), "c0"_a.none(), "y"_a,
           "dy"_a.none(), "dcy"_a.none(), "dhn"_a.none(), "dcn"_a.none(), "dx"_a.none(), "dh0"_a.none(), "dc0"_a.none(),
           "reserve"_a.none(), "workspace"_a.none(), "overwrite"_a = false, "seed"_a = 0,
           "row_ids"_a.none() = nb::none(), "stream"_a = 0, "before_step"_a.none() = nb::none())
      .def("pack", &PlanHandle::pack, "weights"_a, "packed"_a, "stream"_a = 0);
}
