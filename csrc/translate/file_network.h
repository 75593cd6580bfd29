// The network of a model file: from sections to tensors, and from tensors to sections.
//
// Sections of a network: `network`, the numbers of its shape; and its tensors by name. Matrices of 8-bit integers are
// in panels, and have their scales beside them, as NAME.scales.
#pragma once

#include <cstdint>
#include <vector>

#include "translate/file.h"
#include "translate/tensors.h"

namespace rnn_engine::translate {

inline constexpr const char* kNetworkSection = "network";
// Those of earlier versions are without heads, context and zoneout, or without input feeding, or the embeddings; there
// is then one head, the context readout, and nothing of the others.
inline constexpr std::int64_t kNetworkNumbers = 14, kEarlierNumbers[] = {9, 12, 13};

// What a file says of its network. Throws InvalidArgument, like the next.
rnn_translate_shape shape_of(const ModelFile& file);
// Its tensors, which lie in the file.
Tensors tensors_of(const ModelFile& file);

// The bytes of a file of some sections, and of the network that the tensors make, in its precision.
std::vector<char> file_of(std::vector<rnn_translate_section> sections, const rnn_translate_shape& shape,
                          const Tensors& tensors);

}  // namespace rnn_engine::translate
