// Argument checks. A failed check throws std::invalid_argument (ValueError in Python) with a message that reads
// "[op] expected ... got ...".
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace attnkit {

template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <typename... Parts>
[[noreturn]] void Fail(const Parts&... parts) {
  throw std::invalid_argument(Concat(parts...));
}

}  // namespace attnkit

// The message is only built when the check fails.
#define ATTNKIT_CHECK(condition, ...)               \
  do {                                              \
    if (!(condition)) ::attnkit::Fail(__VA_ARGS__); \
  } while (false)
