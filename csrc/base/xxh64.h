// XXH64 of bytes (Yann Collet, xxHash), on machines that put the lowest byte first: finds damage at the speed of
// memory. It proves nothing about who wrote them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rnn_engine {

namespace xxh64_detail {

inline constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9,
                               kPrime4 = 0x85EBCA77C2B2AE63, kPrime5 = 0x27D4EB2F165667C5;

template <class T>
T read(const unsigned char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

inline std::uint64_t round(std::uint64_t sum, std::uint64_t value) {
  return std::rotl(sum + value * kPrime2, 31) * kPrime1;
}

}  // namespace xxh64_detail

// With seed 0.
inline std::uint64_t xxh64(const void* data, std::size_t count) {
  using namespace xxh64_detail;
  const auto* bytes = static_cast<const unsigned char*>(data);
  const auto* const end = bytes + count;
  std::uint64_t hash = kPrime5;
  if (count >= 32) {
    std::uint64_t lanes[] = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
    for (; end - bytes >= 32; bytes += 32)
      for (int i = 0; i < 4; ++i) lanes[i] = round(lanes[i], read<std::uint64_t>(bytes + 8 * i));
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (const std::uint64_t lane : lanes) hash = (hash ^ round(0, lane)) * kPrime1 + kPrime4;
  }
  hash += count;
  for (; end - bytes >= 8; bytes += 8)
    hash = std::rotl(hash ^ round(0, read<std::uint64_t>(bytes)), 27) * kPrime1 + kPrime4;
  if (end - bytes >= 4) {
    hash = std::rotl(hash ^ read<std::uint32_t>(bytes) * kPrime1, 23) * kPrime2 + kPrime3;
    bytes += 4;
  }
  for (; bytes < end; ++bytes) hash = std::rotl(hash ^ *bytes * kPrime5, 11) * kPrime1;
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

}  // namespace rnn_engine
