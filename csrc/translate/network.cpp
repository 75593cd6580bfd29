#include "translate/network.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "cpu/gemm/gemm.h"

namespace rnn_engine::translate {
namespace {

void require_size(const char* name, std::int64_t size, std::int64_t most) {
  require(size >= 1 && size <= most,
          std::string(name) + ": expected 1 to " + std::to_string(most) + ", got " + std::to_string(size));
}

const rnn_translate_shape& checked(const rnn_translate_shape& shape) {
  constexpr std::int64_t kWidest = 1 << 16, kLargest = 1 << 24, kDeepest = 64;
  require_size("source_vocabulary", shape.source_vocabulary, kLargest);
  require_size("target_vocabulary", shape.target_vocabulary, kLargest);
  require_size("embedding_size", shape.embedding_size, kWidest);
  require_size("hidden_size", shape.hidden_size, kWidest);
  require_size("encoder_layers", shape.encoder_layers, kDeepest);
  require_size("decoder_layers", shape.decoder_layers, kDeepest);
  require(shape.attention >= RNN_TRANSLATE_DOT && shape.attention <= RNN_TRANSLATE_ADDITIVE,
          "attention: expected 0 (dot), 1 (general) or 2 (additive), got " + std::to_string(shape.attention));
  require_size("attention_heads", shape.attention_heads, 16);
  require(shape.hidden_size % shape.attention_heads == 0, "attention_heads: expected a divisor of hidden_size " +
                                                              std::to_string(shape.hidden_size) + ", got " +
                                                              std::to_string(shape.attention_heads));
  require(shape.context == RNN_TRANSLATE_READOUT || shape.context == RNN_TRANSLATE_UPPER,
          "context: expected 0 (readout) or 1 (upper), got " + std::to_string(shape.context));
  constexpr std::int64_t kAll = 1'000'000;
  require(shape.zoneout >= 0 && shape.zoneout <= kAll,
          "zoneout: expected 0 to 1000000 millionths, got " + std::to_string(shape.zoneout));
  require(shape.input_feeding == 0 || (shape.input_feeding == 1 && shape.context == RNN_TRANSLATE_READOUT),
          "input_feeding: expected 0, or with the context readout 1, got " + std::to_string(shape.input_feeding));
  require(shape.attend_embeddings == 0 || shape.attend_embeddings == 1,
          "attend_embeddings: expected 0 or 1, got " + std::to_string(shape.attend_embeddings));
  require(!shape.attend_embeddings || shape.embedding_size % shape.attention_heads == 0,
          "attention_heads: expected a divisor of embedding_size " + std::to_string(shape.embedding_size) + ", got " +
              std::to_string(shape.attention_heads));
  require(shape.precision >= RNN_TRANSLATE_FLOAT32 && shape.precision <= RNN_TRANSLATE_BFLOAT16,
          "precision: expected 0 (float32), 1 (int8) or 2 (bfloat16), got " + std::to_string(shape.precision));
  return shape;
}

}  // namespace

Network::Network(const rnn_translate_shape& shape, const Tensors& tensors, const char* isa)
    : shape_(checked(shape)), backend_(select_backend(isa ? isa : std::getenv("RNN_ENGINE_ISA"))) {
  const std::int64_t E = shape.embedding_size, H = shape.hidden_size, C = context_size();
  make_tables(tensors);

  const auto recurrence = [&](const StackShape& stack, const std::shared_ptr<const Table>& table) {
    return make_recurrence(backend_, shape.precision, stack, tensors, table);
  };
  const auto zoneout = static_cast<float>(static_cast<double>(shape.zoneout) / 1e6);
  encoder_ = recurrence({shape.cell, E, H, shape.encoder_layers, 2, "encoder.layers.", zoneout}, source_table_);
  const std::int64_t upper = shape.context == RNN_TRANSLATE_UPPER ? C + H : H;
  for (std::int64_t layer = 0; layer < shape.decoder_layers; ++layer) {
    const std::string prefix = "decoder.layers." + std::to_string(layer) + ".";
    const std::int64_t fed = shape.input_feeding && layer == 0 ? H : 0;
    decoder_.push_back(
        recurrence({shape.cell, layer ? upper : E, H, 1, 1, prefix, zoneout, fed}, layer ? nullptr : target_table_));
  }

  const auto linear = [&](const std::string& name, std::int64_t n, std::int64_t k, bool bias = true) {
    return make_linear(backend_, shape.precision, tensors.matrix(name + ".weight", n, k),
                       bias ? tensors.get(name + ".bias", n) : nullptr);
  };
  bridge_ = linear("decoder.initial", states_of_layer() * shape.decoder_layers * H, C);
  keys_ = linear("decoder.attention.key_projection", H, C, false);
  if (shape.attention != RNN_TRANSLATE_DOT) queries_ = linear("decoder.attention.query_projection", H, H, false);
  if (shape.attention == RNN_TRANSLATE_ADDITIVE) {
    const float* vector = tensors.get("decoder.attention.vector", H);
    vector_.assign(vector, vector + H);
  }
  attentional_ = linear("decoder.combine", H, C + H);
  readout_ = linear("decoder.project", E, H);
}

// The tables of both sides, and the output layer, may be one matrix: what is rounded is then kept once.
void Network::make_tables(const Tensors& tensors) {
  const std::int64_t E = shape_.embedding_size, V = shape_.target_vocabulary;
  const char *of_target = "target_embedding.table.weight", *of_output = "output_weight";
  const bool joint = !tensors.has(of_target), tied = !tensors.has(of_output);
  require(!joint || V == shape_.source_vocabulary, "one table, but vocabularies of two sizes");
  const Matrix source = tensors.matrix("source_embedding.table.weight", shape_.source_vocabulary, E);
  const Matrix target = joint ? source : tensors.matrix(of_target, V, E);
  const Matrix output = tied ? target : tensors.matrix(of_output, V, E);
  const float* bias = tensors.get("output_bias", V);
  const auto factor = static_cast<float>(std::sqrt(static_cast<double>(E)));
  if (shape_.precision != RNN_TRANSLATE_FLOAT32) {
    const auto pack = [&](const Matrix& matrix) {
      return std::make_shared<const RoundedWeights>(backend_, shape_.precision, matrix);
    };
    const SharedWeights of_source = pack(source), of_both = joint ? of_source : pack(target);
    source_table_ = std::make_shared<Table>(of_source, factor);
    target_table_ = joint ? source_table_ : std::make_shared<Table>(of_both, factor);
    output_ = make_linear(backend_, tied ? of_both : pack(output), bias);
  } else {
    source_table_ = std::make_shared<Table>(source, factor);
    target_table_ = joint ? source_table_ : std::make_shared<Table>(target, factor);
    output_ = make_linear(backend_, shape_.precision, output, bias);
  }
}

std::vector<std::unique_ptr<Source>> Network::encode(const std::vector<std::vector<std::int32_t>>& sources) const {
  const std::int64_t H = shape_.hidden_size, C = context_size();
  std::vector<std::int64_t> sizes, offsets;  // of each step
  std::int64_t rows = 0;
  for (std::size_t t = 0; t < sources.front().size(); ++t) {
    std::int64_t size = sizes.empty() ? static_cast<std::int64_t>(sources.size()) : sizes.back();
    while (sources[static_cast<std::size_t>(size - 1)].size() <= t) --size;
    sizes.push_back(size);
    offsets.push_back(rows);
    rows += size;
  }
  thread_local Buffer states, keys;
  std::vector<std::int32_t> words;
  for (std::size_t t = 0; t < sizes.size(); ++t)
    for (std::int64_t b = 0; b < sizes[t]; ++b) words.push_back(sources[static_cast<std::size_t>(b)][t]);
  encoder_->run(sizes, {nullptr, words.data()}, states.at_least(rows * C));
  if (shape_.attend_embeddings)
    for (std::int64_t row = rows - 1; row >= 0; --row) {  // from the end on, as the rows move apart
      float* state = states.data() + row * C;
      std::memmove(state, states.data() + row * 2 * H, sizeof(float) * 2 * H);
      source_table_->look_up(words[static_cast<std::size_t>(row)], state + 2 * H);
    }
  keys_->apply(rows, states.data(), C, keys.at_least(rows * H), H);
  if (shape_.attention != RNN_TRANSLATE_ADDITIVE) {
    const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(H / shape_.attention_heads)));
    for (std::int64_t j = 0; j < rows * H; ++j) keys.data()[j] *= scale;
  }

  std::vector<std::unique_ptr<Source>> result;
  const auto B = static_cast<std::int64_t>(sources.size());
  std::vector<float> summaries(static_cast<std::size_t>(B * C));  // the mean of each source's states
  for (std::size_t b = 0; b < sources.size(); ++b) {
    std::vector<const float*> state_rows, key_rows;
    for (std::size_t t = 0; t < sources[b].size(); ++t) {
      const std::int64_t row = offsets[t] + static_cast<std::int64_t>(b);
      state_rows.push_back(states.data() + row * C);
      key_rows.push_back(keys.data() + row * H);
    }
    result.push_back(source_of(state_rows, key_rows, summaries.data() + static_cast<std::int64_t>(b) * C));
  }
  begin(B, summaries.data(), result);
  return result;
}

std::unique_ptr<Source> Network::source_of(const std::vector<const float*>& states,
                                           const std::vector<const float*>& keys, float* summary) const {
  const std::int64_t H = shape_.hidden_size, C = context_size();
  const auto S = static_cast<std::int64_t>(states.size());
  auto source = std::make_unique<Source>();
  source->length = S;

  source->keys.reserve(static_cast<std::size_t>(S * H));
  source->values.reserve(static_cast<std::size_t>(S * C));
  const std::int64_t key_size = H / shape_.attention_heads, value_size = C / shape_.attention_heads;
  for (std::int64_t head = 0; head < shape_.attention_heads; ++head) {
    for (const float* row : keys)
      source->keys.insert(source->keys.end(), row + head * key_size, row + (head + 1) * key_size);
    for (const float* row : states)
      source->values.insert(source->values.end(), row + head * value_size, row + (head + 1) * value_size);
  }

  for (const float* row : states)
    for (std::int64_t j = 0; j < C; ++j) summary[j] += row[j];
  for (std::int64_t j = 0; j < C; ++j) summary[j] /= static_cast<float>(S);
  return source;
}

// The states before the first token, of all sources at once.
void Network::begin(std::int64_t rows, const float* summaries, std::vector<std::unique_ptr<Source>>& sources) const {
  const std::int64_t LH = shape_.decoder_layers * shape_.hidden_size, all = states_of_layer() * LH;
  std::vector<float> initial(static_cast<std::size_t>(rows * all));
  bridge_->apply(rows, summaries, context_size(), initial.data(), all);
  kernels().tanh_row(initial.data(), rows * all);
  const float* from = initial.data();
  for (std::unique_ptr<Source>& source : sources) {
    source->hidden.assign(from, from + LH);
    source->cell.assign(from + all - LH, from + all);  // of a single state, h again
    if (shape_.input_feeding) source->fed.assign(static_cast<std::size_t>(shape_.hidden_size), 0.0f);
    from += all;
  }
}

const float* Network::ask(const std::vector<std::int32_t>& tokens, States& states, Scratch& scratch) const {
  const std::int64_t H = shape_.hidden_size, C = context_size();
  const auto N = static_cast<std::int64_t>(tokens.size());
  float* sum = scratch.states.at_least(N * H);  // of the layers' outputs: each adds to those below
  for (std::size_t layer = 0; layer < asking_layers(); ++layer) {
    float* h = states.hidden[layer].data();
    const float* fed = layer || !shape_.input_feeding ? nullptr : states.fed.data();
    decoder_[layer]->step(N, {layer ? sum : nullptr, tokens.data(), fed}, h, states.cell[layer].data());
    if (layer == 0)
      std::memcpy(sum, h, sizeof(float) * N * H);
    else
      for (std::int64_t j = 0; j < N * H; ++j) sum[j] += h[j];
  }
  float* joined = scratch.joined.at_least(N * (C + H));  // [context; state]
  for (std::int64_t n = 0; n < N; ++n) std::memcpy(joined + n * (C + H) + C, sum + n * H, sizeof(float) * H);
  if (!queries_) return sum;
  queries_->apply(N, sum, H, scratch.queries.at_least(N * H), H);
  return scratch.queries.data();
}

const float* Network::attend(const Group& group, std::int64_t row, const float* queries, Scratch& scratch) const {
  const std::int64_t H = shape_.hidden_size, C = context_size(), S = group.source->length, N = group.rows;
  const std::int64_t heads = shape_.attention_heads, key_size = H / heads, value_size = C / heads;
  float* mean = scratch.scores.at_least(N * S);
  float* weights = heads == 1 ? mean : scratch.head_scores.at_least(N * S);
  for (std::int64_t head = 0; head < heads; ++head) {
    kernels().attend({N, S, key_size, value_size, queries + row * H + head * key_size,
                      group.source->keys.data() + head * S * key_size,
                      group.source->values.data() + head * S * value_size,
                      vector_.empty() ? nullptr : vector_.data() + head * key_size, weights,
                      scratch.joined.data() + row * (C + H) + head * value_size, H, C + H});
    if (heads == 1) break;
    for (std::int64_t j = 0; j < N * S; ++j) mean[j] = (head ? mean[j] : 0.0f) + weights[j];
  }
  if (heads > 1)
    for (std::int64_t j = 0; j < N * S; ++j) mean[j] /= static_cast<float>(heads);
  return mean;
}

void Network::answer(std::int64_t rows, States& states, Scratch& scratch) const {
  const std::int64_t H = shape_.hidden_size, C = context_size();
  float* joined = scratch.joined.data();
  for (std::size_t layer = asking_layers(); layer < decoder_.size(); ++layer) {
    const float* h = states.hidden[layer].data();
    decoder_[layer]->step(rows, {joined, nullptr}, states.hidden[layer].data(), states.cell[layer].data());
    for (std::int64_t n = 0; n < rows; ++n)
      for (std::int64_t j = 0; j < H; ++j) joined[n * (C + H) + C + j] += h[n * H + j];
  }
}

const float* Network::read_out(std::int64_t rows, States& states, Scratch& scratch) const {
  const std::int64_t E = shape_.embedding_size, H = shape_.hidden_size, wide = context_size() + H;
  float* vectors = (shape_.input_feeding ? states.fed : scratch.vectors).at_least(rows * H);
  attentional_->apply(rows, scratch.joined.data(), wide, vectors, H);
  kernels().tanh_row(vectors, rows * H);
  readout_->apply(rows, vectors, H, scratch.features.at_least(rows * E), E);
  return scratch.features.data();
}

}  // namespace rnn_engine::translate
