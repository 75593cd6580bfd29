#include "translate/recurrence.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "rnn_translate.h"
#include "translate/linear.h"
#include "translate/memory.h"
#include "translate/word_products.h"

namespace rnn_engine::translate {
namespace {

// Names of vector_params in the order of rnn_engine.h, by cell.
const std::vector<std::string>& vector_names(int cell) {
  static const std::vector<std::string> names[] = {
      {},
      {"alpha", "beta1", "beta2", "bias"},
      {"gamma_ih", "gamma_hh", "gamma_c", "beta_c"},
      {"gamma_ih", "gamma_hh", "alpha", "beta1", "beta2", "bias", "gamma_c", "beta_c"},
      {},
  };
  require(cell >= 0 && cell < kCells,
          "cell: expected 0 to " + std::to_string(kCells - 1) + ", got " + std::to_string(cell));
  return names[cell];
}

// The biases and vectors of a stack, copied: one set for each (layer, direction).
struct StackVectors {
  StackVectors(const StackShape& shape, const Tensors& tensors) {
    const std::vector<std::string>& vectors = vector_names(shape.cell);
    const std::int64_t H = shape.hidden_size, Z = kCellTable[shape.cell].gates * H;
    const auto take = [&](const std::string& name, std::int64_t count) -> float* {
      const float* from = tensors.get(shape.prefix + name, count);
      return values.emplace_back(from, from + count).data();
    };
    for (std::int64_t layer = 0; layer < shape.layers; ++layer)
      for (int direction = 0; direction < shape.directions; ++direction) {
        const std::string ending = shape.ending(layer, direction);
        rnn_engine_weights& set = sets.emplace_back();
        set.bias_ih = take("bias_ih" + ending, Z);
        set.bias_hh = take("bias_hh" + ending, Z);
        for (std::size_t v = 0; v < vectors.size(); ++v)
          set.vector_params[v] =
              take(vectors[v] + ending, H * rnn_engine_vector_width(shape.cell, static_cast<int>(v)));
      }
  }

  std::vector<std::vector<float>> values;
  std::vector<rnn_engine_weights> sets;
};

// One layer in one direction.
class Layer {
 public:
  Layer(const Backend& backend, int precision, const StackShape& shape, const rnn_engine_weights& weights,
        const Matrix& input, const Matrix* fed, const Matrix& recurrent, const std::shared_ptr<const Table>& table)
      : kernels_(backend.f32),
        cell_(shape.cell),
        traits_(kCellTable[shape.cell]),
        weights_(weights),
        H_(shape.hidden_size),
        fed_width_(shape.fed),
        zoneout_(shape.zoneout) {
    const auto vector = [](void* values) { return static_cast<const float*>(values); };
    const float *bias_ih = vector(weights.bias_ih), *bias_hh = vector(weights.bias_hh);
    std::vector<float> begin(bias_ih, bias_ih + Z());
    for (std::int64_t j = 0; !traits_.split && j < Z(); ++j) begin[static_cast<std::size_t>(j)] += bias_hh[j];
    input_ = make_linear(backend, precision, input, traits_.adds_bias ? nullptr : begin.data());
    recurrent_ = make_linear(backend, precision, recurrent, traits_.split && !traits_.adds_bias ? bias_hh : nullptr);
    if (fed) fed_ = make_linear(backend, precision, *fed, nullptr);
    if (table) words_ = std::make_unique<WordProducts>(table, Z());
  }

  std::int64_t Z() const { return traits_.gates * H_; }
  void input_product(std::int64_t rows, const float* x, std::int64_t x_row, float* wx) const {
    input_->apply(rows, x, x_row, wx, Z());
  }
  // Adds to wx what is read beside the input.
  void add_fed(std::int64_t rows, const float* fed, float* wx) const {
    fed_->apply(rows, fed, fed_width_, wx, Z(), wx);
  }
  // Where the same of words lies, each.
  void look_up(std::int64_t rows, const std::int32_t* words, const float** products) const {
    words_->look_up(*input_, rows, words, products);
  }

  // wx [rows, Z] with U h added or beside it, and the cells: h and c [rows, H] become those after the step.
  void step(std::int64_t rows, float* wx, float* h, float* c) const {
    thread_local Buffer beside, work;
    float* uh = traits_.split ? beside.at_least(rows * Z()) : wx;
    recurrent_->apply(rows, h, H_, uh, Z(), traits_.split ? nullptr : wx);
    thread_local Buffer before;
    if (zoneout_ > 0) {
      std::copy_n(h, rows * H_, before.at_least(2 * rows * H_));
      std::copy_n(c, rows * H_, before.data() + rows * H_);
    }
    CellTile<float> tile{};
    tile.rows = rows;
    tile.gate_stride = H_;
    tile.product_row = tile.gates_row = Z();
    tile.c_prev_row = tile.c_row = tile.h_row = H_;
    tile.work = work.at_least(4 * std::max(1, traits_.work) * H_);
    const std::int64_t wide = traits_.whole_rows ? H_ : kernels_.width;
    for (std::int64_t unit = 0; unit < H_; unit += wide) {
      const auto from = [&](void* values) { return values ? static_cast<const float*>(values) + unit : nullptr; };
      tile.units = std::min(wide, H_ - unit);
      tile.wx = wx + unit;
      tile.uh = traits_.split ? uh + unit : nullptr;
      for (int v = 0; v < traits_.vectors(); ++v) tile.vector_params[v] = from(weights_.vector_params[v]);
      tile.bias_ih = from(weights_.bias_ih);
      tile.bias_hh = from(weights_.bias_hh);
      tile.c_prev = tile.c = c + unit;
      tile.h = h + unit;
      kernels_.cell_forward[cell_](tile);
    }
    if (zoneout_ == 0) return;
    zone_out(rows, before.data(), h);
    zone_out(rows, before.data() + rows * H_, c);
  }

 private:
  // The expectation, as in evaluation: of what was before, so much stays.
  void zone_out(std::int64_t rows, const float* before, float* states) const {
    ZoneoutRow<float> row{};
    row.before = before;
    row.next = row.value = states;
    row.columns = rows * H_;
    row.share = zoneout_;
    kernels_.zoneout_forward(row);
  }

  const Kernels<float>& kernels_;
  int cell_;
  const CellTraits& traits_;
  rnn_engine_weights weights_;
  std::int64_t H_, fed_width_;
  float zoneout_;
  std::unique_ptr<Linear> input_, fed_, recurrent_;
  std::unique_ptr<WordProducts> words_;  // of a layer that reads words
};

void gather(std::int64_t rows, const float* const* from, std::int64_t width, float* to) {
  for (std::int64_t row = 0; row < rows; ++row, to += width) std::copy_n(from[row], width, to);
}

class Layers final : public Recurrence {
 public:
  Layers(const Backend& backend, int precision, const StackShape& shape, const Tensors& tensors,
         const std::shared_ptr<const Table>& table)
      : shape_(shape), vectors_(shape, tensors) {
    const std::int64_t H = shape.hidden_size, Z = kCellTable[shape.cell].gates * H;
    for (std::int64_t layer = 0; layer < shape.layers; ++layer)
      for (int direction = 0; direction < shape.directions; ++direction) {
        const std::string ending = shape.ending(layer, direction), name = shape.prefix + "weight_ih" + ending;
        const std::int64_t fed = layer ? 0 : shape.fed;
        std::pair<Matrix, Matrix> input{};
        if (fed)
          input = tensors.split(name, Z, shape.input_of(layer), fed);
        else
          input.first = tensors.matrix(name, Z, shape.input_of(layer));
        layers_.emplace_back(backend, precision, shape, vectors_.sets[layers_.size()], input.first,
                             fed ? &input.second : nullptr, tensors.matrix(shape.prefix + "weight_hh" + ending, Z, H),
                             layer ? nullptr : table);
      }
  }

  void run(const std::vector<std::int64_t>& batch_sizes, const Input& x, float* y) const override {
    thread_local Buffer products, states, between;
    thread_local std::vector<const float*> found;
    const std::int64_t H = shape_.hidden_size, wide = shape_.directions * H, B = batch_sizes.front();
    std::vector<std::int64_t> offsets;
    std::int64_t rows = 0;
    for (const std::int64_t size : batch_sizes) offsets.push_back(rows), rows += size;
    Input input = x;
    std::int64_t input_row = shape_.input_size;
    for (std::int64_t layer = 0; layer < shape_.layers; ++layer) {
      float* output = layer + 1 == shape_.layers ? y : between.at_least(2 * rows * wide) + layer % 2 * rows * wide;
      for (int direction = 0; direction < shape_.directions; ++direction) {
        const Layer& each = layers_[static_cast<std::size_t>(layer * shape_.directions + direction)];
        // Of words a step's products are gathered when it comes: they need not lie anywhere twice.
        float* wx = products.at_least((input.vectors ? rows : B) * each.Z());
        if (!input.vectors) {
          found.resize(static_cast<std::size_t>(rows));
          each.look_up(rows, input.words, found.data());
        } else {
          each.input_product(rows, input.vectors, input_row, wx);
        }
        float* h = states.at_least(2 * B * H);
        float* c = h + B * H;
        std::memset(h, 0, sizeof(float) * static_cast<std::size_t>(2 * B * H));
        for (std::size_t s = 0; s < batch_sizes.size(); ++s) {
          const std::size_t t = direction ? batch_sizes.size() - 1 - s : s;
          if (!input.vectors) gather(batch_sizes[t], found.data() + offsets[t], each.Z(), wx);
          each.step(batch_sizes[t], input.vectors ? wx + offsets[t] * each.Z() : wx, h, c);
          for (std::int64_t b = 0; b < batch_sizes[t]; ++b)
            std::memcpy(output + (offsets[t] + b) * wide + direction * H, h + b * H,
                        sizeof(float) * static_cast<std::size_t>(H));
        }
      }
      input = {output, nullptr};
      input_row = wide;
    }
  }

  void step(std::int64_t rows, const Input& x, float* h, float* c) const override {
    thread_local Buffer products;
    thread_local std::vector<const float*> found;
    const Layer& layer = layers_.front();
    float* wx = products.at_least(rows * layer.Z());
    if (!x.vectors) {
      found.resize(static_cast<std::size_t>(rows));
      layer.look_up(rows, x.words, found.data());
      gather(rows, found.data(), layer.Z(), wx);
    } else {
      layer.input_product(rows, x.vectors, shape_.input_size, wx);
    }
    if (x.fed) layer.add_fed(rows, x.fed, wx);
    layer.step(rows, wx, h, c);
  }

 private:
  StackShape shape_;
  StackVectors vectors_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Recurrence> make_recurrence(const Backend& backend, int precision, const StackShape& shape,
                                            const Tensors& tensors, const std::shared_ptr<const Table>& table) {
  return std::make_unique<Layers>(backend, precision, shape, tensors, table);
}

}  // namespace rnn_engine::translate
