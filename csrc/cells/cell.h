// What a cell is: one step forward and backward.
//
// A cell is a struct that inherits CellDefaults, where the traits are explained, and has
//   kName         its name in settings and errors
//   forward       turns wx (and uh), in place, into what backward needs, and c' into c and h
//   backward      turns what forward kept, in place, into d_wx (and d_uh), and dc into dc'; adds to the sums
//   finish        one gate element's gradients from its sums; scalars
// forward and backward work on a vector V of neighbouring hidden units of one sequence; those of a cell with
// kWholeRows, which sums over the units, on all units of some sequences.
// Gate order i, f, g, o unless the cell says otherwise. To add a cell: one file like lstm.h, one line in
// `for_each_cell`, one value in rnn_engine.h.
#pragma once

namespace rnn_engine {

inline constexpr int kMaxVectorParams = 8;
inline constexpr int kMaxSums = 6;
// Rows that a cell with kWholeRows takes at once, so that it loads its vectors once for all of them.
inline constexpr int kCellRows = 4;

struct CellDefaults {
  // Blocks of H rows in W and U; at most as many as a panel has vectors (cpu/kernels/kernels.h).
  static constexpr int kGates = 4;
  // c is h: the stack has one state.
  static constexpr bool kSingleState = false;
  // false: the recurrent product U h' is added onto the input product W x + b in one chain, and arrives in
  // `wx`; true: `wx` holds W x + bias_ih and `uh` holds U h' + bias_hh.
  static constexpr bool kSeparateRecurrentProduct = false;
  // wx and uh are the bare products: the cell adds the biases.
  static constexpr bool kAddsBias = false;
  // The cell needs all units of a sequence at once: a step's products come first, for all units, and then the
  // threads share its rows.
  static constexpr bool kWholeRows = false;
  // Further parameter vectors: first those of [4H], then those of [H]; together at most kMaxVectorParams.
  static constexpr int kVectorParams = 0, kUnitVectors = 0;
  // Bit v: vector v is a bias, which stacks without biases lack.
  static constexpr unsigned kBiasVectors = 0;
  // Sums over all rows and steps that the gradients of biases and [4H] vectors are made of; those of [H]
  // vectors are sums themselves.
  static constexpr int kSums = 1;
  // Values of working memory that backward needs for each unit and row; only with kWholeRows.
  static constexpr int kWork = 0;
};

// Gradients of one gate element's vectors.
template <class T>
struct VectorGradients {
  T bias_ih, bias_hh, vector_params[kMaxVectorParams];
};

}  // namespace rnn_engine
