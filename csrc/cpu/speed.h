// How fast this machine is.
#pragma once

#include "cpu/kernels/kernels.h"

namespace rnn_engine {

// How many times as fast as costs that are typical (cpu/cost.h), for all threads at work at once; T is a dtype's type.
// It is measured once for a machine and kept (base/kept.h).
template <class T>
double speed_of(const Backend& backend, int threads);

}  // namespace rnn_engine
