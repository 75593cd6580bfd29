// Attention as the C API has it.
#pragma once

#include <nanobind/nanobind.h>

void bind_attention(nanobind::module_& module);
