// Runs a fuzzer's entry without libFuzzer: on files that it is given, else on a fixed stream of bytes.
//
//     fuzz_capi [COUNT | FILE...]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  char* end = nullptr;
  const long given = argc > 1 ? std::strtol(argv[1], &end, 10) : 250;
  if (argc > 1 && *end != 0) {
    for (int i = 1; i < argc; ++i) {
      std::ifstream file(argv[i], std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    return 0;
  }
  std::mt19937_64 random(20170418);
  for (long i = 0; i < given; ++i) {
    std::vector<std::uint8_t> bytes(48 + random() % 64);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%ld inputs\n", given);
}
