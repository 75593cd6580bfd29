// The cells that need all units of a sequence at once.
#pragma once

#include "cuda/kernels/kernels.h"

namespace rnn_engine::cuda {

template <class T, class Cell>
void whole_rows_forward(Stream stream, const CellForward<T>& step);
template <class T, class Cell>
void whole_rows_backward(Stream stream, const CellBackward<T>& step);

}  // namespace rnn_engine::cuda
