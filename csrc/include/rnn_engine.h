/* The C API of the recurrent engine.
 *
 * Symbols: T time steps, B batch, I input size, H hidden size, L layers, D directions (1 or 2), G = 4 gates,
 * N = sum of batch_sizes rows (N = T*B when all sequences are equally long).
 *
 * Rows. A batch of sequences is stored as N rows, time-major: first the rows of step 0, then those of step 1,
 * ... Step t has batch_sizes[t] rows, and batch_sizes never grows: row b of every step belongs to sequence b,
 * and sequences are sorted by descending length. This is the layout of torch's PackedSequence. A dense [T, B,
 * I] array is the same with batch_sizes[t] = B.
 *
 * Weights, one set for each (layer, direction), index layer*D + direction; gate order i, f, g, o:
 *   weight_ih [4H, I or D*H]   weight_hh [4H, H]   bias_ih [4H]   bias_hh [4H]   (biases may all be NULL)
 *   extra[p] [4H]: further vectors of the cell; MI-LSTM: alpha, beta1, beta2, bias (bias NULL without
 * biases).
 *
 * Memory. The library allocates nothing inside a call: the plan says how many bytes of `kept` (written by
 * forward, read and consumed by backward) and of `scratch` (free after each call) the caller provides,
 * 64-byte aligned. Weight gradients accumulate, activation gradients overwrite.
 *
 * Every function that can fail returns 0 or an error code; rnn_engine_last_error() then holds the message
 * (per thread). No function keeps a pointer after it returned, except into the context it was given.
 */
#ifndef RNN_ENGINE_H_
#define RNN_ENGINE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RNN_ENGINE_API __attribute__((visibility("default")))

enum { RNN_ENGINE_OK = 0, RNN_ENGINE_INVALID = 1, RNN_ENGINE_FAILED = 2 };
enum { RNN_ENGINE_LSTM = 0, RNN_ENGINE_MI_LSTM = 1 };
enum { RNN_ENGINE_FLOAT32 = 0, RNN_ENGINE_FLOAT64 = 1 };
enum { RNN_ENGINE_MAX_EXTRA = 4 };

/* What is to be computed; shapes only. */
typedef struct {
  int32_t cell;       /* RNN_ENGINE_LSTM, ... */
  int32_t dtype;      /* RNN_ENGINE_FLOAT32, ... */
  int64_t steps;      /* T */
  int64_t batch;      /* B */
  int64_t input_size; /* I */
  int64_t hidden_size;
  int64_t layers;
  int32_t directions;
  int32_t bias;               /* 0: all biases are NULL */
  int32_t training;           /* 1: keep what backward needs; 0: forward only, in rolling buffers */
  const int64_t* batch_sizes; /* [T], never growing, batch_sizes[0] = B; NULL: all B */
  double dropout;             /* probability, between layers; 0 in evaluation */
  uint64_t seed;              /* key of the dropout masks */
  const int64_t* row_ids;     /* [B] the caller's index of each sequence, keys the masks; NULL: 0..B-1 */
} rnn_engine_problem;

/* One buffer of a plan. Life: index of the first and the last layer whose work touches it. */
typedef struct {
  const char* name;
  const char* arena;        /* "kept", "forward scratch" or "backward scratch" */
  int64_t layer, direction; /* -1: shared by all */
  uint64_t offset, bytes;
  int64_t first_layer, last_layer;
} rnn_engine_buffer;

typedef struct {
  uint64_t kept_bytes, forward_scratch_bytes, backward_scratch_bytes;
} rnn_engine_sizes;

/* Pointers to one (layer, direction)'s weights, or to their gradients. */
typedef struct {
  void* weight_ih;
  void* weight_hh;
  void* bias_ih;
  void* bias_hh;
  void* extra[RNN_ENGINE_MAX_EXTRA];
} rnn_engine_weights;

typedef struct {
  const rnn_engine_weights* weights; /* [L*D] */
  const void* x;                     /* [N, I] */
  const void* h0;                    /* [L*D, B, H] or NULL: zeros */
  const void* c0;                    /* [L*D, B, H] or NULL: zeros */
  void* y;                           /* [N, D*H] */
  void* hn;                          /* [L*D, B, H] */
  void* cn;                          /* [L*D, B, H] */
  void* kept;
  void* scratch;
} rnn_engine_forward_args;

typedef struct {
  const rnn_engine_weights* weights; /* [L*D] */
  const void* x;                     /* as in forward */
  const void* h0;
  const void* c0;
  const void* y;                       /* forward's output */
  const void* dy;                      /* [N, D*H] or NULL: zeros */
  const void* dhn;                     /* [L*D, B, H] or NULL: zeros */
  const void* dcn;                     /* [L*D, B, H] or NULL: zeros */
  void* dx;                            /* [N, I] or NULL: not wanted */
  void* dh0;                           /* [L*D, B, H] or NULL */
  void* dc0;                           /* [L*D, B, H] or NULL */
  const rnn_engine_weights* gradients; /* [L*D], accumulated into; a NULL pointer: not wanted */
  void* kept;                          /* consumed: gradients are written over what it holds */
  void* scratch;
} rnn_engine_backward_args;

typedef struct rnn_engine_context rnn_engine_context;

/* Message of the calling thread's last failure. */
RNN_ENGINE_API const char* rnn_engine_last_error(void);

/* A context owns the threads. `threads` >= 1. `isa`: "generic", "avx2", "avx512", or NULL: RNN_ENGINE_ISA
 * from the environment, else the best that the machine has. */
RNN_ENGINE_API int rnn_engine_context_create(int32_t threads, const char* isa, rnn_engine_context** context);
RNN_ENGINE_API void rnn_engine_context_destroy(rnn_engine_context* context);
RNN_ENGINE_API const char* rnn_engine_context_isa(const rnn_engine_context* context);
/* 1 if this build and machine can run `isa`. */
RNN_ENGINE_API int rnn_engine_has_isa(const char* isa);

/* Sizes of the arenas: a pure function of problem and context. */
RNN_ENGINE_API int rnn_engine_plan(const rnn_engine_context* context, const rnn_engine_problem* problem,
                                   rnn_engine_sizes* sizes);
/* The table of buffers behind the sizes; writes at most `capacity` rows and the full number to *count. */
RNN_ENGINE_API int rnn_engine_plan_buffers(const rnn_engine_context* context,
                                           const rnn_engine_problem* problem, rnn_engine_buffer* buffers,
                                           size_t capacity, size_t* count);

RNN_ENGINE_API int rnn_engine_forward(rnn_engine_context* context, const rnn_engine_problem* problem,
                                      const rnn_engine_forward_args* args);
RNN_ENGINE_API int rnn_engine_backward(rnn_engine_context* context, const rnn_engine_problem* problem,
                                       const rnn_engine_backward_args* args);

/* Output layer and label-smoothed cross-entropy, with their gradients. The logits of `tokens` hidden vectors,
 * Z = X W^T + b, never exist all at once. A token's loss is (1 - smoothing) * -log p(target) + smoothing *
 * the mean of -log p over the vocabulary. Tokens whose target is `ignore_index` are left out and not looked
 * at. */
enum { RNN_ENGINE_LOSS_HIDDEN = 1, RNN_ENGINE_LOSS_WEIGHT = 2, RNN_ENGINE_LOSS_BIAS = 4 };

typedef struct {
  int32_t dtype;
  int32_t gradients;  /* those wanted: a sum of RNN_ENGINE_LOSS_... */
  int64_t tokens;     /* M; may be 0 */
  int64_t features;   /* E */
  int64_t vocabulary; /* V */
  int64_t ignore_index;
  double smoothing; /* in [0, 1] */
} rnn_engine_loss_problem;

typedef struct {
  const void* hidden;     /* [M, E] */
  const void* weight;     /* [V, E] */
  const void* bias;       /* [V] or NULL: zeros */
  const int64_t* targets; /* [M] */
  double scale;           /* the gradients are those of scale * loss */
  void* d_hidden;         /* [M, E]; NULL if not wanted, as the next two */
  void* d_weight;         /* [V, E], accumulated into */
  void* d_bias;           /* [V], accumulated into */
  void* scratch;          /* 64-byte aligned */
} rnn_engine_loss_args;

typedef struct {
  double loss, nll; /* sums over the tokens: smoothed, and of -log p(target) */
  int64_t right;    /* tokens whose target is the first class with the highest logit */
  int64_t tokens;   /* tokens not ignored */
} rnn_engine_loss_result;

/* Bytes of scratch: a pure function of problem and context. */
RNN_ENGINE_API int rnn_engine_loss_scratch(const rnn_engine_context* context,
                                           const rnn_engine_loss_problem* problem, uint64_t* bytes);
RNN_ENGINE_API int rnn_engine_linear_cross_entropy(rnn_engine_context* context,
                                                   const rnn_engine_loss_problem* problem,
                                                   const rnn_engine_loss_args* args,
                                                   rnn_engine_loss_result* result);

/* C[M, N] = A[M, K] B[N, K]^T in float32: the engine's own product, for measuring it by itself. */
RNN_ENGINE_API int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k,
                                   const float* a, const float* b, float* c, void* scratch,
                                   size_t scratch_bytes);
RNN_ENGINE_API size_t rnn_engine_gemm_scratch(const rnn_engine_context* context, int64_t n, int64_t k);
/* Runs `iterations` x 16 independent fused multiply-adds on vectors on every thread and returns the number of
 * floating-point operations done: the machine's arithmetic peak when timed. */
RNN_ENGINE_API double rnn_engine_peak(rnn_engine_context* context, int64_t iterations);

#ifdef __cplusplus
}
#endif
#endif
