// What the tests of model files share: files of a small network, in a folder that goes with the test.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/xxh64.h"
#include "network.h"
#include "translate/file_network.h"

using rnn_engine::xxh64;
namespace translate = rnn_engine::translate;
using translate::bytes_of;
using translate::FileHeader;
using translate::FileRecord;
using translate::kNetworkNumbers;
using translate::kNetworkSection;

using Bytes = std::vector<unsigned char>;

// A folder that goes with the test, and the names in it.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/test_model_file.XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() {
    for (const std::string& each : made_) std::remove(each.c_str());
    rmdir(path_.c_str());
  }
  std::string file(const std::string& name) {
    made_.push_back(path_ + "/" + name);
    return made_.back();
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::vector<std::string> made_;
};

inline void write(const std::string& path, const Bytes& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const bool whole = file && (bytes.empty() || std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  CHECK(whole && std::fclose(file) == 0, "%s: cannot be written", path.c_str());
}

inline const char kText[] = "{\"some\": \"settings\"}";
inline const double kNumbers[] = {5, 0.6};
inline const rnn_translate_section kSections[] = {
    {"settings.json", RNN_TRANSLATE_OF_BYTES, 1, sizeof kText - 1, kText},
    {"search", RNN_TRANSLATE_OF_FLOAT64, 1, 2, kNumbers},
    {"nothing", RNN_TRANSLATE_OF_BYTES, 1, 0, nullptr},
};

inline Bytes contents_of(const rnn_translate_shape& shape, const Tensors& tensors) {
  char* contents = nullptr;
  std::int64_t size = 0;
  CHECK(rnn_translate_file_make(&shape, tensors.list, tensors.count, kSections, 3, &contents, &size) == 0, "make: %s",
        rnn_engine_last_error());
  Bytes bytes(contents, contents + size);
  rnn_translate_contents_free(contents);
  return bytes;
}
