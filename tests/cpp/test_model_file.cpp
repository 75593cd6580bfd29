// Model files through their C API: what is written is what is read, to the bit; and what is no model file is refused.
//
// `test_model_file digests FILE...` tells what files hold that are made here, and what networks of them, and of files
// that were made elsewhere, find, for every instruction set that shares all bits with the others.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <span>

#include "model_file.h"

namespace {

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
  const rnn_translate_shape shape = shape_of(cell, cell % 3, precision, 2);
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

void test_make() {
  const rnn_translate_shape shape = shape_of(RNN_ENGINE_LSTM, RNN_TRANSLATE_GENERAL, RNN_TRANSLATE_INT8, 1);
  static Tensors tensors;
  make_tensors(&tensors, &shape);
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
  for (const char* isa : std::span(kIsas).first(PLAIN_ISAS)) {  // those of which every test tells digests
    if (!rnn_engine_has_isa(isa)) continue;
    for (int cell = RNN_ENGINE_LSTM; cell <= RNN_ENGINE_GRU; ++cell)
      for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_BFLOAT16; ++precision) {
        const rnn_translate_shape shape = shape_of(cell, cell % 3, precision, 2);
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
  for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_BFLOAT16; ++precision)
    for (int cell = RNN_ENGINE_LSTM; cell <= RNN_ENGINE_GRU; ++cell) test_round_trip(folder, cell, precision);
  test_make();
  test_other_files(folder);
  std::printf("%d failures\n", failures);
  return failures != 0;
}
