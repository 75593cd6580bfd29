// Model files that are damaged, which is told whatever happens to a byte; and files that were made to do damage, which
// are refused, or work. `test_model_file_damage [COUNT [SEED]]` tries so many of each precision.
#include "damage.h"

namespace {

bool open_and_search(const std::string& path) {
  rnn_translate_model* model = nullptr;
  if (rnn_translate_model_open(path.c_str(), nullptr, &model) != 0) return false;
  const rnn_translate_options options = options_of(2, 1, 4);
  rnn_translate_results* results = nullptr;
  rnn_translate_search(model, &options, sentences, 3, nullptr, nullptr, &results);  // ids may be none of its own
  rnn_translate_results_destroy(results);
  rnn_translate_model_destroy(model);
  return true;
}

void expect_refused(Folder& folder, const Bytes& whole, const char* part, const std::function<void(Parts&)>& change) {
  Parts parts(whole);
  change(parts);
  expect_damage(open_and_search, folder.file("crafted"), parts.join(), part);
  CHECK(std::strstr(rnn_engine_last_error(), part), "expected a message with \"%s\", got \"%s\"", part,
        rnn_engine_last_error());
}

// What digests cannot tell, since they were made anew.
void test_crafted(Folder& folder, const Bytes& whole) {
  const auto refused = [&](const char* part, const std::function<void(Parts&)>& change) {
    expect_refused(folder, whole, part, change);
  };
  const char *matrix = "decoder.combine.weight", *scales = "decoder.combine.weight.scales", *vector = "output_bias";
  refused("behind the last section", [](Parts& parts) {
    parts.bytes.resize(parts.bytes.size() + 5);
    parts.header.size = parts.bytes.size();
  });
  refused("more sections than there is room for", [](Parts& parts) { parts.header.zeros[1] = 1; });
  refused("more sections than there is room for", [](Parts& parts) { parts.header.section_count = 1 << 15; });
  refused("two sections search", [](Parts& parts) {
    std::memcpy(parts.records[2].name, parts.records[1].name, sizeof parts.records[2].name);
  });
  refused("without a proper name", [](Parts& parts) { std::memset(parts.records[0].name, 'x', 88); });
  refused("without a proper name", [](Parts& parts) { parts.records[0].name[87] = 'x'; });
  refused("a type that there is not", [](Parts& parts) { parts.records[0].type = RNN_TRANSLATE_TYPES; });
  refused("larger than anything could be", [](Parts& parts) { parts.records[1].rows = (1 << 30) + 1; });
  refused("expected at byte", [](Parts& parts) { parts.records[3].offset = parts.records[1].offset; });
  refused("ends beyond the file", [](Parts& parts) { parts.records.back().columns = 1 << 30; });
  refused("not finite", [&](Parts& parts) {
    std::memset(parts.data(vector), 0xFF, sizeof(float));
    parts.digest(*parts.find(vector));
  });
  refused("got -128", [&](Parts& parts) {
    *parts.data(matrix) = 0x80;
    parts.digest(*parts.find(matrix));
  });
  refused("decoder.combine.weight.scales: expected", [&](Parts& parts) { parts.find(scales)->name[0] = 'e'; });
  refused("expected float32", [&](Parts& parts) {
    parts.data(kNetworkSection)[16] = RNN_TRANSLATE_FLOAT32;  // the third number: the precision
    parts.digest(*parts.find(kNetworkSection));
  });
}

void test_crafted_bfloat16(Folder& folder, const Bytes& whole) {
  const char* matrix = "decoder.combine.weight";
  expect_refused(folder, whole, "decoder.combine.weight: holds values that are not finite", [&](Parts& parts) {
    const unsigned char infinity[] = {0x80, 0x7F};
    std::memcpy(parts.data(matrix), infinity, sizeof infinity);
    parts.digest(*parts.find(matrix));
  });
  expect_refused(folder, whole, "expected int8, got bfloat16", [](Parts& parts) {
    parts.data(kNetworkSection)[16] = RNN_TRANSLATE_INT8;
    parts.digest(*parts.find(kNetworkSection));
  });
}

void test_damage(Folder& folder, int precision, int count, unsigned seed) {
  const rnn_translate_shape shape = shape_of(RNN_ENGINE_LSTM, RNN_TRANSLATE_GENERAL, precision, 1);
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  const Bytes whole = contents_of(shape, tensors);
  Damage damage(folder, whole, seed, open_and_search);
  for (int i = 0; i < count; ++i) i % 2 ? damage.by_accident() : damage.on_purpose();
  std::printf("precision %d: %d damaged files of %zu bytes, %d of which are well\n", precision, count, whole.size(),
              damage.opened());
  // Sections swapped, values changed: some crafted files are models like any other.
  CHECK(count < 500 || damage.opened() > count / 100, "almost nothing that was crafted opens: the test is none");
  if (precision == RNN_TRANSLATE_INT8) test_crafted(folder, whole);
  if (precision == RNN_TRANSLATE_BFLOAT16) test_crafted_bfloat16(folder, whole);
  release_tensors(&tensors);
}

}  // namespace

int main(int count, char** arguments) {
  make_sentences();
  Folder folder;
  const int damaged = count > 1 ? std::atoi(arguments[1]) : SOME_ALONE ? 300 : 1000;
  const auto seed = static_cast<unsigned>(count > 2 ? std::atoi(arguments[2]) : 1);
  for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_BFLOAT16; ++precision)
    test_damage(folder, precision, damaged, seed);
  std::printf("%d failures\n", failures);
  return failures != 0;
}
