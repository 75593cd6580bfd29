// The backend interface: what cpu/run needs from a processor. One table of functions for each (instruction set, type).
//
// A panel is a packed piece of a matrix's right-hand side: for each k, `vectors` vectors of `width` values. What a
// panel's vectors stand for is the caller's choice: neighbouring columns, or the four gates of the same hidden units.
//
// Bit equality: every element of a product is one chain of fused multiply-adds over ascending k that begins with
// `init`. How rows, columns and k are cut into pieces therefore changes no bit, nor does the instruction set.
//
// bfloat16 is stored; products accumulate in float32 over pairs of neighbouring k, which packed operands hold
// side by side (kInterleave), an odd last k beside a zero. k may be cut between pairs; matrix units sum up larger
// groups (Kernels::k_group).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bfloat16.h"
#include "base/philox.h"
#include "cells/table.h"

namespace rnn_engine {

inline constexpr int kPanelVectors = 4;
inline constexpr int kRowBlock = 6;  // rows that a micro-kernel holds in registers
inline constexpr int kMaxWidth = 16;
inline constexpr int kLargestGroup = 32;  // Kernels::k_group divides it

// c[rows, panel] = init + a[rows, k] * panel[k, :]
template <class T>
struct GemmTile {
  const T* a;  // element (m, k) at a[m * a_row + k * a_col]; bfloat16: pair k / 2 at a[m * a_row + k * a_col]
  std::ptrdiff_t a_row, a_col;
  std::ptrdiff_t a_block;  // of rows packed in blocks of kRowBlock: between those; 0: all rows are a_row apart
  const T* panel;
  std::int64_t rows, k;
  int vectors;              // of the panel
  const Value<T>* init;     // nullptr: zeros; may be c
  std::ptrdiff_t init_row;  // 0: one row for all
  Value<T>* c;
  std::ptrdiff_t c_row;
  std::ptrdiff_t vector_stride;  // between the panel's vectors, in c and in init
  std::ptrdiff_t panel_row;      // between the panel's k, where it is rows of a matrix as they lie; 0: it is packed
  bool gates;                    // the vectors are the gates of the same units; else neighbouring columns
  std::int64_t columns;          // valid values: of every vector if `gates`, else of all together
  // Where T is not its own Value: the product may begin with, and end in, stored values in place of the above.
  const T* stored_init;
  T* stored_c;
};

// One step of a cell on a tile of rows x at most `width` hidden units, or all units for a cell with
// kWholeRows. Pointers stand at the tile's first unit.
template <class T>
struct CellTile {
  std::int64_t rows, units;
  std::ptrdiff_t gate_stride;  // H: between the gates in wx, uh, gates, vector_params and sums
  const Value<T>* wx;          // forward: [rows, 4H] the products, summed up unless the cell is split
  const Value<T>* uh;          // forward: [rows, 4H] those of a split cell with U
  std::ptrdiff_t product_row;
  // [rows, 4H] what backward is given: activated gates, or wx and uh (gates_uh) of a split cell. Forward
  // writes it unless nullptr; a split cell only where it is rounded, else it is wx and uh themselves.
  // Backward turns it into the gradients of wx and uh.
  T *gates_wx, *gates_uh;
  std::ptrdiff_t gates_row;
  const Value<T>* vector_params[kMaxVectorParams];  // [4H], then those of [H]; nullptr: zeros
  const Value<T>*bias_ih, *bias_hh;                 // [4H] for a cell with kAddsBias; nullptr: zeros
  const Value<T>* c_prev;                           // [rows, H]
  std::ptrdiff_t c_prev_row;
  Value<T>* c;  // [rows, H]; forward writes, backward reads; may be c_prev in forward
  std::ptrdiff_t c_row;
  T* h;  // forward: [rows, H], written unless nullptr
  std::ptrdiff_t h_row;
  const Value<T>* dh;  // backward: [rows, H]
  std::ptrdiff_t dh_row;
  Value<T>* dc;  // backward: [rows, H], gradient of c in, of c_prev out
  std::ptrdiff_t dc_row;
  Value<T>* sums;  // backward: [kSums, 4H], then [H] for each vector of [H]; added to
  Value<T>* work;  // of a cell with kWholeRows: forward [kCellRows, H], backward [kCellRows, kWork, H]
};

// One vector of each of a panel's k (or pairs of k), from as many rows of a row-major matrix [columns, k]:
// its transpose.
template <class T>
struct TransposedPanel {
  const T* rows;
  std::ptrdiff_t row_stride;
  std::int64_t columns;  // rows of the matrix, at most `width`; the rest of the vector is zero
  std::int64_t k;
  T* panel;
  std::ptrdiff_t stride;  // from one k to the next
};

// A piece of one row of a mask, from column `first` on. It marks the values whose random word is below `threshold`.
struct Mask {
  PhiloxKey key;
  std::uint32_t site, step, row;
  std::uint32_t threshold;
  std::int64_t first;
};

// out[columns] = in[columns] * scale, or zero where the mask marks it.
template <class T>
struct DropoutRow {
  const T* in;  // nullptr: ones
  T* out;
  std::int64_t columns;
  Mask mask;
  Value<T> scale;
};

// out[columns] = a + b; out may be either.
template <class T>
struct SumRow {
  const T *a, *b;
  T* out;
  std::int64_t columns;
};

// out[columns] = in factors; out may be in.
template <class T>
struct ScaledRow {
  const T* in;
  const Value<T>* factors;
  T* out;
  std::int64_t columns;
};

// value[columns] = value factors + added
template <class T>
struct ScaledSumRow {
  Value<T>* value;
  const Value<T>* factors;
  const T* added;  // nullptr: zeros
  std::int64_t columns;
};

// Behind a product, with f = `scale`, or 0 where the mask marks a value (only if it `drops`):
// forward   out = act(product) f
// backward  out = dy f act', by y = act(product) f; sums += that
template <class T>
struct EpilogueRow {
  std::int64_t columns;
  Mask mask;
  bool drops, tanh;
  Value<T> scale, inverse;
  const Value<T>* product;  // forward; may be out
  const T *dy, *y;          // backward; dy may be out
  T* out;                   // backward: nullptr: not wanted
  Value<T>* sums;           // backward: of what is not rounded yet; nullptr: not wanted
};

// With s = 1 where the mask marks a value, else 0, or with the one `share` for all values:
// forward   value = s before + (1 - s) next
// backward  past = s value, value = (1 - s) value
template <class T>
struct ZoneoutRow {
  const T *before, *next;  // forward; either may be value
  T* past;                 // backward
  T* value;
  std::int64_t columns;
  Mask mask;
  bool drawn;  // by the mask, else `share`
  Value<T> share;
};

// Softmax over the rows of a matrix whose columns are tokens, in blocks of rows.
template <class T>
struct SoftmaxBlock {
  std::int64_t rows, columns;
  T* z;  // [rows, columns]; block: logits in, exp(logits - top) out; slope: that in, gradient out
  std::ptrdiff_t z_row;
  T *top, *total,
      *sum;         // block writes [columns]: the highest logit, the sum of what z becomes, of the logits
  const T* factor;  // slope: [columns] z = z * factor - shift
  T shift;
  T* row_sums;  // slope: [rows] written: sums of what z becomes, over 16 lanes of columns; nullptr: not
                // wanted
};

// The same of tokens in two passes, beside how far both lie apart: columns [0, columns / 2) are of one, the others of
// the other, in the same order; a column's partner is the same token's. Block leaves z as it is.
template <class T>
struct SoftmaxPairs : SoftmaxBlock<T> {
  T* apart;          // block writes [columns]: the sum of exp(logit - top) (logit - the partner's)
  const T* highest;  // slope: [columns] highest logit; `factor` is scale / sum of exp(logit - highest)
  const T* lift;     // slope: [columns] z = scale p (lift + divergence (z - partner's z)) - scale q divergence - shift
  T divergence;
};

// Joins what the blocks found; arrays are [blocks, stride].
template <class T>
struct SoftmaxJoin {
  std::int64_t blocks, columns;
  std::ptrdiff_t stride;
  T* top;          // out: scale / total of all blocks * exp(top of the block - highest): the slopes' factor
  const T* total;  // of each block
  T* sum;          // of each block; out, in the first row: of all
  T scale;
  T *highest, *all;  // [columns] written: the highest logit, and the sum of exp(logit - highest)
};

// Rows [k] of values -> packed operands in pairs of neighbouring k (bfloat16). A nullptr is a row of zeros.
struct PairedRows {
  const BFloat16* const* rows;
  std::int64_t k;
  std::int64_t first, columns;  // of every row
  BFloat16* packed;
  // Columns are cut into blocks of `block`, which hold all k and lie `block_stride` values apart; the last
  // one is filled up with zeros to a multiple of `fill`.
  std::int64_t block, block_stride, fill;
};

// out = in, a type to another: `parts` pieces of `columns` values of every row.
template <class From, class To>
struct Block {
  std::int64_t rows, parts, columns;
  std::ptrdiff_t part_stride;  // in both
  const From* in;
  std::ptrdiff_t in_row;
  To* out;
  std::ptrdiff_t out_row;
};

// Of a row of logits: the highest, and the sum of exp(logit - highest).
template <class T>
struct RowTotal {
  T highest, total;
};
// A row of attention's weights on the way back. weights: scores in, weights that dropout left out; d_weights: gradients
// of what dropout left in, of the scores out.
template <class T>
struct WeightsRow {
  std::int64_t count;
  T scale, logarithm;  // a weight is exp(score * scale - logarithm)
  const T* kept;       // what dropout multiplies weights by; nullptr: ones
  T* weights;
  T* d_weights;  // nullptr: not wanted
};

// Additive attention of one query: scores[s] = sum_a vector[a] tanh(query[a] + keys[s, a]), and back from d_scores.
template <class T>
struct AdditiveRow {
  std::int64_t length, size;  // S, A
  const T *query, *keys;      // [A], [S, A]
  std::ptrdiff_t key_row;
  const T* vector;    // [A]
  T* scores;          // forward: [S]
  const T* d_scores;  // backward: [S]
  T* d_query;         // backward: [A], written; nullptr: not wanted, as the next two
  T* d_keys;          // backward: [S, A], added to
  std::ptrdiff_t d_key_row;
  T* d_vector;  // backward: [A], added to
};

// weights = softmax(scores), context = weights values; a score is query . key, or, with a vector, vector . tanh(query +
// key).
template <class T>
struct Attention {
  std::int64_t rows, length, key_size, value_size;  // N, S, A, C
  const T *queries, *keys, *values;                 // [N, A], [S, A], [S, C]
  const T* vector;                                  // [A] or nullptr
  T* weights;                                       // [N, S]
  T* context;                                       // [N, C]
  std::ptrdiff_t query_row, context_row;
};

// A matrix [n, k] of bfloat16 as products read it, the same for every instruction set, and in files: panels of
// kBfloat16Panel of its rows, in each [k / 2][kBfloat16Panel][2], and zeros where the last panel's rows or an odd k
// end.
struct Bfloat16Matrix {
  std::int64_t n, k;
  const BFloat16* values;  // [bfloat16_values(n, k)], best aligned to 64 bytes
};
inline constexpr std::int64_t kBfloat16Panel = 16;

inline std::int64_t round_up_to_two(std::int64_t count) { return (count + 1) / 2 * 2; }
inline std::int64_t bfloat16_values(std::int64_t n, std::int64_t k) {
  return (n + kBfloat16Panel - 1) / kBfloat16Panel * kBfloat16Panel * round_up_to_two(k);
}

// c[rows, n] = init + a[rows, k] weights^T in float32 (cpu/kernels/widened.h).
struct WidenedProduct {
  Bfloat16Matrix weights;
  std::int64_t rows;
  const float* a;
  std::ptrdiff_t a_row;
  const float* init;        // nullptr: zeros; may be c
  std::ptrdiff_t init_row;  // 0: one row for all
  float* c;
  std::ptrdiff_t c_row;
};

inline constexpr std::int64_t kChunk = 64;  // logits that a search looks at or leaves out together

template <class T>
struct Kernels {
  int width;
  int k_group;     // neighbouring k that a product sums up at once: k may be cut between groups
  int left_block;  // packed rows of a left side that lie together, all their k: kRowBlock, or 1, each by itself
  void (*gemm)(const GemmTile<T>&);
  void (*pack_transposed)(const TransposedPanel<T>&);
  // Only of a T that is not its own Value: bfloat16.
  void (*pack_pairs)(const PairedRows&);
  void (*narrow)(const Block<Value<T>, T>&);
  void (*widen)(const Block<T, Value<T>>&);
  void (*cell_forward[kCells])(const CellTile<T>&);
  void (*cell_backward[kCells])(const CellTile<T>&);
  void (*dropout)(const DropoutRow<T>&);
  void (*add)(const SumRow<T>&);
  void (*scale)(const ScaledRow<T>&);
  void (*scale_and_add)(const ScaledSumRow<T>&);
  void (*epilogue_forward)(const EpilogueRow<T>&);
  void (*epilogue_backward)(const EpilogueRow<T>&);
  void (*zoneout_forward)(const ZoneoutRow<T>&);
  void (*zoneout_backward)(const ZoneoutRow<T>&);
  void (*softmax_block)(const SoftmaxBlock<T>&);
  void (*softmax_join)(const SoftmaxJoin<T>&);
  void (*softmax_slope)(const SoftmaxBlock<T>&);
  void (*softmax_pairs_block)(const SoftmaxPairs<T>&);
  void (*softmax_pairs_slope)(const SoftmaxPairs<T>&);
  // On one row of `count` values, in place; the last also writes the highest value of every kChunk.
  void (*tanh_row)(T* values, std::int64_t count);
  void (*softmax_row)(T* values, std::int64_t count);
  RowTotal<T> (*total_row)(const T* values, std::int64_t count, T* chunk_tops);
  void (*attend)(const Attention<T>&);
  void (*widened)(const WidenedProduct&);  // of float alone
  // Scores times `scale` become their softmax, and the total is that of the scaled ones.
  RowTotal<T> (*weigh_row)(T* values, std::int64_t count, T scale);
  void (*differentiate_weights)(const WeightsRow<T>&);
  void (*score_additive)(const AdditiveRow<T>&);
  void (*differentiate_additive)(const AdditiveRow<T>&);
  // Runs `iterations` x 16 independent fused multiply-adds; returns the floating-point operations done.
  double (*peak)(std::int64_t iterations);
};

// A matrix [n, k] of 8-bit integers as products read it, the same for every instruction set, and in files: panels of
// kInt8Panel of its rows, in each [k / 4][kInt8Panel][4], and zeros where the last panel's rows or the last four k end.
// Row i is scales[i] times its integers.
struct Int8Matrix {
  std::int64_t n, k;
  const std::int8_t* values;  // [int8_bytes(n, k)], best aligned to 64
  const float* scales;        // [n]
};
inline constexpr std::int64_t kInt8Panel = 16;

inline std::int64_t round_up_to_four(std::int64_t count) { return (count + 3) / 4 * 4; }
inline std::int64_t int8_bytes(std::int64_t n, std::int64_t k) {
  return (n + kInt8Panel - 1) / kInt8Panel * kInt8Panel * round_up_to_four(k);
}

// c[rows, n] = (a[rows, k] weights^T) row_scales weights.scales + init, of 8-bit integers (cpu/kernels/int8.h).
struct Int8Product {
  Int8Matrix weights;
  std::int64_t rows;
  const std::int8_t* a;         // as quantise_rows leaves them
  const float* row_scales;      // [rows]
  const std::int32_t* offsets;  // what the sums begin with: the kernels' offset times a column's sum; of whole panels
  const float* init;            // nullptr: zeros; may be c
  std::ptrdiff_t init_row;      // 0: one row for all
  float* c;
  std::ptrdiff_t c_row;
};

struct Int8Kernels {
  const char* isa;
  std::int32_t offset;
  // Rounds a row of values to -127..127 of a scale, which it returns.
  float (*quantise_row)(const float* values, std::int64_t count, std::int8_t* quantised);
  // The same of rows that products are to be made of: [rows, round_up_to_four(count)], in the form that `product`
  // takes.
  void (*quantise_rows)(std::int64_t rows, const float* values, std::ptrdiff_t row, std::int64_t count,
                        std::int8_t* quantised, float* scales);
  void (*product)(const Int8Product&);
};

struct Backend {
  const char* isa;
  Kernels<float> f32;
  Kernels<double> f64;
  Kernels<BFloat16> bf16;
  Int8Kernels int8;

  template <class T>
  const Kernels<T>& kernels() const;
};

template <>
inline const Kernels<float>& Backend::kernels<float>() const {
  return f32;
}
template <>
inline const Kernels<double>& Backend::kernels<double>() const {
  return f64;
}
template <>
inline const Kernels<BFloat16>& Backend::kernels<BFloat16>() const {
  return bf16;
}

// The backend called `isa`; the best that the machine has if it is nullptr or empty. Throws InvalidArgument
// for one that this build or machine lacks.
Backend select_backend(const char* isa);
bool has_backend(const char* isa);

}  // namespace rnn_engine
