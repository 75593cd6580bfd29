// What work is taken to cost on a GPU: a rough count, good enough to compare schedules of one problem with.
#pragma once

#include "cuda/runtime.h"
#include "plan/tiles.h"

namespace rnn_engine::cuda {

// Seconds of a tile, while every group of the schedule has one.
double tile_seconds(const Shape& shape, const Schedule& schedule, const Tile& tile, const DeviceFacts& device);

// Seconds of all tiles, one after the other.
double layers_seconds(const Shape& shape, const Schedule& schedule, const DeviceFacts& device);

}  // namespace rnn_engine::cuda
