#include "base/kept.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rnn_engine {
namespace {

constexpr std::size_t kMostBytes = 4096;
constexpr const char* kValue = "value: ";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Empty: nothing is kept.
std::string folder() {
  const std::string given = variable("RNN_ENGINE_CACHE");
  if (!given.empty()) return given == "off" ? "" : given;
  // Relative ones are to be ignored (XDG Base Directory Specification).
  const std::string cache = variable("XDG_CACHE_HOME"), home = variable("HOME");
  if (!cache.empty() && cache.front() == '/') return cache + "/rnn_engine";
  return !home.empty() && home.front() == '/' ? home + "/.cache/rnn_engine" : "";
}

// FNV-1a (Fowler, Noll, Vo)
std::string digest(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

std::string path_of(const Fact& fact) { return folder() + "/" + fact.name + "-" + digest(fact.circumstances) + ".txt"; }

// The whole file, whose last line is a digest of those before it.
std::string contents(const Fact& fact, double value) {
  char number[32];
  std::snprintf(number, sizeof number, "%.17g", value);
  const std::string text = "rnn_engine " + fact.name + "\n" + fact.circumstances + kValue + number + "\n";
  return text + "digest: " + digest(text) + "\n";
}

// A regular file of a few kilobytes, else nothing: a link is not followed, and a pipe not waited for.
std::string read_small(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return {};
  std::string text(kMostBytes, '\0');
  struct stat status{};
  const bool readable = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  const ssize_t count = readable ? read(file, text.data(), text.size()) : 0;
  close(file);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

void make_folders(const std::string& path) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
    mkdir(path.substr(0, end).c_str(), 0700);
}

}  // namespace

std::optional<double> kept(const Fact& fact) {
  if (folder().empty()) return {};
  const std::string text = read_small(path_of(fact));
  const std::size_t at = text.rfind(kValue);
  if (at == std::string::npos) return {};
  const double value = std::strtod(text.c_str() + at + std::strlen(kValue), nullptr);
  const bool sane = std::isfinite(value) && value >= fact.least && value <= fact.most;
  if (!sane || text != contents(fact, value)) return {};
  return value;
}

void keep(const Fact& fact, double value) {
  if (folder().empty()) return;
  const std::string path = path_of(fact), text = contents(fact, value);
  make_folders(path);
  // Under its name there is never half a file: whoever reads gets this one or another whole one.
  std::string temporary = folder() + "/.new-XXXXXX";
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return;
  bool whole = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  whole = close(file) == 0 && whole;
  if (!whole || std::rename(temporary.c_str(), path.c_str()) != 0) unlink(temporary.c_str());
}

}  // namespace rnn_engine
