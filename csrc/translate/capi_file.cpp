#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "api/arguments.h"
#include "translate/file.h"
#include "translate/model.h"

using namespace rnn_engine;
using namespace rnn_engine::translate;

struct rnn_translate_file {
  std::shared_ptr<const ModelFile> contents;
};

namespace {

rnn_translate_model* network_of(const std::shared_ptr<const ModelFile>& file, const char* isa) {
  std::vector<rnn_translate_tensor> tensors;
  for (const rnn_translate_section& section : file->sections())
    if (section.type == RNN_TRANSLATE_OF_FLOAT32)
      tensors.push_back({section.name, static_cast<const float*>(section.data), section.rows * section.columns});
  const rnn_translate_shape shape = file->shape();
  try {
    return new rnn_translate_model{
        file, Network(shape, Tensors(tensors.data(), static_cast<std::int64_t>(tensors.size())), isa)};
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(file->path() + ": " + error.what());
  }
}

}  // namespace

extern "C" {

int rnn_translate_file_open(const char* path, rnn_translate_file** file) {
  return guarded([&] {
    require_pointer(path, "path");
    require_pointer(file, "file");
    *file = new rnn_translate_file{ModelFile::open(path)};
  });
}

void rnn_translate_file_close(rnn_translate_file* file) { delete file; }

int rnn_translate_file_sections(const rnn_translate_file* file, const rnn_translate_section** sections,
                                int64_t* count) {
  return guarded([&] {
    require_pointer(file, "file");
    require_pointer(sections, "sections");
    require_pointer(count, "count");
    *sections = file->contents->sections().data();
    *count = static_cast<int64_t>(file->contents->sections().size());
  });
}

int rnn_translate_file_network(const rnn_translate_file* file, const char* isa, rnn_translate_model** model) {
  return guarded([&] {
    require_pointer(file, "file");
    require_pointer(model, "model");
    *model = network_of(file->contents, isa);
  });
}

int rnn_translate_model_open(const char* path, const char* isa, rnn_translate_model** model) {
  return guarded([&] {
    require_pointer(path, "path");
    require_pointer(model, "model");
    *model = network_of(ModelFile::open(path), isa);
  });
}

int rnn_translate_file_make(const rnn_translate_shape* shape, const rnn_translate_tensor* tensors, int64_t count,
                            const rnn_translate_section* sections, int64_t section_count, char** contents,
                            int64_t* size) {
  return guarded([&] {
    require_pointer(shape, "shape");
    require_pointer(tensors, "tensors");
    if (section_count) require_pointer(sections, "sections");
    require_pointer(contents, "contents");
    require_pointer(size, "size");
    constexpr int64_t kMost = 1 << 16;
    require(count >= 0 && count <= kMost && section_count >= 0 && section_count <= kMost,
            "count: expected 0 to " + std::to_string(kMost));
    const Network network(*shape, Tensors(tensors, count), nullptr);  // a file holds what a network can be made of
    const std::vector<std::int64_t> numbers = numbers_of(network.shape());
    std::vector<rnn_translate_section> all(sections, sections + section_count);
    all.push_back({kNetworkSection, RNN_TRANSLATE_OF_INT64, 1, kNetworkNumbers, numbers.data()});
    for (int64_t i = 0; i < count; ++i)
      all.push_back({tensors[i].name, RNN_TRANSLATE_OF_FLOAT32, 1, tensors[i].count, tensors[i].values});
    const std::vector<char> bytes = file_of(all);
    auto copy = std::make_unique<char[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    *contents = copy.release();
    *size = static_cast<int64_t>(bytes.size());
  });
}

void rnn_translate_contents_free(char* contents) { delete[] contents; }

}  // extern "C"
