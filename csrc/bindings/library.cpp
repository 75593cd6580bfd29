#include "bindings/library.h"

#include <dlfcn.h>
#include <nanobind/nanobind.h>

#include <map>
#include <mutex>

namespace {

const Functions& open(const std::string& path) {
  // Local: its functions have the names of those that this extension is linked with.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw EngineError(dlerror());
  const std::string needed = "this package needs version " + std::to_string(RNN_ENGINE_API_VERSION) +
                             " of rnn_engine's C API: build both from the same source";
  const auto functions = reinterpret_cast<decltype(&rnn_engine_functions)>(dlsym(library, "rnn_engine_functions"));
  if (!functions) throw EngineError(path + ": it has no function rnn_engine_functions; " + needed);
  const auto& table = *static_cast<const Functions*>(functions());
  if (table.version != RNN_ENGINE_API_VERSION)
    throw EngineError(path + ": it has version " + std::to_string(table.version) + "; " + needed);
  return table;
}

}  // namespace

void check(const Functions& api, int code) {
  if (code == RNN_ENGINE_OK) return;
  if (code == RNN_ENGINE_INTERRUPTED && PyErr_Occurred()) throw nanobind::python_error();
  const std::string message = api.last_error();
  if (code == RNN_ENGINE_INVALID) throw nanobind::value_error(message.c_str());
  throw EngineError(message);
}

const Functions& linked_functions() { return *static_cast<const Functions*>(rnn_engine_functions()); }

const Functions& loaded_functions(const std::string& path) {
  static std::mutex lock;
  static auto& loaded = *new std::map<std::string, const Functions*>;  // outlives every context
  std::lock_guard guard(lock);
  const Functions*& api = loaded[path];
  if (!api) api = &open(path);
  return *api;
}
