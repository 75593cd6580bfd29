// What all vector types have in common: arithmetic in the compiler's own vector extension. A vector type is
// in an unnamed namespace, as this is: with all templates over it, it belongs to the file that includes it,
// and a copy compiled for one instruction set serves no other.
#pragma once

#include "base/device.h"

namespace rnn_engine {
namespace {

template <class V>
concept NativeVector = requires(V x) {
  typename V::Scalar;
  x.v + x.v;
};

template <NativeVector V>
RNN_ENGINE_INLINE V operator+(V a, V b) {
  return V(a.v + b.v);
}
template <NativeVector V>
RNN_ENGINE_INLINE V operator-(V a, V b) {
  return V(a.v - b.v);
}
template <NativeVector V>
RNN_ENGINE_INLINE V operator*(V a, V b) {
  return V(a.v * b.v);
}
template <NativeVector V>
RNN_ENGINE_INLINE V operator/(V a, V b) {
  return V(a.v / b.v);
}
template <NativeVector V>
RNN_ENGINE_INLINE V operator-(V a) {
  return V(-a.v);
}

}  // namespace
}  // namespace rnn_engine
