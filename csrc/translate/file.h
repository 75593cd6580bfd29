// Model files: sections by name in one file that is mapped and used where it lies (docs/model_file.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rnn_translate_file.h"

namespace rnn_engine::translate {

inline constexpr unsigned char kFileMagic[8] = {0x89, 'N', 'M', 'T', '\r', '\n', 0x1A, '\n'};
inline constexpr std::uint32_t kFileVersion = 1, kByteOrder = 0x01020304;
inline constexpr std::uint64_t kFileAlignment = 64;

// Numbers are taken as they lie; the lowest byte comes first. Every byte of a file is the header's, a record's or a
// section's, and has a digest, or is a zero that aligns the next section: no change goes unseen.
struct FileHeader {
  unsigned char magic[8];
  std::uint32_t version, byte_order;
  std::uint64_t size;           // of the file
  std::uint64_t section_count;  // records that follow
  std::uint64_t zeros[2];
  std::uint64_t table_digest;   // XXH64 of all records
  std::uint64_t header_digest;  // of what is above
};
static_assert(sizeof(FileHeader) == 64);

struct FileRecord {
  char name[88];  // the rest zeros
  std::uint32_t type, zero;
  std::uint64_t rows, columns;
  std::uint64_t offset;  // where the section before ends, aligned
  std::uint64_t digest;
};
static_assert(sizeof(FileRecord) == 128);

constexpr std::uint64_t aligned_place(std::uint64_t offset) {
  return (offset + kFileAlignment - 1) / kFileAlignment * kFileAlignment;
}

// No network that could be made has larger sections, or more; and products of such numbers fit 64 bits.
inline constexpr std::uint64_t kMostSections = 1 << 16, kMostRows = std::uint64_t{1} << 30;

// Bytes of a section of a type that there is, and of at most kMostRows rows and columns.
std::uint64_t bytes_of(std::uint32_t type, std::uint64_t rows, std::uint64_t columns);
std::uint64_t bytes_of(const rnn_translate_section& section);

class ModelFile {
 public:
  // Throws InvalidArgument, whose message begins with the path.
  static std::shared_ptr<const ModelFile> open(const std::string& path);
  ModelFile(const ModelFile&) = delete;
  ~ModelFile();

  const std::string& path() const { return path_; }
  const std::vector<rnn_translate_section>& sections() const { return sections_; }
  // The section of a name and a type; nullptr if there is none.
  const rnn_translate_section* find(std::string_view name, int type) const;

 private:
  explicit ModelFile(const std::string& path);
  void map();
  void check();
  rnn_translate_section checked(const FileRecord& record, std::uint64_t end) const;

  std::string path_;
  const unsigned char* data_ = nullptr;
  std::uint64_t size_ = 0;
  std::vector<rnn_translate_section> sections_;
};

// The bytes of a file that holds these sections, in this order. Throws InvalidArgument where a file could not.
std::vector<char> file_of(const std::vector<rnn_translate_section>& sections);

}  // namespace rnn_engine::translate
