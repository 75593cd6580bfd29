#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "api/arguments.h"
#include "base/finite.h"
#include "translate/file_network.h"
#include "translate/model.h"

using namespace rnn_engine;
using namespace rnn_engine::translate;

struct rnn_translate_file {
  std::shared_ptr<const ModelFile> contents;
};

namespace {

rnn_translate_model* model_of(const std::shared_ptr<const ModelFile>& file, const char* isa) {
  try {
    return new rnn_translate_model(file, shape_of(*file), tensors_of(*file), isa);
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
    *model = model_of(file->contents, isa);
  });
}

int rnn_translate_model_open(const char* path, const char* isa, rnn_translate_model** model) {
  return guarded([&] {
    require_pointer(path, "path");
    require_pointer(model, "model");
    *model = model_of(ModelFile::open(path), isa);
  });
}

int rnn_translate_all_finite(const float* values, int64_t count) { return all_finite(values, count); }

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
    const std::vector<char> bytes = file_of(std::vector<rnn_translate_section>(sections, sections + section_count),
                                            *shape, Tensors(tensors, count));
    auto copy = std::make_unique<char[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    *contents = copy.release();
    *size = static_cast<int64_t>(bytes.size());
  });
}

void rnn_translate_contents_free(char* contents) { delete[] contents; }

}  // extern "C"
