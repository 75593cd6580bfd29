// The loss's part of the bindings: its problem, and its arrays once they were found right.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <optional>
#include <tuple>

#include "rnn_engine.h"

using LossArray = nanobind::ndarray<nanobind::c_contig, nanobind::device::cpu>;
using MaybeLossArray = std::optional<LossArray>;
using LossInputs =
    std::tuple<LossArray, LossArray, MaybeLossArray, LossArray>;  // hidden, weight, bias, targets
using LossGradients = std::tuple<MaybeLossArray, MaybeLossArray, MaybeLossArray>;  // of the first three

// Everything but scale and scratch.
rnn_engine_loss_args loss_args(const rnn_engine_loss_problem& problem, const LossInputs& inputs,
                               const LossGradients& gradients);

void bind_loss_problem(nanobind::module_& module);
