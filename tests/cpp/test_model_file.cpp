// Model files through their C API: what is written is what is read, to the bit; whatever happens to a byte is told; and
// files that are damaged, or made to do damage, are refused, or work.
//
// `test_model_file COUNT [SEED]` tries so many damaged files, and writes nothing of the files that are well.
// `test_model_file digests FILE...` tells what files hold that are made here, and what networks of them, and of files
// that were made elsewhere, find, for every instruction set.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
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

namespace {

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

void write(const std::string& path, const Bytes& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const bool whole = file && (bytes.empty() || std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
  CHECK(whole && std::fclose(file) == 0, "%s: cannot be written", path.c_str());
}

const char kText[] = "{\"some\": \"settings\"}";
const double kNumbers[] = {5, 0.6};
const rnn_translate_section kSections[] = {
    {"settings.json", RNN_TRANSLATE_OF_BYTES, 1, sizeof kText - 1, kText},
    {"search", RNN_TRANSLATE_OF_FLOAT64, 1, 2, kNumbers},
    {"nothing", RNN_TRANSLATE_OF_BYTES, 1, 0, nullptr},
};

Bytes contents_of(const rnn_translate_shape& shape, const Tensors& tensors) {
  char* contents = nullptr;
  std::int64_t size = 0;
  CHECK(rnn_translate_file_make(&shape, tensors.list, tensors.count, kSections, 3, &contents, &size) == 0, "make: %s",
        rnn_engine_last_error());
  Bytes bytes(contents, contents + size);
  rnn_translate_contents_free(contents);
  return bytes;
}

std::uint64_t search_with(const rnn_translate_model* model, std::int64_t count = SENTENCES) {
  const rnn_translate_options options = options_of(3, 1, 4);
  rnn_translate_results* results = nullptr;
  CHECK(rnn_translate_search(model, &options, sentences, count, nullptr, nullptr, &results) == 0, "search: %s",
        rnn_engine_last_error());
  if (!results) return 0;
  const std::uint64_t found = count == SENTENCES ? digest_of(results) : 0;
  rnn_translate_results_destroy(results);
  return found;
}

// Whatever the instruction set of the machine that made a file, networks of it are those of its tensors.
void test_round_trip(Folder& folder, int cell, int precision) {
  const rnn_translate_shape shape = shape_of(cell, cell % 2 ? RNN_TRANSLATE_GENERAL : RNN_TRANSLATE_DOT, precision, 2);
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  const std::string path = folder.file("model");
  const Bytes bytes = contents_of(shape, tensors);
  CHECK(bytes == contents_of(shape, tensors), "the same model makes two files");
  write(path, bytes);

  rnn_translate_file* file = nullptr;
  CHECK(rnn_translate_file_open(path.c_str(), &file) == 0, "open: %s", rnn_engine_last_error());
  const rnn_translate_section* sections = nullptr;
  std::int64_t count = 0;
  CHECK(rnn_translate_file_sections(file, &sections, &count) == 0 && count > 4, "sections");
  for (int i = 0; i < 3; ++i) {
    const rnn_translate_section &found = sections[i], &made = kSections[i];
    CHECK(std::strcmp(found.name, made.name) == 0 && found.type == made.type && found.columns == made.columns &&
              reinterpret_cast<std::uintptr_t>(found.data) % 64 == 0 &&
              (!made.data || std::memcmp(found.data, made.data, bytes_of(made)) == 0),
          "section %s is not what was written", made.name);
  }
  for (const char* isa : kIsas) {
    if (!rnn_engine_has_isa(isa)) continue;
    rnn_translate_model *model = nullptr, *same = nullptr;
    CHECK(rnn_translate_model_create(&shape, tensors.list, tensors.count, isa, &model) == 0, "model: %s",
          rnn_engine_last_error());
    CHECK(rnn_translate_file_network(file, isa, &same) == 0, "network: %s", rnn_engine_last_error());
    CHECK(search_with(model) == search_with(same), "cell %d, precision %d, %s: other bits", cell, precision, isa);
    rnn_translate_model_destroy(model);
    rnn_translate_model_destroy(same);
  }
  rnn_translate_model* model = nullptr;
  CHECK(rnn_translate_file_network(file, nullptr, &model) == 0, "network: %s", rnn_engine_last_error());
  const std::uint64_t before = search_with(model);
  rnn_translate_file_close(file);
  std::remove(path.c_str());
  CHECK(search_with(model) == before, "a network outlives its file");
  rnn_translate_model_destroy(model);
  release_tensors(&tensors);
}

// What a name that is no model file is answered with.
void expect_refused(const std::string& path, const char* part) {
  rnn_translate_file* file = nullptr;
  expect_error(rnn_translate_file_open(path.c_str(), &file), part);
  CHECK(!file, "%s: an error, and a file", path.c_str());
  CHECK(std::strncmp(rnn_engine_last_error(), path.c_str(), path.size()) == 0, "expected the path first, got \"%s\"",
        rnn_engine_last_error());
  rnn_translate_file_close(file);
}

void test_other_files(Folder& folder) {
  expect_refused(folder.path(), "expected a file, got a folder");
  expect_refused(folder.path() + "/none", "No such file");
  expect_refused("/dev/null", "expected a file, got a device");
  const std::string pipe = folder.file("pipe"), text = folder.file("text"), socket = folder.file("socket");
  CHECK(mkfifo(pipe.c_str(), 0600) == 0, "no named pipe");
  expect_refused(pipe, "expected a file, got a named pipe");
  sockaddr_un address{AF_UNIX, {}};
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  const int end = ::socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(bind(end, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "no socket");
  expect_refused(socket, "expected a file, got a socket");
  close(end);
  write(text, {});
  expect_refused(text, "got 0 bytes");
  write(text, Bytes(63, 'x'));
  expect_refused(text, "got 63 bytes");
  write(text, Bytes(640, 'x'));
  expect_refused(text, "something else");
  rnn_translate_file* file = nullptr;
  expect_error(rnn_translate_file_open(nullptr, &file), "path");
  expect_error(rnn_translate_file_open(text.c_str(), nullptr), "file");
  expect_error(rnn_translate_file_network(nullptr, nullptr, nullptr), "file");
  expect_error(rnn_translate_file_sections(nullptr, nullptr, nullptr), "file");
  expect_error(rnn_translate_model_open(text.c_str(), nullptr, nullptr), "model");
  rnn_translate_file_close(nullptr);
}

void test_make(const rnn_translate_shape& shape, const Tensors& tensors) {
  char* contents = nullptr;
  std::int64_t size = 0;
  const auto make = [&](const rnn_translate_section& section) {
    return rnn_translate_file_make(&shape, tensors.list, tensors.count, &section, 1, &contents, &size);
  };
  expect_error(make({"with space", RNN_TRANSLATE_OF_BYTES, 1, 1, "x"}), "with space");
  expect_error(make({"", RNN_TRANSLATE_OF_BYTES, 1, 1, "x"}), "names");
  expect_error(make({std::string(88, 'x').c_str(), RNN_TRANSLATE_OF_BYTES, 1, 1, "x"}), "names");
  expect_error(make({nullptr, RNN_TRANSLATE_OF_BYTES, 1, 1, "x"}), "name");
  expect_error(make({"network", RNN_TRANSLATE_OF_BYTES, 1, 1, "x"}), "two of the name network");
  expect_error(make({"x", RNN_TRANSLATE_TYPES, 1, 1, "x"}), "x: no type");
  expect_error(make({"x", RNN_TRANSLATE_OF_BYTES, -1, 1, "x"}), "x: no type");
  expect_error(make({"x", RNN_TRANSLATE_OF_BYTES, 1, 1, nullptr}), "x: no type");
  expect_error(rnn_translate_file_make(&shape, tensors.list, tensors.count - 1, nullptr, 0, &contents, &size),
               "missing");
  CHECK(!contents, "an error, and contents");
}

// A file that is damaged is an error that names it.
void expect_damage(const std::string& path, const Bytes& bytes, const std::string& what) {
  write(path, bytes);
  rnn_translate_model* model = nullptr;
  const int code = rnn_translate_model_open(path.c_str(), nullptr, &model);
  CHECK(code == RNN_ENGINE_INVALID && !model && std::strncmp(rnn_engine_last_error(), path.c_str(), path.size()) == 0,
        "%s: expected an error, got %d, \"%s\"", what.c_str(), code, code ? rnn_engine_last_error() : "");
  rnn_translate_model_destroy(model);
}

// Bytes of a section, if it lies in a file of `size` bytes; 0: nowhere.
std::uint64_t bytes_in(const FileRecord& record, std::size_t size) {
  if (record.rows > translate::kMostRows || record.columns > translate::kMostRows) return 0;
  const std::uint64_t count = bytes_of(record.type, record.rows, record.columns);
  return record.offset < size && count <= size - record.offset ? count : 0;
}

class Damage {
 public:
  Damage(Folder& folder, const Bytes& whole, unsigned seed)
      : path_(folder.file("damaged")), whole_(whole), random_(seed) {}

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
    if (bytes != whole_) expect_damage(path_, bytes, what);
  }

  // What somebody does who knows the format, and makes the digests anew: it is refused, or it works.
  void on_purpose() {
    Bytes bytes = whole_;
    FileHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    std::vector<FileRecord> records(header.section_count);
    std::memcpy(records.data(), bytes.data() + sizeof header, records.size() * sizeof(FileRecord));
    for (std::size_t i = 1 + below(3); i; --i) spoil(header, records, bytes);
    for (FileRecord& record : records) {
      const std::uint64_t count = bytes_in(record, bytes.size());
      if (below(50) && record.offset <= bytes.size()) record.digest = xxh64(bytes.data() + record.offset, count);
    }
    header.table_digest = xxh64(records.data(), records.size() * sizeof(FileRecord));
    header.header_digest = xxh64(&header, offsetof(FileHeader, header_digest));
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, records.data(), records.size() * sizeof(FileRecord));
    write(path_, bytes);
    rnn_translate_model* model = nullptr;
    if (rnn_translate_model_open(path_.c_str(), nullptr, &model) == 0) {
      const rnn_translate_options options = options_of(2, 1, 4);
      rnn_translate_results* results = nullptr;
      rnn_translate_search(model, &options, sentences, 3, nullptr, nullptr, &results);  // ids may be none of its own
      rnn_translate_results_destroy(results);
      ++opened_;
    } else {
      CHECK(std::strncmp(rnn_engine_last_error(), path_.c_str(), path_.size()) == 0, "expected the path, got \"%s\"",
            rnn_engine_last_error());
    }
    rnn_translate_model_destroy(model);
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

  void spoil(FileHeader& header, std::vector<FileRecord>& records, Bytes& bytes) {
    FileRecord& record = records[below(records.size())];
    FileRecord& other = records[below(records.size())];
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
        const auto found = std::find_if(records.begin(), records.end(), [](const FileRecord& each) {
          return std::strcmp(each.name, kNetworkSection) == 0;
        });
        if (found == records.end() || found->offset > bytes.size() - 8 * kNetworkNumbers) break;
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
  int opened_ = 0;
};

void test_damage(Folder& folder, int precision, int count, unsigned seed) {
  const rnn_translate_shape shape = shape_of(RNN_ENGINE_LSTM, RNN_TRANSLATE_GENERAL, precision, 1);
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  const Bytes whole = contents_of(shape, tensors);
  Damage damage(folder, whole, seed);
  for (int i = 0; i < count; ++i) i % 2 ? damage.by_accident() : damage.on_purpose();
  std::printf("precision %d: %d damaged files of %zu bytes, %d of which are well\n", precision, count, whole.size(),
              damage.opened());
  // Sections swapped, values changed: some crafted files are models like any other.
  CHECK(count < 500 || damage.opened() > count / 100, "almost nothing that was crafted opens: the test is none");
  if (count < 5000) test_make(shape, tensors);
  release_tensors(&tensors);
}

// The tokens that a network finds, and what they looked at: logarithms are of the machine's C library.
void print_found(const char* isa, const std::string& name, const std::string& path) {
  rnn_translate_model* model = nullptr;
  CHECK(rnn_translate_model_open(path.c_str(), isa, &model) == 0, "open: %s", rnn_engine_last_error());
  const rnn_translate_options options = options_of(5, 1, 4);
  rnn_translate_results* results = nullptr;
  CHECK(rnn_translate_search(model, &options, sentences, SENTENCES, nullptr, nullptr, &results) == 0, "search: %s",
        rnn_engine_last_error());
  Bytes bytes;
  const auto append = [&](const void* values, std::size_t count) {
    const auto* begin = static_cast<const unsigned char*>(values);
    bytes.insert(bytes.end(), begin, begin + count);
  };
  for (int i = 0; results && i < SENTENCES; ++i)
    for (std::int64_t h = results->first[i]; h < results->first[i + 1]; ++h) {
      const rnn_translate_hypothesis& each = results->hypotheses[h];
      append(each.tokens, sizeof(std::int32_t) * static_cast<std::size_t>(each.length));
      append(each.coverage, sizeof(float) * static_cast<std::size_t>(sentences[i].length + 1));
    }
  std::printf("%s\tfound by %s\t%016llx\n", isa, name.c_str(),
              static_cast<unsigned long long>(xxh64(bytes.data(), bytes.size())));
  rnn_translate_results_destroy(results);
  rnn_translate_model_destroy(model);
}

int print_digests(Folder& folder, int count, char** files) {
  const std::string path = folder.file("model");
  for (const char* isa : kIsas) {
    if (!rnn_engine_has_isa(isa)) continue;
    for (int cell = RNN_ENGINE_LSTM; cell <= RNN_ENGINE_LAYER_NORM_MI_LSTM; ++cell)
      for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_INT8; ++precision) {
        const rnn_translate_shape shape = shape_of(cell, cell % 2, precision, 2);
        static Tensors tensors;
        make_tensors(&tensors, &shape);
        const Bytes bytes = contents_of(shape, tensors);
        release_tensors(&tensors);
        const std::string name = "file of cell " + std::to_string(cell) + " precision " + std::to_string(precision);
        std::printf("%s\t%s\t%016llx\n", isa, name.c_str(),
                    static_cast<unsigned long long>(xxh64(bytes.data(), bytes.size())));
        write(path, bytes);
        print_found(isa, name, path);
      }
    for (int i = 0; i < count; ++i) print_found(isa, std::strrchr(files[i], '/'), files[i]);
  }
  return failures != 0;
}

}  // namespace

int main(int count, char** arguments) {
  make_sentences();
  Folder folder;
  if (count > 1 && std::strcmp(arguments[1], "digests") == 0) return print_digests(folder, count - 2, arguments + 2);
  const int damaged = count > 1 ? std::atoi(arguments[1]) : SOME_ALONE ? 300 : 1000;
  const auto seed = static_cast<unsigned>(count > 2 ? std::atoi(arguments[2]) : 1);
  for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_INT8; ++precision) {
    for (int cell = RNN_ENGINE_LSTM; count < 2 && cell <= RNN_ENGINE_LAYER_NORM_MI_LSTM; ++cell)
      test_round_trip(folder, cell, precision);
    test_damage(folder, precision, damaged, seed);
  }
  test_other_files(folder);
  std::printf("%d failures\n", failures);
  return failures != 0;
}
