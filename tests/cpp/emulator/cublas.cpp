// A small cuBLAS for the emulated device: the functions that csrc/cuda/gemm/cublas_api.h declares, over the
// process's memory. It sums by descending k, so that it is seen where it was used; it demands what the real
// one's documentation demands, and what its caller promised; and it fails where a test wants it to.
#include "cuda/gemm/cublas_api.h"

#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include "base/float16.h"

using namespace rnn_engine;
using namespace rnn_engine::cuda::cublas;

namespace {

constexpr int kNotInitialized = 1, kInvalidValue = 7, kExecutionFailed = 13,
              kNotSupported = 15;       // cublasStatus_t
constexpr std::uint64_t kSum = 0xfeed;  // the one algorithm

struct Operation {
  Compute compute;
  DataType scale;
  Transpose a = kAsItLies, b = kAsItLies;
  Epilogue epilogue = kNothing;
  const void* bias = nullptr;
};
struct Matrix {
  DataType type;
  std::uint64_t rows, columns;
  std::int64_t stride;
};
struct Preference {
  std::uint64_t workspace = 1;
  std::uint32_t reductions = 7, alignment[4] = {256, 256, 256, 256};  // of a, b, c, d
};

int handle;
long products = 0;
Compute last = kComputeFloat32;
std::string failing;

bool fails(const char* function) { return failing == function; }

template <class Value>
int take(Value& value, const void* from, std::size_t size) {
  if (size != sizeof value) return kInvalidValue;
  std::memcpy(&value, from, sizeof value);
  return kSuccess;
}

int bytes_of(DataType type) { return type == kFloat64 ? 8 : type == kFloat32 ? 4 : 2; }

// Of matrices and types: what a product needs, whatever its algorithm.
bool agree(const Operation& o, const Matrix& a, const Matrix& b, const Matrix& d) {
  const auto rows = [](const Matrix& m, Transpose t) { return t == kAsItLies ? m.rows : m.columns; };
  const auto columns = [](const Matrix& m, Transpose t) { return t == kAsItLies ? m.columns : m.rows; };
  const auto lies = [](const Matrix& m) { return m.stride >= static_cast<std::int64_t>(m.rows); };
  const bool wide = a.type == kFloat64;
  return rows(a, o.a) == d.rows && columns(b, o.b) == d.columns && columns(a, o.a) == rows(b, o.b) && lies(a) &&
         lies(b) && lies(d) && a.type == b.type && (d.type == a.type || d.type == kFloat32) &&
         wide == (o.compute == kComputeFloat64) && wide == (o.scale == kFloat64) &&
         (o.compute != kComputeTf32 || a.type == kFloat32) && (o.epilogue == kNothing) == (o.bias == nullptr);
}

float to_tf32(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x1000u) & ~0x1fffu;
  std::memcpy(&x, &bits, sizeof bits);
  return x;
}

template <class Visit>
void visit_type(DataType type, const Visit& visit) {
  if (type == kFloat64) visit(double{});
  if (type == kFloat32) visit(float{});
  if (type == kFloat16) visit(Float16{});
  if (type == kBFloat16) visit(BFloat16{});
}

// d = op(a) op(b) + beta d (+ bias, of the sums' type)
template <class In, class Out>
void compute(const Operation& o, const In* a, const Matrix& ma, const In* b, const Matrix& mb, Value<In> beta, Out* d,
             const Matrix& md) {
  using S = Value<In>;
  const auto at = [](const In* data, const Matrix& m, Transpose t, std::uint64_t row, std::uint64_t column) {
    if (t == kTransposed) std::swap(row, column);
    return widen(data[row + column * static_cast<std::uint64_t>(m.stride)]);
  };
  const auto operand = [&](S x) {
    if constexpr (std::is_same_v<S, float>)
      return o.compute == kComputeTf32 ? to_tf32(x) : x;
    else
      return x;
  };
  const std::uint64_t depth = o.a == kAsItLies ? ma.columns : ma.rows;
  for (std::uint64_t column = 0; column < md.columns; ++column)
    for (std::uint64_t row = 0; row < md.rows; ++row) {
      S sum = 0;
      for (std::uint64_t k = depth; k-- > 0;)
        sum += operand(at(a, ma, o.a, row, k)) * operand(at(b, mb, o.b, k, column));
      Out& out = d[row + column * static_cast<std::uint64_t>(md.stride)];
      if (beta != 0) sum += beta * widen(out);
      if (o.bias) sum += static_cast<const S*>(o.bias)[row];
      if constexpr (std::is_same_v<Out, S>)
        out = sum;
      else
        out = narrow<Out>(sum);
    }
}

}  // namespace

extern "C" {

#pragma GCC visibility push(default)

// For tests: how many products were made, how the last one, and which function is to fail from now on ("": none).
long emulated_products() { return products; }
int emulated_compute() { return last; }
void emulated_failure(const char* function) { failing = function; }

std::size_t cublasLtGetVersion() { return 130102; }
const char* cublasLtGetStatusName(int status) {
  return status == kExecutionFailed ? "CUBLAS_STATUS_EXECUTION_FAILED"
         : status == kInvalidValue  ? "CUBLAS_STATUS_INVALID_VALUE"
                                    : "CUBLAS_STATUS_NOT_INITIALIZED";
}

int cublasLtCreate(void** made) {
  *made = &handle;
  return fails("Create") ? kNotInitialized : kSuccess;
}
int cublasLtDestroy(void*) { return kSuccess; }

int cublasLtMatmulDescCreate(void** made, Compute compute, DataType scale) {
  if (fails("MatmulDescCreate")) return kNotInitialized;
  *made = new Operation{compute, scale};
  return kSuccess;
}
int cublasLtMatmulDescDestroy(void* operation) {
  delete static_cast<Operation*>(operation);
  return kSuccess;
}
int cublasLtMatmulDescSetAttribute(void* operation, OperationAttribute attribute, const void* value, std::size_t size) {
  auto& o = *static_cast<Operation*>(operation);
  if (attribute == kTransposeA) return take(o.a, value, size);
  if (attribute == kTransposeB) return take(o.b, value, size);
  if (attribute == kEpilogue) return take(o.epilogue, value, size);
  if (attribute == kBias) return take(o.bias, value, size);
  return kInvalidValue;
}

int cublasLtMatrixLayoutCreate(void** made, DataType type, std::uint64_t rows, std::uint64_t columns,
                               std::int64_t stride) {
  *made = new Matrix{type, rows, columns, stride};
  return kSuccess;
}
int cublasLtMatrixLayoutDestroy(void* matrix) {
  delete static_cast<Matrix*>(matrix);
  return kSuccess;
}

int cublasLtMatmulPreferenceCreate(void** made) {
  *made = new Preference;
  return kSuccess;
}
int cublasLtMatmulPreferenceDestroy(void* preference) {
  delete static_cast<Preference*>(preference);
  return kSuccess;
}
int cublasLtMatmulPreferenceSetAttribute(void* preference, PreferenceAttribute attribute, const void* value,
                                         std::size_t size) {
  auto& p = *static_cast<Preference*>(preference);
  if (attribute == kMostWorkspace) return take(p.workspace, value, size);
  if (attribute == kReductionSchemes) return take(p.reductions, value, size);
  if (attribute >= kAlignmentA && attribute <= kAlignmentD)
    return take(p.alignment[attribute - kAlignmentA], value, size);
  return kInvalidValue;
}

// As the real one may, it refuses 16-bit matrices whose rows or addresses are not aligned to 16 bytes.
int cublasLtMatmulAlgoGetHeuristic(void* of, void* operation, void* a, void* b, void* c, void* d, void* preference,
                                   int wanted, Choice* choices, int* found) {
  const auto& p = *static_cast<Preference*>(preference);
  const Matrix* matrices[] = {static_cast<Matrix*>(a), static_cast<Matrix*>(b), static_cast<Matrix*>(d)};
  *found = 0;
  if (of != &handle || wanted < 1 || c != d || p.workspace != 0 || p.reductions != 0) return kInvalidValue;
  if (!agree(*static_cast<Operation*>(operation), *matrices[0], *matrices[1], *matrices[2])) return kInvalidValue;
  if (fails("MatmulAlgoGetHeuristic")) return kNotSupported;
  for (int i = 0; i < 3; ++i) {
    const int bytes = bytes_of(matrices[i]->type);
    if (p.alignment[i] < static_cast<std::uint32_t>(bytes)) return kInvalidValue;
    if (matrices[i]->type != kFloat16 && matrices[i]->type != kBFloat16) continue;
    if (matrices[i]->stride * bytes % 16 != 0 || p.alignment[i] < 16) return kNotSupported;
  }
  *choices = {};
  // The algorithm holds what it relies on.
  for (int i = 0; i < 4; ++i) choices->algorithm.data[i] = p.alignment[i];
  choices->algorithm.data[4] = kSum;
  *found = 1;
  return kSuccess;
}

int cublasLtMatmul(void* of, void* operation, const void* alpha, const void* a, void* a_matrix, const void* b,
                   void* b_matrix, const void* beta, const void* c, void* c_matrix, void* d, void* d_matrix,
                   const Algorithm* algorithm, void*, std::size_t workspace, void*) {
  const auto& o = *static_cast<Operation*>(operation);
  const auto &ma = *static_cast<Matrix*>(a_matrix), &mb = *static_cast<Matrix*>(b_matrix),
             &md = *static_cast<Matrix*>(d_matrix);
  if (of != &handle || algorithm->data[4] != kSum || workspace != 0 || c != d || c_matrix != d_matrix ||
      !agree(o, ma, mb, md))
    return kInvalidValue;
  const void* memory[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i)
    if (reinterpret_cast<std::uintptr_t>(memory[i]) % algorithm->data[i] != 0) return kInvalidValue;
  if (fails("Matmul")) return kExecutionFailed;
  ++products;
  last = o.compute;
  visit_type(ma.type, [&]<class In>(In) {
    using S = Value<In>;
    const S scales[] = {*static_cast<const S*>(alpha), *static_cast<const S*>(beta)};
    if (scales[0] != 1) return;
    const auto to = [&]<class Out>(Out* out) {
      compute(o, static_cast<const In*>(a), ma, static_cast<const In*>(b), mb, scales[1], out, md);
    };
    if (md.type == ma.type)
      to(static_cast<In*>(d));
    else
      to(static_cast<S*>(d));
  });
  return kSuccess;
}

#pragma GCC visibility pop
}

// Compiles only where the prototypes are those that the engine calls.
[[maybe_unused]] constexpr Api kSame = {cublasLtGetVersion,
                                        cublasLtGetStatusName,
                                        cublasLtCreate,
                                        cublasLtDestroy,
                                        cublasLtMatmulDescCreate,
                                        cublasLtMatmulDescDestroy,
                                        cublasLtMatmulDescSetAttribute,
                                        cublasLtMatrixLayoutCreate,
                                        cublasLtMatrixLayoutDestroy,
                                        cublasLtMatmulPreferenceCreate,
                                        cublasLtMatmulPreferenceDestroy,
                                        cublasLtMatmulPreferenceSetAttribute,
                                        cublasLtMatmulAlgoGetHeuristic,
                                        cublasLtMatmul};
