// The operations that forward and backward are made of: each puts one kernel on a stream. T is what is
// stored, Value<T> what is computed with; all pointers are to device memory.
#pragma once

#include <cstdint>

#include "base/float16.h"
#include "cells/table.h"
#include "cuda/runtime.h"
#include "plan/mask_sites.h"
#include "rnn_engine.h"

namespace rnn_engine::cuda {

// A matrix as a product reads it: element (i, k) lies at data[i * row + k * column], and one of the strides is 1.
template <class T>
struct Operand {
  const T* data;
  std::int64_t row, column;
};

// c[m, n] = init + sum over k of a(m, k) b(n, k).
//
// Every element is one chain of multiply-adds over ascending k (for matrix units: of their groups of k) that
// begins with `init`. No shape of a tile, and nothing beside a row, changes a bit of it; unless `any_order`.
template <class T>
struct Product {
  std::int64_t m, n, k;
  Operand<T> a, b;
  // c begins with the sum of these (nullptr: zeros).
  const Value<T>* bias[2];  // [n]
  const Value<T>* init;     // [m, n]; may be c
  const T* stored_init;     // [m, n], the same, stored
  std::int64_t init_row;
  Value<T>* c;  // one of these is written
  T* stored_c;
  std::int64_t c_row;
  // Unless 0: so many equal pieces of k, each a product of its own, whose c lie `slice_c` apart; only the
  // first begins with the above. Whoever reads adds them up.
  std::int64_t slices, slice_c;
  // Nobody makes this product a second time in other pieces: a library may, that takes sums in an order of its own.
  bool any_order;
};

class Cublas;

// What products are made with.
struct Multipliers {
  int processors;
  bool tf32;       // float32 is rounded to TF32, for the matrix units; other types have but one way
  Cublas* cublas;  // for those in any order; nullptr: the kernels make all
};

template <class T>
void multiply(Stream stream, const Product<T>& product, const Multipliers& with);

// What a product in slices has left, to be added up in their order.
template <class T>
struct SlicedSum {
  const Value<T>* slice;
  std::int32_t count;
  std::int64_t stride;
};

// Which step a row of a batch belongs to. offsets [steps + 1]: first row of each step; nullptr: all steps
// have `batch` rows.
struct RowMap {
  const std::int32_t* offsets;
  std::int32_t steps, batch;
};

// Zoneout or dropout of one step. With s = 1 where the mask marks a value, else 0, or the one `share` for
// all: zoneout makes it s before + (1 - s) next.
template <class T>
struct Draw {
  MaskSite site;         // its key is not used
  const PhiloxKey* key;  // in device memory, so that graphs can be given another; nullptr unless drawn
  std::uint32_t step;
  const std::uint32_t* row_ids;  // [B] the caller's rows; nullptr: 0 to B - 1
  bool on, drawn;
  T share;
};

// What a pseudo-layer's steps share, in the forward call and where gates are recomputed.
template <class T>
struct CellWeights {
  const Value<T>* vector_params[kMaxVectorParams];  // nullptr: zeros
  const Value<T>*bias_ih, *bias_hh;
};

// How h leaves a step: zoneout, the recurrence's copies, the caller's.
template <class T>
struct HiddenEnd {
  std::int32_t rows, units;  // R
  T* h;                      // [rows, ...], `h_row` apart; nullptr: not wanted
  std::int64_t h_row;
  T* state;                 // [B, R] h of every sequence as it was before the step; where zoneout reads it
  std::int32_t ended;       // rows [ended, rows) end here, or go on in another tile: state is written
  T* next;                  // [B, R] what U sees in the next step
  const Value<T>* factors;  // [B, R] recurrent dropout; nullptr: none
  Draw<Value<T>> zoneout;
};

// One forward step of a cell.
template <class T>
struct CellForward {
  std::int32_t rows, units;
  std::int64_t gate_row;       // values from one row of gates to the next
  Value<T>*wx, *uh;            // [rows, Z] W x + b (+ U h' unless the cell is split); U h' + b
  T *reserve_wx, *reserve_uh;  // where backward will find them, if it is not in place; nullptr: not kept
  CellWeights<T> weights;
  const Value<T>* c_prev;  // [rows, H]
  Value<T>* state;         // [B, H] written; may be c_prev; nullptr: not wanted
  Value<T>* c;             // [rows, H] kept; nullptr: not wanted
  Value<T>* c_candidate;   // [rows, H] c before zoneout, kept; nullptr: not wanted
  Value<T>* c_output;      // [rows, ...]; nullptr: not wanted
  std::int64_t c_output_row;
  Draw<Value<T>> zoneout;
  T* h_unprojected;  // [rows, H] with a projection: h before it; end is then not used
  HiddenEnd<T> end;
  Value<T>* work;  // [rows, H] of a cell on whole rows: h
};

template <class T>
void cell_forward(Stream stream, int cell, const CellForward<T>& step);
// The end of a step with a projection: end.h holds W_hr raw.
template <class T>
void end_hidden(Stream stream, const HiddenEnd<T>& end);

// The product U h' of a step and its cell in one. The cell's r is not used; with kSeparateRecurrentProduct
// `bias` begins it.
template <class T>
struct StepForward {
  Operand<T> h, u;  // [rows, R], [Z, R]
  std::int64_t depth;
  const Value<T>* bias;
  CellForward<T> cell;
};
// Not of a cell on whole rows. float32 is rounded to TF32.
template <class T>
void step_forward(Stream stream, int cell, const StepForward<T>& step);

// The gradient of h at a step. Sequences that go on have it from the step after, the others from the caller.
template <class T>
struct StateGradient {
  std::int32_t rows, units, continued;
  SlicedSum<T> product;  // [continued, R] d_uh U of the step after, and dy unless there are factors
  const T* dy;           // [rows, ...]; nullptr: zeros
  std::int64_t dy_row;
  const T* dhn;             // [B, R]; nullptr: zeros
  const Value<T>* factors;  // [B, R]; nullptr: no recurrent dropout
  Value<T>* past;           // [B, R] zoneout: what passes the step by, in and out; nullptr: no zoneout
  Draw<Value<T>> zoneout;
};

// With a projection the gradient of h is written, and a product makes that of the cell's output of it.
template <class T>
void state_gradient(Stream stream, const StateGradient<T>& gradient, T* out);

// Rows whose contributions to the sums are one chain.
inline constexpr int kSumRows = 4;
inline std::int64_t sum_rows(const CellTraits& cell) { return cell.whole_rows ? 1 : kSumRows; }

// Values for each unit of a row that a backward step of a cell on whole rows works in.
RNN_ENGINE_DEVICE constexpr std::int64_t whole_rows_work(int work) { return work + 3; }

// One backward step of a cell.
template <class T>
struct CellBackward {
  std::int32_t rows, units;
  std::int32_t carried;  // rows [carried, rows) begin here
  std::int64_t gate_row;
  T *wx, *uh;  // [rows, Z] kept in, gradients out
  CellWeights<T> weights;
  const Value<T>* c;       // [rows, H] as the cell put it out
  const Value<T>* c_prev;  // [known, H]
  std::int32_t known;
  const Value<T>* c_first;    // [B, H] of the other rows; nullptr: zeros
  StateGradient<T> gradient;  // of h; not used with a projection
  const Value<T>* dh;         // [rows, H] with a projection: of the cell's output
  const Value<T>* dc_output;  // [rows, ...]; nullptr: zeros
  std::int64_t dc_output_row;
  Value<T>* dc;   // [B, H] rolling
  Value<T>* dc0;  // [B, H] written for the rows that begin here; nullptr: not wanted
  Draw<Value<T>> zoneout;
  Value<T>* sums;  // [blocks of rows, sums of the cell]
  // Of a cell on whole rows: [rows, whole_rows_work, H], and [rows, Z] twice where gates are kept rounded.
  Value<T>*work, *wide_wx, *wide_uh;
};

template <class T>
void cell_backward(Stream stream, int cell, const CellBackward<T>& step);

// The product d_uh U of the step after and the cell in one; cell.gradient.product is not used.
template <class T>
struct StepBackward {
  const T* after;  // [continued, Z] d_uh of the step after, rows as far apart as the cell's gates
  const T* u;      // [Z, R]
  const T* begin;  // [continued, ...] what the product begins with; nullptr: zeros
  std::int64_t begin_row;
  CellBackward<T> cell;
};
// Not of a cell on whole rows, and without a projection.
template <class T>
void step_backward(Stream stream, int cell, const StepBackward<T>& step);

// The gradients of a pseudo-layer's vectors from its sums.
template <class T>
struct VectorSums {
  std::int32_t units, row_blocks;
  const Value<T>* sums;
  CellWeights<T> weights;
  Value<T>*bias_ih, *bias_hh, *vector_params[kMaxVectorParams];  // nullptr: not wanted
  bool overwrite;
};
template <class T>
void vector_gradients(Stream stream, int cell, const VectorSums<T>& sums);

// h0 and c0 into the pseudo-layer's states; what U sees first into both halves of `next`.
template <class T>
struct PseudoLayerBegin {
  std::int32_t batch, units, hidden;  // R, H
  const T* h0;                        // nullptr: zeros
  const Value<T>* c0;
  T* h;
  Value<T>* c;
  T* next[2];
  Value<T>* factors;  // [B, R] written; nullptr: no recurrent dropout
  Draw<Value<T>> recurrent;
  Value<T> scale;
};
template <class T>
void begin_pseudo_layer(Stream stream, const PseudoLayerBegin<T>& begin);

// Dropout between layers, of rows [first, first + rows): out = in * mask * scale; out may be in.
template <class T>
struct LayerDropout {
  std::int64_t first, rows;
  std::int32_t columns;
  const T* in;
  std::int64_t in_row;
  T* out;
  std::int64_t out_row;
  RowMap map;
  Draw<Value<T>> draw;
  bool every_step;  // the masks differ from step to step
  Value<T> scale;
};
template <class T>
void layer_dropout(Stream stream, const LayerDropout<T>& dropout);

// out = a + b; out may be either.
template <class T>
struct RowSum {
  std::int64_t rows;
  std::int32_t columns;
  const T *a, *b;
  T* out;
  std::int64_t a_row, b_row, out_row;
};
template <class T>
void sum_rows(Stream stream, const RowSum<T>& sum);

// h before each of some rows, as U saw it: [rows, R].
template <class T>
struct PreviousStates {
  std::int64_t first, rows;
  std::int32_t units, direction;
  RowMap map;
  const T* h;  // of row `h_first` on
  std::int64_t h_first, h_row;
  const T* h0;      // [B, R] before a sequence's first step; nullptr: zeros
  const T* before;  // [B, R] of step `before_step`, in place of the rows; nullptr: none
  std::int32_t before_step;
  const Value<T>* factors;
  T* out;
};
template <class T>
void previous_states(Stream stream, const PreviousStates<T>& states);

// dh0 of rows [first, rows): factors and what zoneout let pass.
template <class T>
struct InitialGradient {
  std::int32_t first, rows, units;
  SlicedSum<T> product;  // [rows - first, R]
  const Value<T>*factors, *past;
  T* out;  // [B, R]
};
template <class T>
void initial_gradient(Stream stream, const InitialGradient<T>& gradient);

// Copies numbers from the host into device memory, as arguments of kernels: without waiting, and so that a
// graph may capture it.
void write_table(Stream stream, const std::int32_t* numbers, std::int64_t count, std::int32_t* out);

template <class T>
void copy_values(Stream stream, const T* from, std::int64_t count, T* to);

// The cells that need all units of a sequence at once (whole_rows.cu), for cell_forward and cell_backward.
template <class T, class Cell>
void whole_rows_forward(Stream stream, const CellForward<T>& step);
template <class T, class Cell>
void whole_rows_backward(Stream stream, const CellBackward<T>& step);

}  // namespace rnn_engine::cuda
