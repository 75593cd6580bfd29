// What the library is built for.
#pragma once

#ifndef RNN_ENGINE_TRANSLATING_ALONE
#define RNN_ENGINE_TRANSLATING_ALONE 0
#endif

namespace rnn_engine {

// For programs that translate, and want little: layers run forward, in float32; all else is refused.
inline constexpr bool kTranslatingAlone = RNN_ENGINE_TRANSLATING_ALONE != 0;

}  // namespace rnn_engine
