// A chunk of tokens at a time: their logits in one product, the loss and the slopes, and from those the three
// gradients. Tokens that are ignored have slopes of zero; targets never leave the device.
#include "cuda/loss/loss.h"

#include <algorithm>
#include <string>

#include "api/arguments.h"
#include "base/arena.h"
#include "cuda/run/run.h"

namespace rnn_engine::cuda {
namespace {

// Tokens taken at once: as many as keep the logits within this many bytes, but enough for large products.
std::int64_t chunk_of(const rnn_engine_loss_problem& p) {
  constexpr std::int64_t kBytes = 128 << 20, kLeast = 256, kGrain = 64;
  const std::int64_t size = p.dtype == RNN_ENGINE_FLOAT64 ? 8 : 4;
  const std::int64_t fitting = std::max(kLeast, kBytes / (size * p.vocabulary) / kGrain * kGrain);
  return std::max<std::int64_t>(1, std::min(fitting, p.tokens));
}

template <class T>
struct LossWorkspace {
  std::int64_t chunk;
  rnn_engine_loss_result* found;  // [chunk]
  Value<T>* z;                    // [chunk, V] logits, then slopes
  T* slopes;                      // [chunk, V] where they are rounded

  LossWorkspace(const rnn_engine_loss_problem& p, Arena& arena) : chunk(chunk_of(p)) {
    found = arena.take<rnn_engine_loss_result>("losses of a chunk", chunk);
    z = arena.take<Value<T>>("logits", chunk * p.vocabulary);
    slopes = arena.take<T>("slopes", kRounds<T> && p.gradients ? chunk * p.vocabulary : 0);
  }
};

template <class T>
class Loss {
 public:
  Loss(const rnn_engine_loss_problem& problem, const Multipliers& with, const rnn_engine_loss_args& args,
       const LossWorkspace<T>& workspace)
      : p_(problem), with_(with), args_(args), s_(workspace), stream_(static_cast<Stream>(args.stream)) {}

  void run(rnn_engine_loss_result* result) const {
    fill_zero(result, sizeof *result, stream_);
    for (std::int64_t first = 0; first < p_.tokens; first += s_.chunk) {
      const std::int64_t count = std::min(s_.chunk, p_.tokens - first);
      const T* hidden = static_cast<const T*>(args_.hidden) + first * p_.features;
      logits(hidden, count);
      slopes(first, count);
      add_losses(stream_, s_.found, count, result);
      if (p_.gradients) gradients(hidden, first, count);
    }
  }

 private:
  const T* weight() const { return static_cast<const T*>(args_.weight); }

  // Of losses and their gradients no order of sums is promised.
  void multiply(Product<T> product) const {
    product.any_order = true;
    cuda::multiply(stream_, product, with_);
  }

  void logits(const T* hidden, std::int64_t count) const {
    Product<T> p{};
    p.m = count;
    p.n = p_.vocabulary;
    p.k = p_.features;
    p.a = by_rows<T>(hidden, p_.features);
    p.b = by_rows<T>(weight(), p_.features);
    p.bias[0] = static_cast<const Value<T>*>(args_.bias);
    p.c = s_.z;
    p.c_row = p_.vocabulary;
    multiply(p);
  }

  void slopes(std::int64_t first, std::int64_t count) const {
    TokenLoss<T> loss{};
    loss.tokens = count;
    loss.classes = p_.vocabulary;
    loss.z = s_.z;
    loss.slopes = s_.slopes;
    loss.targets = args_.targets + first;
    loss.ignore_index = p_.ignore_index;
    loss.on = static_cast<Value<T>>(args_.scale * (1 - p_.smoothing));
    loss.off = static_cast<Value<T>>(args_.scale * p_.smoothing / static_cast<double>(p_.vocabulary));
    loss.scale = static_cast<Value<T>>(args_.scale);
    loss.smoothing = p_.smoothing;
    loss.gradients = p_.gradients != 0;
    loss.found = s_.found;
    token_loss(stream_, loss);
  }

  void gradients(const T* hidden, std::int64_t first, std::int64_t count) const {
    const T* slopes = s_.slopes;
    if constexpr (!kRounds<T>) slopes = s_.z;
    const std::int64_t V = p_.vocabulary, E = p_.features;
    Product<T> p{};
    if (args_.d_hidden) {
      p.m = count;
      p.n = E;
      p.k = V;
      p.a = by_rows<T>(slopes, V);
      p.b = by_columns<T>(weight(), E);
      p.stored_c = static_cast<T*>(args_.d_hidden) + first * E;
      p.c_row = E;
      multiply(p);
    }
    if (args_.d_weight) {
      p = {};
      p.m = V;
      p.n = E;
      p.k = count;
      p.a = by_columns<T>(slopes, V);
      p.b = by_columns<T>(hidden, E);
      p.c = static_cast<Value<T>*>(args_.d_weight);
      p.init = p.c;
      p.init_row = p.c_row = E;
      multiply(p);
    }
    if (args_.d_bias) add_slopes<T>(stream_, slopes, count, V, static_cast<Value<T>*>(args_.d_bias));
  }

  const rnn_engine_loss_problem& p_;
  const Multipliers& with_;
  const rnn_engine_loss_args& args_;
  const LossWorkspace<T>& s_;
  const Stream stream_;
};

}  // namespace

void check_loss(const rnn_engine_loss_problem& p, const DeviceFacts& device) {
  require_dtype(p.dtype, device);
  require_loss_problem(p);
  if (p.divergence != 0) throw InvalidArgument("divergence: expected 0 on CUDA, got " + std::to_string(p.divergence));
}

std::size_t loss_workspace_bytes(const rnn_engine_loss_problem& problem) {
  return visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena;
    LossWorkspace<T>(problem, arena);
    return arena.size();
  });
}

void run_linear_cross_entropy(const rnn_engine_loss_problem& problem, const Multipliers& with,
                              const rnn_engine_loss_args& args, rnn_engine_loss_result* result) {
  visit_dtype(problem.dtype, [&]<class T>() {
    Arena arena(args.workspace);
    const LossWorkspace<T> workspace(problem, arena);
    Loss<T>(problem, with, args, workspace).run(result);
  });
}

}  // namespace rnn_engine::cuda
