#include "translate/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/xxh64.h"
#include "cpu/kernels/kernels.h"

namespace rnn_engine::translate {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return S_ISREG(mode) ? nullptr : "something else";
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

bool are_zeros(const unsigned char* begin, const unsigned char* end) {
  return std::all_of(begin, end, [](unsigned char byte) { return byte == 0; });
}

}  // namespace

std::uint64_t bytes_of(std::uint32_t type, std::uint64_t rows, std::uint64_t columns) {
  switch (type) {
    case RNN_TRANSLATE_OF_INT8_PANELS:
      return static_cast<std::uint64_t>(
          int8_bytes(static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)));
    case RNN_TRANSLATE_OF_BFLOAT16_PANELS:
      return sizeof(BFloat16) * static_cast<std::uint64_t>(bfloat16_values(static_cast<std::int64_t>(rows),
                                                                           static_cast<std::int64_t>(columns)));
    case RNN_TRANSLATE_OF_FLOAT32:
    case RNN_TRANSLATE_OF_INT32:
      return rows * columns * sizeof(float);
    case RNN_TRANSLATE_OF_INT64:
    case RNN_TRANSLATE_OF_FLOAT64:
      return rows * columns * sizeof(double);
    default:
      return rows * columns;
  }
}

std::uint64_t bytes_of(const rnn_translate_section& section) {
  return bytes_of(static_cast<std::uint32_t>(section.type), static_cast<std::uint64_t>(section.rows),
                  static_cast<std::uint64_t>(section.columns));
}

std::shared_ptr<const ModelFile> ModelFile::open(const std::string& path) {
  std::shared_ptr<ModelFile> file(new ModelFile(path));
  try {
    file->map();
    file->check();
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(path + ": " + error.what());
  }
  return file;
}

ModelFile::ModelFile(const std::string& path) : path_(path) {}

ModelFile::~ModelFile() {
  if (data_) ::munmap(const_cast<unsigned char*>(data_), size_);
}

void ModelFile::map() {
  const auto require_regular = [](int code, const struct stat& found) {
    require(code == 0, std::strerror(errno));
    if (const char* kind = kind_of(found.st_mode)) throw InvalidArgument(std::string("expected a file, got ") + kind);
  };
  struct stat found{};
  require_regular(::stat(path_.c_str(), &found), found);  // opening alone means something to some devices
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  require(file.number() >= 0, std::strerror(errno));
  require_regular(::fstat(file.number(), &found), found);  // may be another file by now
  const auto size = static_cast<std::uint64_t>(found.st_size);
  require(size >= sizeof(FileHeader), "expected a model file, got " + std::to_string(size) + " bytes");
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
  require(data != MAP_FAILED, std::string("cannot be mapped: ") + std::strerror(errno));
  data_ = static_cast<const unsigned char*>(data);
  size_ = size;
}

void ModelFile::check() {
  FileHeader header;
  std::memcpy(&header, data_, sizeof header);
  require(std::memcmp(header.magic, kFileMagic, sizeof kFileMagic) == 0,
          "expected a model file, as `nmt export` writes it, got something else");
  require(header.byte_order == kByteOrder, "damaged, or of a machine with another order of bytes");
  require(header.version == kFileVersion, "version: expected " + std::to_string(kFileVersion) + ", got " +
                                              std::to_string(header.version) + "; export the model again");
  require(header.header_digest == xxh64(&header, offsetof(FileHeader, header_digest)),
          "damaged: the digest of its header is another");
  require(header.size == size_, "damaged: expected " + std::to_string(header.size) +
                                    " bytes, as its header says, got " + std::to_string(size_));
  require(header.section_count <= kMostSections &&
              header.section_count <= (size_ - sizeof header) / sizeof(FileRecord) && !header.zeros[0] &&
              !header.zeros[1],
          "damaged: more sections than there is room for");
  const auto count = static_cast<std::size_t>(header.section_count);
  const unsigned char* records = data_ + sizeof header;
  require(header.table_digest == xxh64(records, count * sizeof(FileRecord)),
          "damaged: the digest of its table is another");

  std::set<std::string_view> names;
  std::uint64_t end = sizeof header + count * sizeof(FileRecord);
  for (std::size_t i = 0; i < count; ++i) {
    FileRecord record;
    std::memcpy(&record, records + i * sizeof record, sizeof record);
    rnn_translate_section section = checked(record, end);
    section.name = reinterpret_cast<const char*>(records + i * sizeof record);
    end = record.offset + bytes_of(section);
    require(names.insert(section.name).second, std::string("damaged: two sections ") + section.name);
    sections_.push_back(section);
  }
  require(end == size_, "damaged: " + std::to_string(size_ - end) + " bytes behind the last section");
}

// A record, whose section begins behind `end`, the end of what comes before; without its name, which is checked.
rnn_translate_section ModelFile::checked(const FileRecord& record, std::uint64_t end) const {
  const char* name_end = std::find(record.name, std::end(record.name), '\0');
  require(name_end != record.name && name_end != std::end(record.name) &&
              std::all_of(record.name, name_end, [](char each) { return each > ' ' && each <= '~'; }) &&
              std::all_of(name_end, std::end(record.name), [](char each) { return each == 0; }),
          "damaged: a section without a proper name");
  const std::string name = std::string("damaged: section ") + record.name;
  require(record.type < RNN_TRANSLATE_TYPES && !record.zero, name + ": of a type that there is not");
  require(record.rows <= kMostRows && record.columns <= kMostRows, name + ": larger than anything could be");
  require(record.offset == aligned_place(end),
          name + ": expected at byte " + std::to_string(aligned_place(end)) + ", got " + std::to_string(record.offset));
  const std::uint64_t bytes = bytes_of(record.type, record.rows, record.columns);
  require(record.offset <= size_ && bytes <= size_ - record.offset,
          name + ": ends beyond the file: expected at most " + std::to_string(size_) + " bytes, got " +
              std::to_string(record.offset) + " + " + std::to_string(bytes));
  require(are_zeros(data_ + end, data_ + record.offset), name + ": expected zeros before it");
  require(record.digest == xxh64(data_ + record.offset, bytes), name + ": its digest is another");
  return {nullptr, static_cast<std::int32_t>(record.type), static_cast<std::int64_t>(record.rows),
          static_cast<std::int64_t>(record.columns), data_ + record.offset};
}

const rnn_translate_section* ModelFile::find(std::string_view name, int type) const {
  for (const rnn_translate_section& section : sections_)
    if (section.type == type && section.name == name) return &section;
  return nullptr;
}

std::vector<char> file_of(const std::vector<rnn_translate_section>& sections) {
  const std::uint64_t table = sizeof(FileHeader), begin = table + sections.size() * sizeof(FileRecord);
  std::vector<FileRecord> records;
  std::uint64_t end = begin;
  std::set<std::string_view> names;
  require(sections.size() <= kMostSections, "sections: more than a file can have");
  for (const rnn_translate_section& section : sections) {
    require(section.name, "sections: expected a name for each");
    const std::string_view name = section.name;
    FileRecord& record = records.emplace_back();
    require(!name.empty() && name.size() < sizeof record.name &&
                std::all_of(name.begin(), name.end(), [](char each) { return each > ' ' && each <= '~'; }),
            "sections: expected names of 1 to 87 printable characters, got " + std::string(name));
    require(names.insert(name).second, "sections: two of the name " + std::string(name));
    require(section.type >= 0 && section.type < RNN_TRANSLATE_TYPES && section.rows >= 0 && section.columns >= 0 &&
                static_cast<std::uint64_t>(section.rows) <= kMostRows &&
                static_cast<std::uint64_t>(section.columns) <= kMostRows && (section.data || !bytes_of(section)),
            std::string(name) + ": no type or size of a section");
    std::copy(name.begin(), name.end(), record.name);
    record.type = static_cast<std::uint32_t>(section.type);
    record.rows = static_cast<std::uint64_t>(section.rows);
    record.columns = static_cast<std::uint64_t>(section.columns);
    record.offset = aligned_place(end);
    record.digest = xxh64(section.data, bytes_of(section));
    end = record.offset + bytes_of(section);
  }
  FileHeader header{};
  std::memcpy(header.magic, kFileMagic, sizeof kFileMagic);
  header.version = kFileVersion;
  header.byte_order = kByteOrder;
  header.size = end;
  header.section_count = sections.size();
  header.table_digest = xxh64(records.data(), records.size() * sizeof(FileRecord));
  header.header_digest = xxh64(&header, offsetof(FileHeader, header_digest));

  std::vector<char> contents(end);
  std::memcpy(contents.data(), &header, sizeof header);
  if (!records.empty()) std::memcpy(contents.data() + table, records.data(), records.size() * sizeof(FileRecord));
  for (std::size_t i = 0; i < sections.size(); ++i)
    if (const std::uint64_t bytes = bytes_of(sections[i]))
      std::memcpy(contents.data() + records[i].offset, sections[i].data, bytes);
  return contents;
}

}  // namespace rnn_engine::translate
