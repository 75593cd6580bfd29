// The only file that knows Python: unpack, check, release the GIL, call the C API.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings_loss.h"
#include "rnn_engine.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Array = nb::ndarray<nb::c_contig, nb::device::cpu>;
using Input = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;  // may be read-only, as mapped files are
using Lane = std::vector<std::optional<Array>>;  // weight_ih, weight_hh, bias_ih, bias_hh, extra...

struct EngineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(int code) {
  if (code == RNN_ENGINE_OK) return;
  const std::string message = rnn_engine_last_error();
  if (code == RNN_ENGINE_INVALID) throw nb::value_error(message.c_str());
  throw EngineError(message);
}

struct Problem {
  rnn_engine_problem raw{};
  std::vector<int64_t> hidden_sizes, batch_sizes, row_ids;
  int64_t rows = 0, h_values = 0, c_values = 0, output_width = 0, cell_width = 0;

  Problem(int cell, int dtype, int64_t steps, int64_t batch, int64_t input_size, std::vector<int64_t> hidden,
          int64_t projection, int directions, bool bias, bool training, bool output, bool cell_output,
          bool input_gradient, bool prepacked, double dropout, double recurrent_dropout,
          std::tuple<double, double> zoneout, bool zoneout_masks, uint64_t seed,
          std::optional<std::vector<int64_t>> sizes, std::optional<std::vector<int64_t>> ids, int memory,
          uint64_t budget, int schedule)
      : hidden_sizes(std::move(hidden)),
        batch_sizes(sizes.value_or(std::vector<int64_t>{})),
        row_ids(ids.value_or(std::vector<int64_t>{})) {
    if (sizes && static_cast<int64_t>(batch_sizes.size()) != steps)
      throw nb::value_error(("batch_sizes: expected [T] = [" + std::to_string(steps) + "], got [" +
                             std::to_string(batch_sizes.size()) + "]")
                                .c_str());
    if (ids && static_cast<int64_t>(row_ids.size()) != batch)
      throw nb::value_error(("row_ids: expected [B] = [" + std::to_string(batch) + "], got [" +
                             std::to_string(row_ids.size()) + "]")
                                .c_str());
    raw = {.cell = cell,
           .dtype = dtype,
           .steps = steps,
           .batch = batch,
           .input_size = input_size,
           .hidden_sizes = hidden_sizes.data(),
           .layers = static_cast<int64_t>(hidden_sizes.size()),
           .projection = projection,
           .directions = directions,
           .bias = bias,
           .training = training,
           .output = output,
           .cell_output = cell_output,
           .input_gradient = input_gradient,
           .prepacked = prepacked,
           .batch_sizes = sizes ? batch_sizes.data() : nullptr,
           .dropout = dropout,
           .recurrent_dropout = recurrent_dropout,
           .zoneout = {std::get<0>(zoneout), std::get<1>(zoneout)},
           .zoneout_masks = zoneout_masks,
           .seed = seed,
           .row_ids = ids ? row_ids.data() : nullptr,
           .memory = memory,
           .budget = budget,
           .schedule = schedule};
    rows = steps * batch;
    if (sizes) {
      rows = 0;
      for (int64_t size : batch_sizes) rows += size;
    }
    for (int64_t size : hidden_sizes) {
      h_values += directions * batch * (projection ? projection : size);
      c_values += directions * batch * size;
      output_width = directions * (projection ? projection : size);
      cell_width = directions * size;
    }
  }
  Problem(const Problem&) = delete;
};

// A type of values, by its name in rnn_engine.spec and NumPy's or torch's.
struct Type {
  const char* name;
  nb::dlpack::dtype native;
};

constexpr auto kFloat = static_cast<uint8_t>(nb::dlpack::dtype_code::Float);
constexpr auto kBfloat = static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat);
constexpr Type kTypes[] = {
    {"float32", {kFloat, 32, 1}}, {"float64", {kFloat, 64, 1}}, {"bfloat16", {kBfloat, 16, 1}}};

// What is stored, and what is computed with: sums, vectors, cell states.
const Type& stored(const Problem& problem) { return kTypes[problem.raw.dtype]; }
const Type& value(const Problem& problem) {
  return kTypes[problem.raw.dtype == RNN_ENGINE_BFLOAT16 ? RNN_ENGINE_FLOAT32 : problem.raw.dtype];
}

// The array's memory, after its type and number of values were found right.
template <class AnyArray>
auto data_of(const Type& type, const AnyArray& array, int64_t count, const std::string& name) {
  if (array.dtype() != type.native)
    throw nb::type_error((name + ": expected " + type.name + ", got another type").c_str());
  if (static_cast<int64_t>(array.size()) != count)
    throw nb::value_error(
        (name + ": expected " + std::to_string(count) + " values, got " + std::to_string(array.size()))
            .c_str());
  return array.data();
}

template <class AnyArray>
auto data_of(const Type& type, const std::optional<AnyArray>& array, int64_t count, const std::string& name) {
  return array ? data_of(type, *array, count, name) : nullptr;
}

void* bytes_of(const Array& array, uint64_t bytes, const char* name) {
  if (array.nbytes() < bytes)
    throw nb::value_error((std::string(name) + ": expected at least " + std::to_string(bytes) +
                           " bytes, got " + std::to_string(array.nbytes()))
                              .c_str());
  return bytes ? array.data() : nullptr;
}

std::vector<rnn_engine_weights> weights_of(const Problem& problem, const std::vector<Lane>& lanes,
                                           const Type& matrix, const char* name) {
  const rnn_engine_problem& p = problem.raw;
  const int64_t count = p.layers * p.directions;
  if (count < 1 || static_cast<int64_t>(lanes.size()) != count)
    throw nb::value_error((std::string(name) + ": expected one entry for each layer and direction = " +
                           std::to_string(count) + ", got " + std::to_string(lanes.size()))
                              .c_str());
  std::vector<rnn_engine_weights> out(count);
  for (int64_t i = 0; i < count; ++i) {
    const Lane& lane = lanes[i];
    const std::string where = std::string(name) + "[" + std::to_string(i) + "]";
    if (lane.size() < 5 || lane.size() > 5 + RNN_ENGINE_MAX_EXTRA)
      throw nb::value_error((where + ": expected 5 to " + std::to_string(5 + RNN_ENGINE_MAX_EXTRA) +
                             " arrays, got " + std::to_string(lane.size()))
                                .c_str());
    const int64_t layer = i / p.directions, hidden = p.hidden_sizes[layer],
                  gates = rnn_engine_gates(p.cell) * hidden;
    const int64_t state = p.projection ? p.projection : hidden;
    const int64_t below = layer == 0 || p.projection ? p.projection : p.hidden_sizes[layer - 1];
    const int64_t input = layer == 0 ? p.input_size : p.directions * below;
    out[i].weight_ih = data_of(matrix, lane[0], gates * input, where + ".weight_ih");
    out[i].weight_hh = data_of(matrix, lane[1], gates * state, where + ".weight_hh");
    out[i].bias_ih = data_of(value(problem), lane[2], gates, where + ".bias_ih");
    out[i].bias_hh = data_of(value(problem), lane[3], gates, where + ".bias_hh");
    out[i].weight_hr = data_of(matrix, lane[4], p.projection * hidden, where + ".weight_hr");
    for (int e = 0; e + 5 < static_cast<int>(lane.size()); ++e)
      out[i].extra[e] = data_of(value(problem), lane[e + 5], rnn_engine_vector_width(p.cell, e) * hidden,
                                where + ".extra[" + std::to_string(e) + "]");
  }
  return out;
}

struct Context {
  rnn_engine_context* raw = nullptr;
  int threads;

  Context(int count, std::optional<std::string> isa) : threads(count) {
    check(rnn_engine_context_create(count, isa ? isa->c_str() : nullptr, &raw));
  }
  Context(const Context&) = delete;
  ~Context() { rnn_engine_context_destroy(raw); }

  uint64_t packed_bytes(const Problem& problem) const {
    uint64_t bytes = 0;
    check(rnn_engine_packed_bytes(raw, &problem.raw, &bytes));
    return bytes;
  }

  void pack(const Problem& problem, const std::vector<Lane>& weights, const Array& packed) const {
    const std::vector<rnn_engine_weights> w = weights_of(problem, weights, stored(problem), "weights");
    void* block = bytes_of(packed, packed_bytes(problem), "packed");
    nb::gil_scoped_release release;
    const int code = rnn_engine_pack(raw, &problem.raw, w.data(), block);
    nb::gil_scoped_acquire acquire;
    check(code);
  }

  void calibrate(int dtype) const {
    nb::gil_scoped_release release;
    const int code = rnn_engine_calibrate(raw, dtype);
    nb::gil_scoped_acquire acquire;
    check(code);
  }

  void gemm(const nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>& a,
            const nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>& b,
            const nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>& c, const Array& scratch) {
    if (a.shape(1) != b.shape(1) || c.shape(0) != a.shape(0) || c.shape(1) != b.shape(0))
      throw nb::value_error("gemm: expected a [M, K], b [N, K], c [M, N]");
    nb::gil_scoped_release release;
    const int code = rnn_engine_gemm(raw, static_cast<int64_t>(a.shape(0)), static_cast<int64_t>(b.shape(0)),
                                     static_cast<int64_t>(a.shape(1)), a.data(), b.data(), c.data(),
                                     scratch.data(), scratch.nbytes());
    nb::gil_scoped_acquire acquire;
    check(code);
  }

  uint64_t loss_scratch(const rnn_engine_loss_problem& problem) const {
    uint64_t bytes = 0;
    check(rnn_engine_loss_scratch(raw, &problem, &bytes));
    return bytes;
  }

  nb::tuple linear_cross_entropy(const rnn_engine_loss_problem& problem, const LossInputs& inputs,
                                 double scale, const LossGradients& gradients, const Array& scratch) {
    rnn_engine_loss_args args = loss_args(problem, inputs, gradients);
    args.scale = scale;
    args.scratch = bytes_of(scratch, loss_scratch(problem), "scratch");
    rnn_engine_loss_result result{};
    nb::gil_scoped_release release;
    const int code = rnn_engine_linear_cross_entropy(raw, &problem, &args, &result);
    nb::gil_scoped_acquire acquire;
    check(code);
    return nb::make_tuple(result.loss, result.nll, result.right);
  }

  // Between float32 and bfloat16, in either direction.
  void convert(const Array& in, const Array& out) const {
    const bool rounds = in.dtype() == kTypes[RNN_ENGINE_FLOAT32].native;
    const auto count = static_cast<int64_t>(in.size());
    const void* from = data_of(kTypes[rounds ? RNN_ENGINE_FLOAT32 : RNN_ENGINE_BFLOAT16], in, count, "in");
    void* to = data_of(kTypes[rounds ? RNN_ENGINE_BFLOAT16 : RNN_ENGINE_FLOAT32], out, count, "out");
    nb::gil_scoped_release release;
    const int code = rounds ? rnn_engine_round(raw, count, static_cast<const float*>(from), to)
                            : rnn_engine_widen(raw, count, from, static_cast<float*>(to));
    nb::gil_scoped_acquire acquire;
    check(code);
  }

  double peak(int64_t iterations, int dtype) {
    nb::gil_scoped_release release;
    return rnn_engine_peak(raw, dtype, iterations);
  }
};

// The problem must not change and the context must live as long as the plan (keep_alive below).
struct PlanHandle {
  rnn_engine_plan* raw = nullptr;
  const Problem& problem;
  uint64_t packed_bytes;

  PlanHandle(const Context& context, const Problem& p) : problem(p), packed_bytes(0) {
    check(rnn_engine_plan_create(context.raw, &p.raw, &raw));
    if (p.raw.prepacked) packed_bytes = context.packed_bytes(p);
  }
  PlanHandle(const PlanHandle&) = delete;
  ~PlanHandle() { rnn_engine_plan_destroy(raw); }

  rnn_engine_sizes sizes() const { return rnn_engine_plan_sizes(raw); }
  rnn_engine_plan_facts facts() const { return rnn_engine_plan_describe(raw); }

  std::vector<int> policies() const {
    std::vector<int> out;
    for (int64_t layer = 0; layer < problem.raw.layers; ++layer)
      out.push_back(rnn_engine_plan_policy(raw, layer));
    return out;
  }

  nb::list buffers() {
    size_t count = 0;
    check(rnn_engine_plan_buffers(raw, nullptr, 0, &count));
    std::vector<rnn_engine_buffer> rows(count);
    check(rnn_engine_plan_buffers(raw, rows.data(), count, &count));
    nb::list out;
    for (const rnn_engine_buffer& b : rows)
      out.append(nb::make_tuple(b.name, b.arena, b.layer, b.direction, b.offset, b.bytes, b.first_tile,
                                b.last_tile));
    return out;
  }

  // The kinds of all tiles.
  std::vector<int> kinds() const {
    std::vector<int> out(static_cast<size_t>(facts().tiles));
    for (size_t i = 0; i < out.size(); ++i) {
      rnn_engine_tile t{};
      check(rnn_engine_plan_tile(raw, static_cast<int64_t>(i), &t, nullptr, 0, nullptr));
      out[i] = t.kind;
    }
    return out;
  }

  nb::tuple tile(int64_t index) const {
    rnn_engine_tile t{};
    size_t count = 0;
    check(rnn_engine_plan_tile(raw, index, &t, nullptr, 0, &count));
    std::vector<int64_t> inputs(count);
    check(rnn_engine_plan_tile(raw, index, &t, inputs.data(), count, &count));
    return nb::make_tuple(t.kind, t.layer, t.direction, t.begin, t.end, inputs);
  }

  void forward(const std::vector<Lane>& weights, const std::optional<Array>& packed, const Input& x,
               const std::optional<Input>& h0, const std::optional<Input>& c0, const std::optional<Array>& y,
               const std::optional<Array>& cy, const Array& hn, const Array& cn, const Array& kept,
               const Array& scratch) {
    const rnn_engine_sizes s = sizes();
    const std::vector<rnn_engine_weights> w = weights_of(problem, weights, stored(problem), "weights");
    rnn_engine_forward_args args{};
    args.weights = w.data();
    args.packed = packed ? bytes_of(*packed, packed_bytes, "packed") : nullptr;
    args.x = data_of(stored(problem), x, problem.rows * problem.raw.input_size, "x");
    args.h0 = data_of(stored(problem), h0, problem.h_values, "h0");
    args.c0 = data_of(value(problem), c0, problem.c_values, "c0");
    args.y = data_of(stored(problem), y, problem.rows * problem.output_width, "y");
    args.cy = data_of(value(problem), cy, problem.rows * problem.cell_width, "cy");
    args.hn = data_of(stored(problem), hn, problem.h_values, "hn");
    args.cn = data_of(value(problem), cn, problem.c_values, "cn");
    args.kept = bytes_of(kept, s.kept_bytes, "kept");
    args.scratch = bytes_of(scratch, s.forward_scratch_bytes, "scratch");
    nb::gil_scoped_release release;
    const int code = rnn_engine_forward(raw, &args);
    nb::gil_scoped_acquire acquire;
    check(code);
  }

  void backward(const std::vector<Lane>& weights, const std::vector<Lane>& gradients, const Array& x,
                const std::optional<Array>& h0, const std::optional<Array>& c0, const Array& y,
                const std::optional<Array>& dy, const std::optional<Array>& dcy,
                const std::optional<Array>& dhn, const std::optional<Array>& dcn,
                const std::optional<Array>& dx, const std::optional<Array>& dh0,
                const std::optional<Array>& dc0, const Array& kept, const Array& scratch, bool overwrite) {
    const rnn_engine_sizes s = sizes();
    const std::vector<rnn_engine_weights> w = weights_of(problem, weights, stored(problem), "weights");
    const std::vector<rnn_engine_weights> g = weights_of(problem, gradients, value(problem), "gradients");
    rnn_engine_backward_args args{};
    args.weights = w.data();
    args.gradients = g.data();
    args.overwrite = overwrite;
    args.x = data_of(stored(problem), x, problem.rows * problem.raw.input_size, "x");
    args.h0 = data_of(stored(problem), h0, problem.h_values, "h0");
    args.c0 = data_of(value(problem), c0, problem.c_values, "c0");
    args.y = data_of(stored(problem), y, problem.rows * problem.output_width, "y");
    args.dy = data_of(stored(problem), dy, problem.rows * problem.output_width, "dy");
    args.dcy = data_of(value(problem), dcy, problem.rows * problem.cell_width, "dcy");
    args.dhn = data_of(stored(problem), dhn, problem.h_values, "dhn");
    args.dcn = data_of(value(problem), dcn, problem.c_values, "dcn");
    args.dx = data_of(stored(problem), dx, problem.rows * problem.raw.input_size, "dx");
    args.dh0 = data_of(stored(problem), dh0, problem.h_values, "dh0");
    args.dc0 = data_of(value(problem), dc0, problem.c_values, "dc0");
    args.kept = bytes_of(kept, s.kept_bytes, "kept");
    args.scratch = bytes_of(scratch, s.backward_scratch_bytes, "scratch");
    nb::gil_scoped_release release;
    const int code = rnn_engine_backward(raw, &args);
    nb::gil_scoped_acquire acquire;
    check(code);
  }
};

}  // namespace

NB_MODULE(_core, m) {
  // A result that lives to the end of the process holds its graph, and that its plan: nothing is amiss.
  nb::set_leak_warnings(false);
  nb::exception<EngineError>(m, "EngineError", PyExc_RuntimeError);
  nb::class_<Problem>(m, "Problem")
      .def(nb::init<int, int, int64_t, int64_t, int64_t, std::vector<int64_t>, int64_t, int, bool, bool, bool,
                    bool, bool, bool, double, double, std::tuple<double, double>, bool, uint64_t,
                    std::optional<std::vector<int64_t>>, std::optional<std::vector<int64_t>>, int, uint64_t,
                    int>(),
           nb::kw_only(), "cell"_a, "dtype"_a, "steps"_a, "batch"_a, "input_size"_a, "hidden_sizes"_a,
           "projection"_a, "directions"_a, "bias"_a, "training"_a, "output"_a, "cell_output"_a,
           "input_gradient"_a, "prepacked"_a, "dropout"_a, "recurrent_dropout"_a, "zoneout"_a,
           "zoneout_masks"_a, "seed"_a, "batch_sizes"_a.none(), "row_ids"_a.none(), "memory"_a, "budget"_a,
           "schedule"_a)
      .def_ro("rows", &Problem::rows);
  nb::class_<PlanHandle>(m, "Plan")
      .def(nb::init<const Context&, const Problem&>(), "context"_a, "problem"_a, nb::keep_alive<1, 2>(),
           nb::keep_alive<1, 3>())
      .def_prop_ro("kept_bytes", [](const PlanHandle& p) { return p.sizes().kept_bytes; })
      .def_prop_ro("scratch_bytes", [](const PlanHandle& p) { return p.sizes().scratch_bytes; })
      .def_prop_ro("forward_scratch_bytes",
                   [](const PlanHandle& p) { return p.sizes().forward_scratch_bytes; })
      .def_prop_ro("backward_scratch_bytes",
                   [](const PlanHandle& p) { return p.sizes().backward_scratch_bytes; })
      .def_prop_ro("steps", [](const PlanHandle& p) { return p.facts().steps; })
      .def_prop_ro("seconds", [](const PlanHandle& p) { return p.facts().seconds; })
      .def_prop_ro("groups", [](const PlanHandle& p) { return p.facts().groups; })
      .def_prop_ro("tile_count", [](const PlanHandle& p) { return p.facts().tiles; })
      .def("policies", &PlanHandle::policies)
      .def("buffers", &PlanHandle::buffers)
      .def("kinds", &PlanHandle::kinds)
      .def("tile", &PlanHandle::tile, "index"_a)
      .def("forward", &PlanHandle::forward, "weights"_a, "packed"_a.none(), "x"_a, "h0"_a.none(),
           "c0"_a.none(), "y"_a.none(), "cy"_a.none(), "hn"_a, "cn"_a, "kept"_a, "scratch"_a)
      .def("backward", &PlanHandle::backward, "weights"_a, "gradients"_a, "x"_a, "h0"_a.none(), "c0"_a.none(),
           "y"_a, "dy"_a.none(), "dcy"_a.none(), "dhn"_a.none(), "dcn"_a.none(), "dx"_a.none(),
           "dh0"_a.none(), "dc0"_a.none(), "kept"_a, "scratch"_a, "overwrite"_a = false);
  bind_loss_problem(m);
  nb::class_<Context>(m, "Context")
      .def(nb::init<int, std::optional<std::string>>(), "threads"_a, "isa"_a.none() = nb::none())
      .def_ro("threads", &Context::threads)
      .def_prop_ro("isa", [](const Context& c) { return std::string(rnn_engine_context_isa(c.raw)); })
      .def("packed_bytes", &Context::packed_bytes, "problem"_a)
      .def("pack", &Context::pack, "problem"_a, "weights"_a, "packed"_a)
      .def("calibrate", &Context::calibrate, "dtype"_a = RNN_ENGINE_FLOAT32 + 0)
      .def("loss_scratch", &Context::loss_scratch, "problem"_a)
      .def("linear_cross_entropy", &Context::linear_cross_entropy, "problem"_a, "inputs"_a, "scale"_a,
           "gradients"_a, "scratch"_a)
      .def("gemm", &Context::gemm, "a"_a, "b"_a, "c"_a, "scratch"_a)
      .def("gemm_scratch",
           [](const Context& c, int64_t n, int64_t k) { return rnn_engine_gemm_scratch(c.raw, n, k); })
      .def("convert", &Context::convert, "values"_a, "out"_a)
      .def("peak", &Context::peak, "iterations"_a, "dtype"_a = RNN_ENGINE_FLOAT32 + 0);
  m.def("has_isa", [](const std::string& isa) { return rnn_engine_has_isa(isa.c_str()) != 0; }, "isa"_a);
}
