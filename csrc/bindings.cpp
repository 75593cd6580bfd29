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
  std::vector<int64_t> batch_sizes, row_ids;
  int64_t rows = 0;

  Problem(int cell, int dtype, int64_t steps, int64_t batch, int64_t input_size, int64_t hidden_size,
          int64_t layers, int directions, bool bias, bool training, double dropout, uint64_t seed,
          std::optional<std::vector<int64_t>> sizes, std::optional<std::vector<int64_t>> ids)
      : batch_sizes(sizes.value_or(std::vector<int64_t>{})), row_ids(ids.value_or(std::vector<int64_t>{})) {
    if (sizes && static_cast<int64_t>(batch_sizes.size()) != steps)
      throw nb::value_error(("batch_sizes: expected [T] = [" + std::to_string(steps) + "], got [" +
                             std::to_string(batch_sizes.size()) + "]")
                                .c_str());
    if (ids && static_cast<int64_t>(row_ids.size()) != batch)
      throw nb::value_error(("row_ids: expected [B] = [" + std::to_string(batch) + "], got [" +
                             std::to_string(row_ids.size()) + "]")
                                .c_str());
    raw = {cell,
           dtype,
           steps,
           batch,
           input_size,
           hidden_size,
           layers,
           directions,
           bias,
           training,
           sizes ? batch_sizes.data() : nullptr,
           dropout,
           seed,
           ids ? row_ids.data() : nullptr};
    rows = steps * batch;
    if (sizes) {
      rows = 0;
      for (int64_t size : batch_sizes) rows += size;
    }
  }
  Problem(const Problem&) = delete;

  int64_t states() const { return raw.layers * raw.directions * raw.batch * raw.hidden_size; }
  int64_t outputs() const { return rows * raw.directions * raw.hidden_size; }
};

// The array's memory, after its type and number of values were found right.
void* data_of(const Problem& problem, const Array& array, int64_t count, const std::string& name) {
  const bool single = problem.raw.dtype == RNN_ENGINE_FLOAT32;
  const bool right = single ? array.dtype() == nb::dtype<float>() : array.dtype() == nb::dtype<double>();
  if (!right)
    throw nb::type_error(
        (name + ": expected " + (single ? "float32" : "float64") + ", got another type").c_str());
  if (static_cast<int64_t>(array.size()) != count)
    throw nb::value_error(
        (name + ": expected " + std::to_string(count) + " values, got " + std::to_string(array.size()))
            .c_str());
  return array.data();
}

void* data_of(const Problem& problem, const std::optional<Array>& array, int64_t count,
              const std::string& name) {
  return array ? data_of(problem, *array, count, name) : nullptr;
}

void* bytes_of(const Array& array, uint64_t bytes, const char* name) {
  if (array.nbytes() < bytes)
    throw nb::value_error((std::string(name) + ": expected at least " + std::to_string(bytes) +
                           " bytes, got " + std::to_string(array.nbytes()))
                              .c_str());
  return bytes ? array.data() : nullptr;
}

std::vector<rnn_engine_weights> weights_of(const Problem& problem, const std::vector<Lane>& lanes,
                                           const char* name) {
  const rnn_engine_problem& p = problem.raw;
  const int64_t count = p.layers * p.directions;
  if (static_cast<int64_t>(lanes.size()) != count)
    throw nb::value_error((std::string(name) + ": expected one entry for each layer and direction = " +
                           std::to_string(count) + ", got " + std::to_string(lanes.size()))
                              .c_str());
  std::vector<rnn_engine_weights> out(count);
  for (int64_t i = 0; i < count; ++i) {
    const Lane& lane = lanes[i];
    const std::string where = std::string(name) + "[" + std::to_string(i) + "]";
    if (lane.size() < 4 || lane.size() > 4 + RNN_ENGINE_MAX_EXTRA)
      throw nb::value_error((where + ": expected 4 to 8 arrays, got " + std::to_string(lane.size())).c_str());
    const int64_t gates = 4 * p.hidden_size;
    const int64_t input = i < p.directions ? p.input_size : p.directions * p.hidden_size;
    out[i].weight_ih = data_of(problem, lane[0], gates * input, where + ".weight_ih");
    out[i].weight_hh = data_of(problem, lane[1], gates * p.hidden_size, where + ".weight_hh");
    out[i].bias_ih = data_of(problem, lane[2], gates, where + ".bias_ih");
    out[i].bias_hh = data_of(problem, lane[3], gates, where + ".bias_hh");
    for (size_t e = 4; e < lane.size(); ++e)
      out[i].extra[e - 4] = data_of(problem, lane[e], gates, where + ".extra[" + std::to_string(e - 4) + "]");
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

  rnn_engine_sizes sizes(const Problem& problem) const {
    rnn_engine_sizes out{};
    check(rnn_engine_plan(raw, &problem.raw, &out));
    return out;
  }

  nb::tuple plan(const Problem& problem) const {
    const rnn_engine_sizes s = sizes(problem);
    return nb::make_tuple(s.kept_bytes, s.forward_scratch_bytes, s.backward_scratch_bytes);
  }

  nb::list plan_buffers(const Problem& problem) const {
    size_t count = 0;
    check(rnn_engine_plan_buffers(raw, &problem.raw, nullptr, 0, &count));
    std::vector<rnn_engine_buffer> buffers(count);
    check(rnn_engine_plan_buffers(raw, &problem.raw, buffers.data(), count, &count));
    nb::list out;
    for (const rnn_engine_buffer& b : buffers)
      out.append(nb::make_tuple(b.arena, b.name, b.layer, b.direction, b.offset, b.bytes));
    return out;
  }

  void forward(const Problem& problem, const std::vector<Lane>& weights, const Array& x,
               const std::optional<Array>& h0, const std::optional<Array>& c0, const Array& y,
               const Array& hn, const Array& cn, const Array& kept, const Array& scratch) {
    const rnn_engine_sizes s = sizes(problem);
    const std::vector<rnn_engine_weights> w = weights_of(problem, weights, "weights");
    rnn_engine_forward_args args{};
    args.weights = w.data();
    args.x = data_of(problem, x, problem.rows * problem.raw.input_size, "x");
    args.h0 = data_of(problem, h0, problem.states(), "h0");
    args.c0 = data_of(problem, c0, problem.states(), "c0");
    args.y = data_of(problem, y, problem.outputs(), "y");
    args.hn = data_of(problem, hn, problem.states(), "hn");
    args.cn = data_of(problem, cn, problem.states(), "cn");
    args.kept = bytes_of(kept, s.kept_bytes, "kept");
    args.scratch = bytes_of(scratch, s.forward_scratch_bytes, "scratch");
    nb::gil_scoped_release release;
    const int code = rnn_engine_forward(raw, &problem.raw, &args);
    nb::gil_scoped_acquire acquire;
    check(code);
  }

  void backward(const Problem& problem, const std::vector<Lane>& weights, const std::vector<Lane>& gradients,
                const Array& x, const std::optional<Array>& h0, const std::optional<Array>& c0,
                const Array& y, const std::optional<Array>& dy, const std::optional<Array>& dhn,
                const std::optional<Array>& dcn, const std::optional<Array>& dx,
                const std::optional<Array>& dh0, const std::optional<Array>& dc0, const Array& kept,
                const Array& scratch) {
    const rnn_engine_sizes s = sizes(problem);
    const std::vector<rnn_engine_weights> w = weights_of(problem, weights, "weights");
    const std::vector<rnn_engine_weights> g = weights_of(problem, gradients, "gradients");
    rnn_engine_backward_args args{};
    args.weights = w.data();
    args.gradients = g.data();
    args.x = data_of(problem, x, problem.rows * problem.raw.input_size, "x");
    args.h0 = data_of(problem, h0, problem.states(), "h0");
    args.c0 = data_of(problem, c0, problem.states(), "c0");
    args.y = data_of(problem, y, problem.outputs(), "y");
    args.dy = data_of(problem, dy, problem.outputs(), "dy");
    args.dhn = data_of(problem, dhn, problem.states(), "dhn");
    args.dcn = data_of(problem, dcn, problem.states(), "dcn");
    args.dx = data_of(problem, dx, problem.rows * problem.raw.input_size, "dx");
    args.dh0 = data_of(problem, dh0, problem.states(), "dh0");
    args.dc0 = data_of(problem, dc0, problem.states(), "dc0");
    args.kept = bytes_of(kept, s.kept_bytes, "kept");
    args.scratch = bytes_of(scratch, s.backward_scratch_bytes, "scratch");
    nb::gil_scoped_release release;
    const int code = rnn_engine_backward(raw, &problem.raw, &args);
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

  double peak(int64_t iterations) {
    nb::gil_scoped_release release;
    return rnn_engine_peak(raw, iterations);
  }
};

}  // namespace

NB_MODULE(_core, m) {
  nb::exception<EngineError>(m, "EngineError", PyExc_RuntimeError);
  nb::class_<Problem>(m, "Problem")
      .def(nb::init<int, int, int64_t, int64_t, int64_t, int64_t, int64_t, int, bool, bool, double, uint64_t,
                    std::optional<std::vector<int64_t>>, std::optional<std::vector<int64_t>>>(),
           nb::kw_only(), "cell"_a, "dtype"_a, "steps"_a, "batch"_a, "input_size"_a, "hidden_size"_a,
           "layers"_a, "directions"_a, "bias"_a, "training"_a, "dropout"_a, "seed"_a, "batch_sizes"_a.none(),
           "row_ids"_a.none())
      .def_ro("rows", &Problem::rows);
  bind_loss_problem(m);
  nb::class_<Context>(m, "Context")
      .def(nb::init<int, std::optional<std::string>>(), "threads"_a, "isa"_a.none() = nb::none())
      .def_ro("threads", &Context::threads)
      .def_prop_ro("isa", [](const Context& c) { return std::string(rnn_engine_context_isa(c.raw)); })
      .def("plan", &Context::plan, "problem"_a)
      .def("plan_buffers", &Context::plan_buffers, "problem"_a)
      .def("forward", &Context::forward, "problem"_a, "weights"_a, "x"_a, "h0"_a.none(), "c0"_a.none(), "y"_a,
           "hn"_a, "cn"_a, "kept"_a, "scratch"_a)
      .def("backward", &Context::backward, "problem"_a, "weights"_a, "gradients"_a, "x"_a, "h0"_a.none(),
           "c0"_a.none(), "y"_a, "dy"_a.none(), "dhn"_a.none(), "dcn"_a.none(), "dx"_a.none(), "dh0"_a.none(),
           "dc0"_a.none(), "kept"_a, "scratch"_a)
      .def("loss_scratch", &Context::loss_scratch, "problem"_a)
      .def("linear_cross_entropy", &Context::linear_cross_entropy, "problem"_a, "inputs"_a, "scale"_a,
           "gradients"_a, "scratch"_a)
      .def("gemm", &Context::gemm, "a"_a, "b"_a, "c"_a, "scratch"_a)
      .def("gemm_scratch",
           [](const Context& c, int64_t n, int64_t k) { return rnn_engine_gemm_scratch(c.raw, n, k); })
      .def("peak", &Context::peak, "iterations"_a);
  m.def("has_isa", [](const std::string& isa) { return rnn_engine_has_isa(isa.c_str()) != 0; }, "isa"_a);
}
