#include "cuda/gemm/cublas.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <type_traits>

namespace rnn_engine::cuda {
namespace {

using namespace cublas;

// Below, a launch takes longer than the work, and the engine's own kernels launch as fast.
constexpr std::int64_t kLeastSide = 16, kLeastOperations = 1 << 18;
// No load is wider. What is beyond must not matter: where an allocator puts a matrix would decide an
// algorithm, and with it the last bits.
constexpr std::uint32_t kWidestAlignment = 16;
constexpr std::size_t kMostForms = 4096;  // kept: a training's batches come in ever new sizes

// One that is there already is most likely torch's, and is found by its name, however it was loaded.
void* open_library(const char* chosen) {
  constexpr int kUsual = RTLD_NOW | RTLD_LOCAL;
  if (chosen) return dlopen(chosen, kUsual);
  for (const int flags : {kUsual | RTLD_NOLOAD, kUsual})
    for (const char* name : kCublasNames)
      if (void* library = dlopen(name, flags)) return library;
  return nullptr;
}

// The functions of a library that stays loaded, as a driver's threads may be in it; throws if it lacks one.
Api functions_of(void* library) {
  Api api;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function) throw std::runtime_error(std::string("there is no function ") + name);
  };
  find("cublasLtGetVersion", api.GetVersion);
  find("cublasLtGetStatusName", api.GetStatusName);
  find("cublasLtCreate", api.Create);
  find("cublasLtDestroy", api.Destroy);
  find("cublasLtMatmulDescCreate", api.MatmulDescCreate);
  find("cublasLtMatmulDescDestroy", api.MatmulDescDestroy);
  find("cublasLtMatmulDescSetAttribute", api.MatmulDescSetAttribute);
  find("cublasLtMatrixLayoutCreate", api.MatrixLayoutCreate);
  find("cublasLtMatrixLayoutDestroy", api.MatrixLayoutDestroy);
  find("cublasLtMatmulPreferenceCreate", api.MatmulPreferenceCreate);
  find("cublasLtMatmulPreferenceDestroy", api.MatmulPreferenceDestroy);
  find("cublasLtMatmulPreferenceSetAttribute", api.MatmulPreferenceSetAttribute);
  find("cublasLtMatmulAlgoGetHeuristic", api.MatmulAlgoGetHeuristic);
  find("cublasLtMatmul", api.Matmul);
  return api;
}

std::string name_of(const Api& api) {
  const std::size_t version = api.GetVersion();
  return "cuBLAS " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

template <class T>
constexpr DataType type_of() {
  if constexpr (std::is_same_v<T, float>) return kFloat32;
  if constexpr (std::is_same_v<T, double>) return kFloat64;
  if constexpr (std::is_same_v<T, Float16>) return kFloat16;
  if constexpr (std::is_same_v<T, BFloat16>) return kBFloat16;
}

std::uint32_t alignment_of(const void* memory) {
  std::uint32_t alignment = kWidestAlignment;
  while (reinterpret_cast<std::uintptr_t>(memory) % alignment != 0) alignment /= 2;
  return alignment;
}

template <class T>
bool worth_a_call(const Product<T>& p) {
  return std::min({p.m, p.n, p.k}) >= kLeastSide && p.m * p.n * p.k >= kLeastOperations;
}

// c begins with nothing, with one bias, or with itself.
template <class T>
bool can_be_told(const Product<T>& p) {
  const bool adds = p.init && p.init == p.c && p.init_row == p.c_row;
  return !p.slices && !p.stored_init && !p.bias[1] && (!p.init || (adds && !p.bias[0]));
}

// What a function of the API creates, destroyed with its last owner; nullptr if it fails.
template <class Create, class... Arguments>
std::shared_ptr<void> make(int (*destroy)(void*), Create create, Arguments... arguments) {
  void* made = nullptr;
  if (create(&made, arguments...) != kSuccess) return nullptr;
  return {made, destroy};
}

template <class Attribute, class Value>
bool set(int (*function)(void*, Attribute, const void*, std::size_t), const std::shared_ptr<void>& of,
         Attribute attribute, Value value) {
  return function(of.get(), attribute, &value, sizeof value) == kSuccess;
}

}  // namespace

std::unique_ptr<Cublas> Cublas::find(std::string& products) {
  products = "own products";
  const char* chosen = std::getenv("RNN_ENGINE_CUBLAS");
  if (chosen && !*chosen) chosen = nullptr;
  const auto none = [&](const std::string& why) {
    products +=
        " (" + (chosen ? "RNN_ENGINE_CUBLAS=" + std::string(chosen) + (why.empty() ? "" : ": ") : "") + why + ")";
    return nullptr;
  };
  if (chosen && std::string(chosen) == "off") return none("");
  void* library = open_library(chosen);
  if (!library) return none(chosen ? "it cannot be loaded" : "no cuBLAS found");
  try {
    const Api api = functions_of(library);
    void* handle = nullptr;
    const int status = api.Create(&handle);
    if (status != kSuccess) return none(name_of(api) + " fails: " + api.GetStatusName(status));
    products = name_of(api);
    return std::unique_ptr<Cublas>(new Cublas(api, handle));
  } catch (const std::runtime_error& error) {
    return none(error.what());
  }
}

// What lies by rows is the transpose of what lies by columns: cuBLAS computes c^T = b a^T.
template <class T>
bool Cublas::multiply(Stream stream, const Product<T>& p, bool tf32) {
  if (!worth_a_call(p) || !can_be_told(p)) return false;
  const auto matrix = [&](const Operand<T>& x, std::int64_t rows) {
    const bool along = x.column == 1;
    return Matrix{type_of<T>(), along ? p.k : rows, along ? rows : p.k, along ? x.row : x.column, alignment_of(x.data)};
  };
  const Memory memory{p.b.data, p.a.data, p.bias[0], p.c ? static_cast<void*>(p.c) : p.stored_c, p.init != nullptr};
  Form form{};
  form.compute = std::is_same_v<T, double>          ? kComputeFloat64
                 : std::is_same_v<T, float> && tf32 ? kComputeTf32
                                                    : kComputeFloat32;
  form.transpose_a = p.b.column == 1 ? kTransposed : kAsItLies;
  form.transpose_b = p.a.column == 1 ? kAsItLies : kTransposed;
  form.a = matrix(p.b, p.n);
  form.b = matrix(p.a, p.m);
  form.c = {p.c ? type_of<Value<T>>() : type_of<T>(), p.n, p.m, p.c_row, alignment_of(memory.c)};
  form.bias_alignment = memory.bias ? alignment_of(memory.bias) : 0;
  return run(stream, form, memory);
}

bool Cublas::run(Stream stream, const Form& form, const Memory& memory) {
  const std::optional<Description> description = describe(form, memory.bias);
  if (!description) return false;
  const std::optional<Algorithm> algorithm = algorithm_of(form, *description);
  if (!algorithm) return false;
  const auto work = [=, api = api_, handle = handle_, d = *description, algorithm = *algorithm,
                     wide = form.compute == kComputeFloat64] {
    const double one = 1, beta = memory.adds;
    const float single_one = 1, single_beta = memory.adds;
    const int status =
        api.Matmul(handle, d.operation.get(), wide ? static_cast<const void*>(&one) : &single_one, memory.a, d.a.get(),
                   memory.b, d.b.get(), wide ? static_cast<const void*>(&beta) : &single_beta, memory.c, d.c.get(),
                   memory.c, d.c.get(), &algorithm, nullptr, 0, stream);
    // What cuBLAS itself chose to do it fails at: the device's failure.
    if (status != kSuccess)
      throw std::runtime_error(std::string("cuBLAS: cublasLtMatmul fails: ") + api.GetStatusName(status) +
                               "; with RNN_ENGINE_CUBLAS=off the engine does without");
  };
  submit(stream, work);
  return true;
}

std::optional<Cublas::Description> Cublas::describe(const Form& form, const void* bias) const {
  const DataType scale = form.compute == kComputeFloat64 ? kFloat64 : kFloat32;
  const auto layout = [&](const Matrix& m) {
    return m.stride < m.rows
               ? nullptr
               : make(api_.MatrixLayoutDestroy, api_.MatrixLayoutCreate, m.type, m.rows, m.columns, m.stride);
  };
  const Description d{make(api_.MatmulDescDestroy, api_.MatmulDescCreate, form.compute, scale), layout(form.a),
                      layout(form.b), layout(form.c)};
  if (!d.operation || !d.a || !d.b || !d.c) return std::nullopt;
  const auto set_to = [&](OperationAttribute attribute, auto value) {
    return set(api_.MatmulDescSetAttribute, d.operation, attribute, value);
  };
  if (!set_to(kTransposeA, form.transpose_a) || !set_to(kTransposeB, form.transpose_b)) return std::nullopt;
  if (bias && (!set_to(kEpilogue, kAddBias) || !set_to(kBias, bias))) return std::nullopt;
  return d;
}

std::optional<Algorithm> Cublas::algorithm_of(const Form& form, const Description& description) {
  const std::lock_guard lock(mutex_);
  const auto found = algorithms_.find(form);
  if (found != algorithms_.end()) return found->second;
  if (algorithms_.size() >= kMostForms) algorithms_.clear();
  return algorithms_[form] = choose(form, description);
}

// Without workspace, and every sum made in one piece: what runs twice has the same bits.
std::optional<Algorithm> Cublas::choose(const Form& form, const Description& d) const {
  const std::shared_ptr<void> preference = make(api_.MatmulPreferenceDestroy, api_.MatmulPreferenceCreate);
  if (!preference) return std::nullopt;
  const auto set_to = [&](PreferenceAttribute attribute, auto value) {
    return set(api_.MatmulPreferenceSetAttribute, preference, attribute, value);
  };
  if (!set_to(kMostWorkspace, std::uint64_t{0}) || !set_to(kReductionSchemes, std::uint32_t{0}) ||
      !set_to(kAlignmentA, form.a.alignment) || !set_to(kAlignmentB, form.b.alignment) ||
      !set_to(kAlignmentC, form.c.alignment) || !set_to(kAlignmentD, form.c.alignment))
    return std::nullopt;
  Choice choice{};
  int count = 0;
  const int status = api_.MatmulAlgoGetHeuristic(handle_, d.operation.get(), d.a.get(), d.b.get(), d.c.get(), d.c.get(),
                                                 preference.get(), 1, &choice, &count);
  if (status != kSuccess || count < 1 || choice.status != kSuccess || choice.workspace > 0) return std::nullopt;
  return choice.algorithm;
}

template bool Cublas::multiply<float>(Stream, const Product<float>&, bool);
template bool Cublas::multiply<double>(Stream, const Product<double>&, bool);
template bool Cublas::multiply<BFloat16>(Stream, const Product<BFloat16>&, bool);
template bool Cublas::multiply<Float16>(Stream, const Product<Float16>&, bool);

}  // namespace rnn_engine::cuda
