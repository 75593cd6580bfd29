// Products by cuBLAS, if it is found at run time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cuda/gemm/cublas_api.h"
#include "cuda/kernels/kernels.h"

namespace rnn_engine::cuda {

class Cublas {
 public:
  // For the current device; nullptr if there is none. `products` then says who makes the products, and why:
  // what rnn_engine_cuda_products tells.
  static std::unique_ptr<Cublas> find(std::string& products);

  Cublas(const Cublas&) = delete;
  ~Cublas() { api_.Destroy(handle_); }

  // Puts a product on the stream; or returns false where cuBLAS has no way to make it, or where it is too
  // small for the call to be worth it. Any thread may call it.
  template <class T>
  bool multiply(Stream stream, const Product<T>& product, bool tf32);

 private:
  // By columns, as all matrices of cuBLAS.
  struct Matrix {
    cublas::DataType type;
    std::int64_t rows, columns, stride;
    std::uint32_t alignment;
    auto operator<=>(const Matrix&) const = default;
  };
  // All that the choice of an algorithm may depend on.
  struct Form {
    cublas::Compute compute;
    cublas::Transpose transpose_a, transpose_b;
    Matrix a, b, c;
    std::uint32_t bias_alignment;  // 0: no bias
    auto operator<=>(const Form&) const = default;
  };
  struct Memory {
    const void *a, *b, *bias;
    void* c;
    bool adds;  // to what is in c
  };
  struct Description {
    std::shared_ptr<void> operation, a, b, c;
  };

  Cublas(const cublas::Api& api, void* handle) : api_(api), handle_(handle) {}

  bool run(Stream stream, const Form& form, const Memory& memory);
  std::optional<Description> describe(const Form& form, const void* bias) const;
  std::optional<cublas::Algorithm> algorithm_of(const Form& form, const Description& description);
  std::optional<cublas::Algorithm> choose(const Form& form, const Description& description) const;

  const cublas::Api api_;
  void* const handle_;
  std::mutex mutex_;
  std::map<Form, std::optional<cublas::Algorithm>> algorithms_;  // of every form so far; none: it was refused
};

}  // namespace rnn_engine::cuda
