// Damage to model files: what disks, networks and hands do to them, and what somebody does who makes the digests anew.
#pragma once

#include <algorithm>
#include <functional>
#include <random>

#include "model_file.h"

// Opens a file, uses it if that went well, and tells whether it did.
using Use = std::function<bool(const std::string& path)>;

// Whether the last error names a file.
inline bool names(const std::string& path) {
  return std::strncmp(rnn_engine_last_error(), path.c_str(), path.size()) == 0;
}

// A file that is damaged is an error that names it.
inline void expect_damage(const Use& use, const std::string& path, const Bytes& bytes, const std::string& what) {
  write(path, bytes);
  const bool opened = use(path);
  CHECK(!opened && names(path), "%s: expected an error, got \"%s\"", what.c_str(),
        opened ? "" : rnn_engine_last_error());
}

// Bytes of a section, if it lies in a file of `size` bytes; 0: nowhere.
inline std::uint64_t bytes_in(const FileRecord& record, std::size_t size) {
  if (record.rows > translate::kMostRows || record.columns > translate::kMostRows) return 0;
  const std::uint64_t count = bytes_of(record.type, record.rows, record.columns);
  return record.offset < size && count <= size - record.offset ? count : 0;
}

// A file in parts, and made of them again, with digests that fit.
struct Parts {
  FileHeader header;
  std::vector<FileRecord> records;
  Bytes bytes;

  explicit Parts(const Bytes& whole) : bytes(whole) {
    std::memcpy(&header, bytes.data(), sizeof header);
    records.resize(header.section_count);
    std::memcpy(records.data(), bytes.data() + sizeof header, records.size() * sizeof(FileRecord));
  }

  FileRecord* find(const char* name) {
    const auto found = std::find_if(records.begin(), records.end(),
                                    [&](const FileRecord& each) { return std::strcmp(each.name, name) == 0; });
    return found == records.end() ? nullptr : &*found;
  }
  unsigned char* data(const char* name) { return bytes.data() + find(name)->offset; }

  void digest(FileRecord& record) {
    if (record.offset <= bytes.size())
      record.digest = xxh64(bytes.data() + record.offset, bytes_in(record, bytes.size()));
  }

  const Bytes& join() {
    header.table_digest = xxh64(records.data(), records.size() * sizeof(FileRecord));
    header.header_digest = xxh64(&header, offsetof(FileHeader, header_digest));
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, records.data(), records.size() * sizeof(FileRecord));
    return bytes;
  }
};

class Damage {
 public:
  Damage(Folder& folder, const Bytes& whole, unsigned seed, Use use)
      : path_(folder.file("damaged")), whole_(whole), random_(seed), use_(std::move(use)) {}

  // What disks, networks and hands do to files.
  void by_accident() {
    Bytes bytes = whole_;
    std::string what;
    switch (below(6)) {
      case 0: {
        const std::size_t place = below(bytes.size());
        bytes[place] ^= static_cast<unsigned char>(1u << below(8));
        what = "a bit of byte " + std::to_string(place);
        break;
      }
      case 1:
        bytes.resize(below(bytes.size()));
        what = "cut to " + std::to_string(bytes.size());
        break;
      case 2:
        bytes.resize(bytes.size() + 1 + below(200), static_cast<unsigned char>(below(2)));
        what = "longer by some";
        break;
      case 3: {
        const std::size_t from = below(bytes.size()), count = 1 + below(bytes.size() - from);
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), count, static_cast<unsigned char>(below(256)));
        what = "a hole at " + std::to_string(from);
        break;
      }
      case 4: {
        const std::size_t count = 1 + below(bytes.size() / 2), one = below(bytes.size() - 2 * count + 1),
                          other = one + count + below(bytes.size() - one - 2 * count + 1);
        std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(one),
                         bytes.begin() + static_cast<std::ptrdiff_t>(one + count),
                         bytes.begin() + static_cast<std::ptrdiff_t>(other));
        what = "pieces changed places";
        break;
      }
      default:
        for (std::size_t i = 1 + below(64); i; --i) bytes[below(bytes.size())] = static_cast<unsigned char>(below(256));
        what = "some bytes";
    }
    if (bytes != whole_) expect_damage(use_, path_, bytes, what);
  }

  // What somebody does who knows the format, and makes the digests anew: it is refused, or it works.
  void on_purpose() {
    Parts parts(whole_);
    for (std::size_t i = 1 + below(3); i; --i) spoil(parts);
    for (FileRecord& record : parts.records)
      if (below(50)) parts.digest(record);
    write(path_, parts.join());
    if (use_(path_)) {
      ++opened_;
    } else {
      CHECK(names(path_), "expected the path, got \"%s\"", rnn_engine_last_error());
    }
  }

  int opened() const { return opened_; }

 private:
  std::uint64_t below(std::uint64_t count) { return random_() % count; }

  std::uint64_t any_number(std::uint64_t now) {
    const std::uint64_t some[] = {
        0,          1,          now + 1,          now - 1,    now + 64,   2 * now,    now / 2, whole_.size(),
        1ull << 16, 1ull << 30, (1ull << 30) + 1, 1ull << 32, 1ull << 61, 1ull << 63, ~0ull,   ~0ull - 63,
        random_()};
    return some[below(std::size(some))];
  }

  void spoil(Parts& parts) {
    FileHeader& header = parts.header;
    Bytes& bytes = parts.bytes;
    FileRecord& record = parts.records[below(parts.records.size())];
    FileRecord& other = parts.records[below(parts.records.size())];
    switch (below(12)) {
      case 0:
        header.size = any_number(header.size);
        break;
      case 1:
        header.section_count = any_number(header.section_count);
        break;
      case 2:
        record.rows = any_number(record.rows);
        break;
      case 3:
        record.columns = any_number(record.columns);
        break;
      case 4:
        record.offset = any_number(record.offset);
        break;
      case 5:
        record.type = static_cast<std::uint32_t>(below(2) ? any_number(record.type) : below(RNN_TRANSLATE_TYPES));
        break;
      case 6:
        record.name[below(sizeof record.name)] = static_cast<char>(below(256));
        break;
      case 7:
        std::swap(record, other);
        break;
      case 8:
        std::swap(record.name, other.name);
        break;
      case 9:
        std::swap(record.rows, record.columns);
        break;
      case 10: {  // a number of the network
        const FileRecord* found = parts.find(kNetworkSection);
        if (!found || found->offset > bytes.size() - 8 * kNetworkNumbers) break;
        std::uint64_t number;
        unsigned char* place = bytes.data() + found->offset + 8 * below(kNetworkNumbers);
        std::memcpy(&number, place, sizeof number);
        number = below(2) ? any_number(number) : below(4);
        std::memcpy(place, &number, sizeof number);
        break;
      }
      default: {  // values of a section
        const std::uint64_t count = bytes_in(record, bytes.size());
        if (!count) break;
        for (std::uint64_t i = below(4); i < 4; ++i)
          bytes[record.offset + below(count)] = static_cast<unsigned char>(below(2) ? 0xFF : below(256));
      }
    }
  }

  std::string path_;
  const Bytes& whole_;
  std::mt19937_64 random_;
  Use use_;
  int opened_ = 0;
};
