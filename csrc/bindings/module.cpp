// The native part of the Python package: unpack, check, release the GIL, call the C API. Only this folder knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "bindings/attention.h"
#include "bindings/context.h"

namespace nb = nanobind;
using namespace nb::literals;

NB_MODULE(_core, module) {
  // A result that lives to the end of the process holds its graph, and that its plan: nothing is amiss.
  nb::set_leak_warnings(false);
  nb::exception<EngineError>(module, "EngineError", PyExc_RuntimeError);
  bind_context(module);
  bind_attention(module);
  bind_plan(module);
  bind_model_file(module);
  bind_translation(module);
  module.attr("OWN_WORKSPACE") = kOwnWorkspace;
  module.def("has_isa", [](const std::string& isa) { return rnn_engine_has_isa(isa.c_str()) != 0; }, "isa"_a);
}
