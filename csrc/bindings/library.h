// The C API's functions: those that this extension is linked with, or of a library loaded at run time.
#pragma once

#include <stdexcept>
#include <string>

#include "rnn_engine_functions.h"

using rnn_engine::Functions;

// The device's failure, not the caller's mistake.
struct EngineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws nb::value_error or EngineError with the library's message, unless the code says that all is well.
void check(const Functions& api, int code);

// The CPU's library, which this extension is linked with.
const Functions& linked_functions();

// The library in a file. Once loaded it stays to the end of the process: a driver's threads may be in it.
// Throws EngineError if it cannot be loaded or is of another version of the C API.
const Functions& loaded_functions(const std::string& path);
