#include <map>
#include <mutex>
#include <numeric>

#include "translate/memory.h"
#include "translate/recurrence.h"

namespace rnn_engine::translate {
namespace {

struct PlanDeleter {
  void operator()(rnn_engine_plan* plan) const { rnn_engine_plan_destroy(plan); }
};
using PlanPointer = std::unique_ptr<rnn_engine_plan, PlanDeleter>;

class FloatRecurrence final : public Recurrence {
 public:
  FloatRecurrence(rnn_engine_context* context, const StackShape& shape, const Tensors& tensors,
                  std::shared_ptr<const Table> table)
      : context_(context), shape_(shape), weights_(shape, tensors, false), table_(std::move(table)) {
    const PlanPointer any = plan(nullptr, 1);
    rnn_engine_sizes sizes{};
    check(rnn_engine_plan_sizes(any.get(), &sizes));
    float* packed = packed_.at_least(static_cast<std::int64_t>(sizes.packed_bytes / sizeof(float)));
    check(rnn_engine_pack(any.get(), weights_.sets.data(), packed, nullptr));
  }

  void run(const std::vector<std::int64_t>& batch_sizes, const Input& x, float* y) const override {
    thread_local Buffer states;
    const PlanPointer ragged = plan(&batch_sizes, 0);
    rnn_engine_array_sizes arrays{};
    check(rnn_engine_plan_arrays(ragged.get(), &arrays));
    float* last = states.at_least(arrays.h + arrays.c);
    rnn_engine_forward_args args{};
    args.x = vectors_of(std::accumulate(batch_sizes.begin(), batch_sizes.end(), std::int64_t{0}), x);
    args.y = y;
    args.hn = last;
    args.cn = last + arrays.h;
    forward(ragged.get(), args);
  }

  void step(std::int64_t rows, const Input& x, float* h, float* c) const override {
    rnn_engine_plan* known = nullptr;
    {
      std::lock_guard lock(lock_);
      PlanPointer& place = steps_[rows];
      if (!place) place = plan(nullptr, rows);
      known = place.get();
    }
    rnn_engine_forward_args args{};
    args.x = vectors_of(rows, x);
    args.h0 = args.hn = h;
    args.c0 = args.cn = c;
    forward(known, args);
  }

 private:
  const float* vectors_of(std::int64_t rows, const Input& x) const {
    if (!table_) return x.vectors;
    thread_local Buffer vectors;
    float* all = vectors.at_least(rows * table_->width());
    for (std::int64_t row = 0; row < rows; ++row) table_->look_up(x.words[row], all + row * table_->width());
    return all;
  }

  PlanPointer plan(const std::vector<std::int64_t>* batch_sizes, std::int64_t rows) const {
    const std::vector<std::int64_t> hidden(static_cast<std::size_t>(shape_.layers), shape_.hidden_size);
    rnn_engine_problem problem{};
    problem.cell = shape_.cell;
    problem.dtype = RNN_ENGINE_FLOAT32;
    problem.steps = batch_sizes ? static_cast<std::int64_t>(batch_sizes->size()) : 1;
    problem.batch = batch_sizes ? batch_sizes->front() : rows;
    problem.input_size = shape_.input_size;
    problem.hidden_sizes = hidden.data();
    problem.layers = shape_.layers;
    problem.directions = shape_.directions;
    problem.bias = 1;
    problem.output = batch_sizes ? 1 : 0;
    problem.prepacked = 1;
    problem.batch_sizes = batch_sizes ? batch_sizes->data() : nullptr;
    problem.schedule = RNN_ENGINE_LAYERS;
    rnn_engine_plan* made = nullptr;
    check(rnn_engine_plan_create(context_, &problem, &made));
    return PlanPointer(made);
  }

  void forward(rnn_engine_plan* plan, rnn_engine_forward_args args) const {
    thread_local Buffer workspace;
    rnn_engine_sizes sizes{};
    check(rnn_engine_plan_sizes(plan, &sizes));
    args.weights = weights_.sets.data();
    args.packed = packed_.data();
    args.workspace = workspace.at_least(static_cast<std::int64_t>(sizes.workspace_bytes / sizeof(float)) + 1);
    args.reserve = args.workspace;  // of no bytes
    check(rnn_engine_forward(plan, &args));
  }

  rnn_engine_context* context_;
  StackShape shape_;
  StackWeights weights_;
  std::shared_ptr<const Table> table_;
  Buffer packed_;
  mutable std::mutex lock_;
  mutable std::map<std::int64_t, PlanPointer> steps_;  // by the number of rows
};

}  // namespace

std::unique_ptr<Recurrence> make_float_recurrence(rnn_engine_context* context, const StackShape& shape,
                                                  const Tensors& tensors, std::shared_ptr<const Table> table) {
  return std::make_unique<FloatRecurrence>(context, shape, tensors, std::move(table));
}

}  // namespace rnn_engine::translate
