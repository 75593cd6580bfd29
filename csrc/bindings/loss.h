// The loss's problem and the memory of its arguments.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <tuple>

#include "bindings/values.h"
#include "rnn_engine.h"

using MaybeValues = std::optional<Values>;
using LossInputs = std::tuple<Input, Input, std::optional<Input>, Input>;  // hidden, weight, bias, targets
using LossGradients = std::tuple<MaybeValues, MaybeValues, MaybeValues>;   // of the first three

// Everything but scale, workspace and stream.
rnn_engine_loss_args loss_args(const rnn_engine_loss_problem& problem, int device, const LossInputs& inputs,
                               const LossGradients& gradients);

// rnn_engine_loss_result as four 64-bit words.
rnn_engine_loss_result* loss_result(int device, const Values& words);

void bind_loss_problem(nanobind::module_& module);
