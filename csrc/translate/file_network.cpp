#include "translate/file_network.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/finite.h"
#include "translate/linear.h"
#include "translate/network.h"

namespace rnn_engine::translate {
namespace {

const std::string kScales = ".scales";

void require_precision(const rnn_translate_section& section, int found, int of_network) {
  const auto name = [](int precision) {
    return precision == RNN_TRANSLATE_FLOAT32 ? "float32" : precision == RNN_TRANSLATE_INT8 ? "int8" : "bfloat16";
  };
  require(found == of_network, std::string(section.name) + ": expected " + name(of_network) + ", got " + name(found));
}

Int8Matrix int8_of(const ModelFile& file, const rnn_translate_section& section) {
  const std::string name = section.name;
  const rnn_translate_section* scales = file.find(name + kScales, RNN_TRANSLATE_OF_FLOAT32);
  require(scales && scales->rows == 1 && scales->columns == section.rows,
          name + kScales + ": expected " + std::to_string(section.rows) + " values");
  // -128 is no value of ours: the products of some instruction sets have no room for it.
  require(!std::memchr(section.data, 0x80, bytes_of(section)), name + ": expected integers of -127 to 127, got -128");
  return {section.rows, section.columns, static_cast<const std::int8_t*>(section.data),
          static_cast<const float*>(scales->data)};
}

Bfloat16Matrix bfloat16_of(const rnn_translate_section& section) {
  const auto* values = static_cast<const BFloat16*>(section.data);
  const std::int64_t count = bfloat16_values(section.rows, section.columns);
  require(std::all_of(values, values + count, [](BFloat16 value) { return (value.bits & 0x7f80u) != 0x7f80u; }),
          std::string(section.name) + ": holds values that are not finite");
  return {section.rows, section.columns, values};
}

}  // namespace

rnn_translate_shape shape_of(const ModelFile& file) {
  const rnn_translate_section* section = file.find(kNetworkSection, RNN_TRANSLATE_OF_INT64);
  const auto told = [](std::int64_t count) {
    return count == kNetworkNumbers ||
           std::find(std::begin(kEarlierNumbers), std::end(kEarlierNumbers), count) != std::end(kEarlierNumbers);
  };
  require(
      section && section->rows == 1 && told(section->columns),
      std::string("expected a section `") + kNetworkSection + "` of " + std::to_string(kNetworkNumbers) + " numbers");
  std::int64_t numbers[kNetworkNumbers] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, RNN_TRANSLATE_READOUT, 0, 0, 0};
  std::memcpy(numbers, section->data, sizeof(std::int64_t) * static_cast<std::size_t>(section->columns));
  for (const int i : {0, 1, 2, 10})
    require(numbers[i] >= 0 && numbers[i] < 256, "network: a cell, attention, precision or context that there is not");
  const auto kind = [&](int i) { return static_cast<std::int32_t>(numbers[i]); };
  return {kind(0),    kind(1),    kind(2),    numbers[3], numbers[4],  numbers[5],  numbers[6],
          numbers[7], numbers[8], numbers[9], kind(10),   numbers[11], numbers[12], numbers[13]};
}

Tensors tensors_of(const ModelFile& file) {
  std::vector<rnn_translate_tensor> values;
  for (const rnn_translate_section& section : file.sections()) {
    if (section.type != RNN_TRANSLATE_OF_FLOAT32) continue;
    const auto* data = static_cast<const float*>(section.data);
    const std::int64_t count = section.rows * section.columns;
    require(all_finite(data, count), std::string(section.name) + ": holds values that are not finite");
    values.push_back({section.name, data, count});
  }
  Tensors tensors(values.data(), static_cast<std::int64_t>(values.size()));
  const std::int32_t precision = shape_of(file).precision;
  for (const rnn_translate_section& section : file.sections()) {
    Matrix matrix{section.rows, section.columns, nullptr};
    if (section.type == RNN_TRANSLATE_OF_INT8_PANELS) {
      require_precision(section, RNN_TRANSLATE_INT8, precision);
      matrix.int8 = int8_of(file, section);
    } else if (section.type == RNN_TRANSLATE_OF_BFLOAT16_PANELS) {
      require_precision(section, RNN_TRANSLATE_BFLOAT16, precision);
      matrix.bfloat16 = bfloat16_of(section);
    } else {
      continue;
    }
    tensors.add(section.name, matrix);
  }
  return tensors;
}

std::vector<char> file_of(std::vector<rnn_translate_section> sections, const rnn_translate_shape& shape,
                          const Tensors& tensors) {
  const Network network(shape, tensors, nullptr);  // says what is missing, and what is used
  const std::int64_t numbers[kNetworkNumbers] = {
      shape.cell,           shape.attention,   shape.precision,      shape.source_vocabulary, shape.target_vocabulary,
      shape.embedding_size, shape.hidden_size, shape.encoder_layers, shape.decoder_layers,    shape.attention_heads,
      shape.context,        shape.zoneout,     shape.input_feeding,  shape.attend_embeddings};
  sections.push_back({kNetworkSection, RNN_TRANSLATE_OF_INT64, 1, kNetworkNumbers, numbers});
  std::vector<std::string> names;  // of scales
  names.reserve(tensors.used().size());
  std::vector<std::unique_ptr<RoundedWeights>> rounded;
  const Backend backend = select_backend(nullptr);
  for (const auto& [name, matrix] : tensors.used()) {
    if (shape.precision == RNN_TRANSLATE_FLOAT32 || matrix.n == 1) {
      sections.push_back({name.c_str(), RNN_TRANSLATE_OF_FLOAT32, matrix.n, matrix.k, matrix.values});
      continue;
    }
    const RoundedWeights& packed =
        *rounded.emplace_back(std::make_unique<RoundedWeights>(backend, shape.precision, matrix));
    if (const Bfloat16Matrix& halves = packed.bfloat16(); halves.values) {
      sections.push_back({name.c_str(), RNN_TRANSLATE_OF_BFLOAT16_PANELS, halves.n, halves.k, halves.values});
      continue;
    }
    const Int8Matrix& integers = packed.int8();
    sections.push_back({name.c_str(), RNN_TRANSLATE_OF_INT8_PANELS, integers.n, integers.k, integers.values});
    names.push_back(name + kScales);
    sections.push_back({names.back().c_str(), RNN_TRANSLATE_OF_FLOAT32, 1, integers.n, integers.scales});
  }
  return file_of(sections);
}

}  // namespace rnn_engine::translate
