// What a cell is: one step forward and backward, for a vector V of neighbouring hidden units of one sequence.
//
// A cell is a struct with
//   kName         its name in settings and errors
//   kSplit        false: the recurrent product U h' is added onto the input product W x + b in one chain, and
//   arrives
//                 in `a`; true: `a` holds W x + bias_ih and `r` holds U h' + bias_hh
//   kExtra        further parameter vectors [4H], at most kMaxExtra; the last one is a bias if kExtraBias
//   kSums         sums over all rows and steps that the gradients of the vectors are made of
//   forward       turns a (and r), in place, into what backward needs, and c' into c and h
//   backward      turns what forward kept, in place, into da (and dr); dc (gradient of c) into dc' (gradient
//   of c'); adds
//                 to the sums
//   finish        one gate element's gradients from its sums; scalars
// Gate order i, f, g, o. To add a cell: one file like lstm.h, one line in `for_each_cell`, one value in
// rnn_engine.h.
#pragma once

namespace rnn_engine {

inline constexpr int kGates = 4;
inline constexpr int kMaxExtra = 4;
inline constexpr int kMaxSums = 4;

// Gradients of one gate element's vectors.
template <class T>
struct VectorGradients {
  T bias_ih, bias_hh, extra[kMaxExtra];
};

}  // namespace rnn_engine
