#include "bindings/api.h"

#include <dlfcn.h>
#include <nanobind/nanobind.h>

#include <map>
#include <memory>
#include <mutex>

namespace {

template <class Function>
void find(void* library, const std::string& path, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw EngineError(path + ": has no function " + name + ", so it is of another version");
}

std::unique_ptr<Api> open(const std::string& path) {
  // Local: its functions have the names of those that this extension is linked with.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw EngineError(dlerror());
  auto api = std::make_unique<Api>();
  find(library, path, "rnn_engine_last_error", api->last_error);
  find(library, path, "rnn_engine_context_create", api->context_create);
  find(library, path, "rnn_engine_cuda_context_create", api->cuda_context_create);
  find(library, path, "rnn_engine_cuda_products", api->cuda_products);
  find(library, path, "rnn_engine_cuda_graphs", api->cuda_graphs);
  find(library, path, "rnn_engine_context_destroy", api->context_destroy);
  find(library, path, "rnn_engine_context_isa", api->context_isa);
  find(library, path, "rnn_engine_gates", api->gates);
  find(library, path, "rnn_engine_vector_width", api->vector_width);
  find(library, path, "rnn_engine_plan_create", api->plan_create);
  find(library, path, "rnn_engine_plan_destroy", api->plan_destroy);
  find(library, path, "rnn_engine_plan_sizes", api->plan_sizes);
  find(library, path, "rnn_engine_plan_describe", api->plan_describe);
  find(library, path, "rnn_engine_plan_policy", api->plan_policy);
  find(library, path, "rnn_engine_plan_buffers", api->plan_buffers);
  find(library, path, "rnn_engine_plan_tile", api->plan_tile);
  find(library, path, "rnn_engine_forward", api->forward);
  find(library, path, "rnn_engine_backward", api->backward);
  find(library, path, "rnn_engine_packed_bytes", api->packed_bytes);
  find(library, path, "rnn_engine_pack", api->pack);
  find(library, path, "rnn_engine_calibrate", api->calibrate);
  find(library, path, "rnn_engine_loss_workspace", api->loss_workspace);
  find(library, path, "rnn_engine_linear_cross_entropy", api->linear_cross_entropy);
  find(library, path, "rnn_engine_gemm", api->gemm);
  find(library, path, "rnn_engine_gemm_workspace", api->gemm_workspace);
  find(library, path, "rnn_engine_peak", api->peak);
  return api;
}

}  // namespace

void Api::check(int code) const {
  if (code == RNN_ENGINE_OK) return;
  const std::string message = last_error();
  if (code == RNN_ENGINE_INVALID) throw nanobind::value_error(message.c_str());
  throw EngineError(message);
}

const Api& linked_api() {
  static const Api api = {.last_error = rnn_engine_last_error,
                          .context_create = rnn_engine_context_create,
                          .cuda_context_create = nullptr,
                          .cuda_graphs = nullptr,
                          .cuda_products = nullptr,
                          .context_destroy = rnn_engine_context_destroy,
                          .context_isa = rnn_engine_context_isa,
                          .gates = rnn_engine_gates,
                          .vector_width = rnn_engine_vector_width,
                          .plan_create = rnn_engine_plan_create,
                          .plan_destroy = rnn_engine_plan_destroy,
                          .plan_sizes = rnn_engine_plan_sizes,
                          .plan_describe = rnn_engine_plan_describe,
                          .plan_policy = rnn_engine_plan_policy,
                          .plan_buffers = rnn_engine_plan_buffers,
                          .plan_tile = rnn_engine_plan_tile,
                          .forward = rnn_engine_forward,
                          .backward = rnn_engine_backward,
                          .packed_bytes = rnn_engine_packed_bytes,
                          .pack = rnn_engine_pack,
                          .calibrate = rnn_engine_calibrate,
                          .loss_workspace = rnn_engine_loss_workspace,
                          .linear_cross_entropy = rnn_engine_linear_cross_entropy,
                          .gemm = rnn_engine_gemm,
                          .gemm_workspace = rnn_engine_gemm_workspace,
                          .peak = rnn_engine_peak};
  return api;
}

const Api& loaded_api(const std::string& path) {
  static std::mutex lock;
  static auto& loaded = *new std::map<std::string, std::unique_ptr<Api>>;  // outlives every context
  std::lock_guard guard(lock);
  std::unique_ptr<Api>& api = loaded[path];
  if (!api) api = open(path);
  return *api;
}
