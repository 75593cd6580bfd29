// A linear layer of several inputs side by side, with its activation and dropout; and dropout by itself.
#pragma once

#include <cstdint>

#include "cuda/kernels/kernels.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {

void linear_workspace_bytes(const rnn_engine_linear_problem& problem, std::uint64_t& forward, std::uint64_t& backward);

// Whether a problem allows TF32, the device's business, is part of `with`.
void run_linear(const rnn_engine_linear_problem& problem, const Multipliers& with, const rnn_engine_linear_args& args);
void run_linear_backward(const rnn_engine_linear_problem& problem, const Multipliers& with,
                         const rnn_engine_linear_backward_args& args);
void run_dropout(const rnn_engine_dropout_problem& problem, const rnn_engine_dropout_args& args);

// The kernels that they are made of beside products (cuda/linear/epilogue.cu).

// Rows whose slopes are summed one after the other for the bias, as on the CPU.
inline constexpr int kLinearSum = 32;

// What rows are multiplied by: row r is that of sequence r % batch at step first_step + r / batch.
template <class S>
struct RowFactors {
  PhiloxKey key;
  MaskSite site;
  bool drops;
  S scale;  // of what is not dropped
  std::int64_t batch, first_step;
  bool per_sentence;
};

// out = tanh or identity of rows, times their factors. Of rounded types the product may wait in what is computed with.
template <class T>
struct EpilogueForward {
  std::int64_t first, rows;  // of all rows
  std::int32_t columns;
  RowFactors<Value<T>> factors;
  bool tanh;
  const Value<T>* product;  // [rows, columns], as `out`; may be it
  T* out;
};
template <class T>
void epilogue_forward(Stream stream, const EpilogueForward<T>& epilogue);

// From gradients of the result to those of the product, the slopes; and their sums over kLinearSum rows.
template <class T>
struct EpilogueBackward {
  std::int64_t first, rows;
  std::int32_t columns;
  RowFactors<Value<T>> factors;
  bool tanh;
  Value<T> inverse;  // of the factor of what is not dropped
  const T *dy, *y;   // [rows, columns]; y with tanh alone
  T* slopes;         // the same; nullptr: not wanted
  Value<T>* sums;    // [ceil(rows / kLinearSum), columns]; nullptr: not wanted
};
template <class T>
void epilogue_backward(Stream stream, const EpilogueBackward<T>& epilogue);

// out[columns] = the sums, one after the other, behind what is there unless `overwrite`.
template <class S>
struct BiasSum {
  std::int64_t groups;
  std::int32_t columns;
  const S* sums;
  S* out;
  bool overwrite;
};
template <class S>
void sum_for_bias(Stream stream, const BiasSum<S>& sum);

// out = in times factors, but zeros in rows that are left out.
template <class T>
struct RowDropout {
  std::int64_t rows;
  std::int32_t columns;
  RowFactors<Value<T>> factors;
  bool drops_rows;
  MaskSite row_site;
  const T* in;
  std::int64_t in_row;
  T* out;
};
template <class T>
void row_dropout(Stream stream, const RowDropout<T>& dropout);

}  // namespace rnn_engine::cuda
