// The functions of cuBLAS that the engine calls, and what they take, declared here: cuBLAS is neither linked
// nor are its headers there where the engine is built. Names and values: NVIDIA, cuBLAS documentation,
// "cuBLASLt Datatypes Reference" and "cuBLASLt API Reference"; cuBLAS 12 and 13 have the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rnn_engine::cuda::cublas {

constexpr int kSuccess = 0;  // CUBLAS_STATUS_SUCCESS

enum DataType : int { kFloat32 = 0, kFloat64 = 1, kFloat16 = 2, kBFloat16 = 14 };      // cudaDataType_t
enum Compute : int { kComputeFloat32 = 68, kComputeFloat64 = 70, kComputeTf32 = 77 };  // cublasComputeType_t
enum Transpose : std::int32_t { kAsItLies = 0, kTransposed = 1 };                      // cublasOperation_t
enum Epilogue : std::uint32_t { kNothing = 1, kAddBias = 4 };                          // cublasLtEpilogue_t
// cublasLtMatmulDescAttributes_t
enum OperationAttribute : int { kTransposeA = 3, kTransposeB = 4, kEpilogue = 7, kBias = 8 };
// cublasLtMatmulPreferenceAttributes_t: the first is a uint64_t, the others uint32_t.
enum PreferenceAttribute : int {
  kMostWorkspace = 1,
  kReductionSchemes = 3,
  kAlignmentA = 5,
  kAlignmentB = 6,
  kAlignmentC = 7,
  kAlignmentD = 8
};

struct Algorithm {  // cublasLtMatmulAlgo_t
  std::uint64_t data[8];
};

struct Choice {  // cublasLtMatmulHeuristicResult_t
  Algorithm algorithm;
  std::size_t workspace;
  int status;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Choice) == 96);

// Under their names without cublasLt. Matrices lie by columns; what is created is opaque. All return a
// status, unless they return something else.
struct Api {
  std::size_t (*GetVersion)();
  const char* (*GetStatusName)(int status);
  int (*Create)(void** handle);
  int (*Destroy)(void* handle);
  int (*MatmulDescCreate)(void** operation, Compute compute, DataType scale);
  int (*MatmulDescDestroy)(void* operation);
  int (*MatmulDescSetAttribute)(void* operation, OperationAttribute attribute, const void* value, std::size_t size);
  int (*MatrixLayoutCreate)(void** matrix, DataType type, std::uint64_t rows, std::uint64_t columns,
                            std::int64_t stride);
  int (*MatrixLayoutDestroy)(void* matrix);
  int (*MatmulPreferenceCreate)(void** preference);
  int (*MatmulPreferenceDestroy)(void* preference);
  int (*MatmulPreferenceSetAttribute)(void* preference, PreferenceAttribute attribute, const void* value,
                                      std::size_t size);
  int (*MatmulAlgoGetHeuristic)(void* handle, void* operation, void* a, void* b, void* c, void* d, void* preference,
                                int wanted, Choice* choices, int* found);
  // d = alpha op(a) op(b) + beta c
  int (*Matmul)(void* handle, void* operation, const void* alpha, const void* a, void* a_matrix, const void* b,
                void* b_matrix, const void* beta, const void* c, void* c_matrix, void* d, void* d_matrix,
                const Algorithm* algorithm, void* workspace, std::size_t workspace_bytes, void* stream);
};

}  // namespace rnn_engine::cuda::cublas
