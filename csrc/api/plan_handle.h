// What the C API calls a plan, on every device.
#pragma once

#include <memory>
#include <mutex>

#include "plan/plan.h"
#include "rnn_engine.h"

struct rnn_engine_plan {
  rnn_engine_context* context;
  std::unique_ptr<rnn_engine::PlanBase> plan;
  std::once_flag listed, searched;  // the table of buffers and the inputs are made when they are asked for
  rnn_engine::Edges inputs;
};
