/* The C API of the recurrent engine.
 *
 * Symbols: T time steps, B batch, I input size, H hidden size, R = H, or P with a projection: width of h, L
 * layers, D directions (1 or 2), N = sum of batch_sizes rows (N = T*B when all sequences are equally long).
 *
 * Rows. A batch of sequences is stored as N rows, time-major: first the rows of step 0, then those of step 1,
 * ... Step t has batch_sizes[t] rows, and batch_sizes never grows: row b of every step belongs to sequence b,
 * and sequences are sorted by descending length. This is the layout of torch's PackedSequence. A dense [T, B,
 * I] array is the same with batch_sizes[t] = B.
 *
 * Weights, one set for each (layer, direction), index layer*D + direction; gate order i, f, g, o:
 *
 *   weight_ih [4H, I or D*R]   weight_hh [4H, R]   bias_ih [4H]   bias_hh [4H]   (biases may all be NULL)
 *
 *   weight_hr [P, H], only with a projection
 *
 *   vector_params[p] [4H] or [H] (rnn_engine_vector_width): further vectors of the cell, in this order
 *
 *   - MI-LSTM: alpha, beta1, beta2, bias
 *
 *   - layer-norm LSTM: gamma_ih, gamma_hh, gamma_c [H], beta_c [H]
 *
 *   - layer-norm MI-LSTM: gamma_ih, gamma_hh, alpha, beta1, beta2, bias, gamma_c [H], beta_c [H]
 *
 * bias and beta_c are NULL without biases. The GRU has 3H where 4H stands, in the order r, z, n, no
 * projection, and one state: its c0 and h0 must be equal, cn and hn then are, and the gradient of the state
 * is the sum of both. Its zoneout of c must be 0, that of h is the state's.
 *
 * States (h0, hn and their gradients: R wide; c0, cn: H wide) are [B, width] for each (layer, direction), one
 * after the other: [L*D, B, width] where all layers are equally wide.
 *
 * Types. Everything is of the problem's dtype. Only with bfloat16 and float16, which are stored but not
 * computed with, these are float32: all vectors of weights (biases, vector_params), all gradients of weights,
 * c0, cn, cy and their gradients.
 *
 * CUDA. librnn_engine_cuda is a second library with this same API; it is loaded at run time by who wants it.
 * Its contexts come from rnn_engine_cuda_context_create, all data pointers are to that device's memory, and
 * forward, backward, pack and linear_cross_entropy put their work on the caller's stream, or on others
 * between two points of it, and return: they neither wait nor allocate device memory, and errors of the work
 * itself show up at the next synchronisation.
 *
 * Plans. A plan is made from a problem before anything runs, and says how many bytes of `reserve` (written by
 * forward, read and consumed by backward) and of `workspace` (free after each call) the caller provides,
 * 64-byte aligned. Running a plan allocates nothing. Weight gradients accumulate, activation gradients
 * overwrite.
 *
 * Every function that can fail returns 0 or an error code; rnn_engine_last_error() then holds the message
 * (per thread). No function keeps a pointer after its work is done, except a plan's to its context.
 *
 * Any argument is answered with a code: NULL, a number of no meaning, a size that no machine has, a pointer that
 * is not aligned to what it points to. So is a lack of memory or threads. What cannot be checked is the caller's
 * part: that pointers which are not NULL point to as many values as are said, and handles to what was made here
 * and not destroyed yet.
 *
 * Threads and forks. Any number of threads may call with one context or plan at once; one of them has the
 * context's threads, the others compute by themselves, with the same results. A process may fork at any moment:
 * on the CPU its child goes on with the same contexts and plans, and with as many threads, made anew.
 */
#ifndef RNN_ENGINE_H_
#define RNN_ENGINE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RNN_ENGINE_API __attribute__((visibility("default")))

/* Raised with every change of this file that a caller must know of. */
#define RNN_ENGINE_API_VERSION 5

/* The caller's mistake; memory, threads or a device that were not to be had; rnn_engine_context_set_interrupt.
 */
enum { RNN_ENGINE_OK = 0, RNN_ENGINE_INVALID = 1, RNN_ENGINE_FAILED = 2, RNN_ENGINE_INTERRUPTED = 3 };
enum {
  RNN_ENGINE_LSTM = 0,
  RNN_ENGINE_MI_LSTM = 1,
  RNN_ENGINE_LAYER_NORM_LSTM = 2,
  RNN_ENGINE_LAYER_NORM_MI_LSTM = 3,
  RNN_ENGINE_GRU = 4
};
/* float16 only on CUDA. */
enum { RNN_ENGINE_FLOAT32 = 0, RNN_ENGINE_FLOAT64 = 1, RNN_ENGINE_BFLOAT16 = 2, RNN_ENGINE_FLOAT16 = 3 };
enum { RNN_ENGINE_MAX_VECTOR_PARAMS = 8 };
/* What is kept for backward: everything; h, and c every K steps; h and c every K steps for all layers at once
 * (one direction only: with two it is RECOMPUTE); whatever is fastest within a number of bytes. All give the
 * same bits. */
enum { RNN_ENGINE_STORE = 0, RNN_ENGINE_RECOMPUTE = 1, RNN_ENGINE_CHECKPOINT = 2, RNN_ENGINE_BUDGET = 3 };

/* How threads share the work: all of them at each tile, one layer after the other; groups of them at tiles of
 * several layers or directions side by side; whichever of these is predicted to be faster. On CUDA streams
 * stand for groups. All give the same bits. Or step by step, for what runs inside the recurrence
 * (rnn_engine_before_step): all layers take a step before any takes the next, and products of the weights' gradients
 * are still those of many steps. It is for one direction without projection, sequences of one length, on the CPU;
 * RECOMPUTE is then CHECKPOINT. */
enum { RNN_ENGINE_AUTO = 0, RNN_ENGINE_LAYERS = 1, RNN_ENGINE_WAVEFRONT = 2, RNN_ENGINE_STEPS = 3 };

/* What is to be computed; shapes only. */
typedef struct {
  int32_t cell;                /* RNN_ENGINE_LSTM, ... */
  int32_t dtype;               /* RNN_ENGINE_FLOAT32, ... */
  int64_t steps;               /* T */
  int64_t batch;               /* B */
  int64_t input_size;          /* I */
  const int64_t* hidden_sizes; /* [L] H of each layer */
  int64_t layers;
  int64_t projection; /* P; 0: none */
  int32_t directions;
  int32_t bias;                 /* 0: all biases are NULL */
  int32_t training;             /* 1: keep what backward needs; 0: forward only, in rolling buffers */
  int32_t output;               /* 0: no y, only the last states (forward only) */
  int32_t cell_output;          /* 1: also the last layer's c of every step */
  int32_t input_gradient;       /* 1: backward will get dx, which saves it workspace (training only) */
  int32_t prepacked;            /* 1: forward gets packed weights (forward only) */
  const int64_t* batch_sizes;   /* [T], never growing, batch_sizes[0] = B; NULL: all B */
  double dropout;               /* probability, between layers; 0 in evaluation */
  double recurrent_dropout;     /* probability, of h before U, one mask for all steps; 0 in evaluation. Unless 0,
                                   the masks between layers are the same for all steps too. */
  double zoneout[2];            /* probability that a value of c, and of h, stays as it was */
  int32_t zoneout_masks;        /* 1: drawn; 0: the expectation, as in evaluation */
  int32_t memory;               /* RNN_ENGINE_STORE, ... */
  uint64_t budget;              /* RNN_ENGINE_BUDGET: bytes of reserve and workspace together */
  int32_t schedule;             /* RNN_ENGINE_AUTO, ... */
  int32_t tf32;                 /* float32 on CUDA: 1: products may round what they multiply to TF32 (10 bits) */
  int32_t residual;             /* 1: from the second layer on, a layer puts out its h plus what the layer below put
                                   out; all layers are then equally wide (R) */
  int32_t dropout_per_sentence; /* 1: the masks between layers are the same for all steps of a sequence */
} rnn_engine_problem;

/* One buffer of a plan. It is used by tiles first_tile to last_tile, counted through forward and backward. */
typedef struct {
  const char* name;
  const char* arena;        /* "reserve" or "workspace" */
  int64_t layer, direction; /* -1: shared by all */
  uint64_t offset, bytes;
  int64_t first_tile, last_tile;
} rnn_engine_buffer;

/* One tile of a plan: a layer and direction over steps [begin, end) in the order of computation. kind: 0
 * forward, 1 forward again inside backward, 2 backward; of layers that are stored the products are tiles of
 * their own: 3 gradients of the weights, 4 gradient of the input. */
typedef struct {
  int32_t kind;
  int64_t layer, direction, begin, end;
} rnn_engine_tile;

typedef struct {
  uint64_t reserve_bytes, workspace_bytes;
  uint64_t forward_workspace_bytes, backward_workspace_bytes; /* what each call uses of the workspace */
  uint64_t packed_bytes;                                      /* of packed weights: the same for any steps and batch */
} rnn_engine_sizes;

/* Values of the arrays of a call. */
typedef struct {
  int64_t rows;  /* N */
  int64_t x;     /* N * I */
  int64_t y, cy; /* N * D*R and N * D*H of the last layer */
  int64_t h, c;  /* of all states: the sum of B * R, and of B * H, over layers and directions */
} rnn_engine_array_sizes;

typedef struct {
  int64_t steps;  /* K, of a backward tile */
  double seconds; /* predicted for forward, and backward in training; 0 before rnn_engine_calibrate. Between two
                     plans of one context and dtype its ratio is the planner's own. */
  int64_t tiles;
  int64_t layers;
  int64_t groups; /* of threads, or streams, that run tiles side by side; 1: tile after tile */
} rnn_engine_plan_facts;

/* Pointers to one (layer, direction)'s weights, or to their gradients. */
typedef struct {
  void* weight_ih;
  void* weight_hh;
  void* bias_ih;
  void* bias_hh;
  void* weight_hr;
  void* vector_params[RNN_ENGINE_MAX_VECTOR_PARAMS];
} rnn_engine_weights;

/* What the masks of a call are drawn from: the same for forward and backward. Without masks it is not read.
 */
typedef struct {
  uint64_t seed;          /* key of all masks */
  const int64_t* row_ids; /* [B] the caller's index of each sequence; NULL: 0..B-1 */
} rnn_engine_masks;

/* Called before every step of a plan of RNN_ENGINE_STEPS, by the thread that made the call, which may make others with
 * the same context in it. In forward, steps 0 to T - 1: y of the steps before is there, and x of this one may still be
 * written. In backward, T - 1 to 0: dx of the steps after is there, and dy of this one may still be written; x must be
 * that of forward. Anything but 0 ends the call, as rnn_engine_interrupt does. */
typedef int (*rnn_engine_before_step)(void* user, int64_t step);

typedef struct {
  const rnn_engine_weights* weights; /* [L*D] */
  const void* packed;                /* from rnn_engine_pack, for a prepacked problem; else NULL */
  const void* x;                     /* [N, I] */
  const void* h0;                    /* [L*D, B, R] or NULL: zeros; may be hn */
  const void* c0;                    /* [L*D, B, H] or NULL: zeros; may be cn */
  void* y;                           /* [N, D*R], unless the problem says that there is no output */
  void* cy;                          /* [N, D*H] with cell_output */
  void* hn;                          /* [L*D, B, R] */
  void* cn;                          /* [L*D, B, H] */
  rnn_engine_masks masks;
  void* reserve;
  void* workspace;
  void* stream;                       /* cudaStream_t; NULL on the CPU */
  rnn_engine_before_step before_step; /* NULL but with RNN_ENGINE_STEPS */
  void* before_step_user;
} rnn_engine_forward_args;

typedef struct {
  const rnn_engine_weights* weights; /* [L*D] */
  const void* x;                     /* as in forward */
  const void* h0;
  const void* c0;
  const void* y;                       /* forward's output */
  const void* dy;                      /* [N, D*R] or NULL: zeros */
  const void* dcy;                     /* [N, D*H] or NULL: zeros */
  const void* dhn;                     /* [L*D, B, R] or NULL: zeros */
  const void* dcn;                     /* [L*D, B, H] or NULL: zeros */
  void* dx;                            /* [N, I]; NULL unless the problem says input_gradient */
  void* dh0;                           /* [L*D, B, R] or NULL */
  void* dc0;                           /* [L*D, B, H] or NULL */
  const rnn_engine_weights* gradients; /* [L*D], accumulated into; a NULL pointer: not wanted */
  int32_t overwrite;                   /* 1: gradients' values do not matter, they are written over */
  rnn_engine_masks masks;
  void* reserve; /* consumed: gradients are written over what it holds */
  void* workspace;
  void* stream;                       /* cudaStream_t; NULL on the CPU */
  rnn_engine_before_step before_step; /* NULL but with RNN_ENGINE_STEPS */
  void* before_step_user;
} rnn_engine_backward_args;

typedef struct rnn_engine_context rnn_engine_context;
typedef struct rnn_engine_plan rnn_engine_plan;

/* For who loads the library at run time: all functions below in one table (rnn_engine_functions.h), with the
 * version of this file that the library was built with in its first four bytes. */
RNN_ENGINE_API const void* rnn_engine_functions(void);

/* Message of the calling thread's last failure. */
RNN_ENGINE_API const char* rnn_engine_last_error(void);

/* A context owns the threads. `threads` >= 1. `isa`: "generic", "neon", "avx2", "avx512", "avx512_bf16", or
 * NULL: RNN_ENGINE_ISA from the environment, else the best that the machine has. */
RNN_ENGINE_API int rnn_engine_context_create(int32_t threads, const char* isa, rnn_engine_context** context);
RNN_ENGINE_API void rnn_engine_context_destroy(rnn_engine_context* context);
/* The name lives as long as the context. */
RNN_ENGINE_API int rnn_engine_context_isa(const rnn_engine_context* context, const char** isa);

/* Asked now and then by a long call, on the thread that made it: not before it has lasted 20 ms, nor more often
 * than every 20 ms. Anything but 0 ends the call, which then returns RNN_ENGINE_INTERRUPTED: its outputs,
 * gradients and reserve hold anything; plan and context can be used as before. It must neither throw, nor fork
 * and return in the child, nor call with this context. */
typedef int (*rnn_engine_interrupt)(void* user);
/* For rnn_engine_forward, rnn_engine_backward, rnn_engine_linear_cross_entropy and attention; NULL: nobody is asked.
 * Not while calls with the context are under way. On CUDA calls return at once, and it is not asked. */
RNN_ENGINE_API int rnn_engine_context_set_interrupt(rnn_engine_context* context, rnn_engine_interrupt interrupt,
                                                    void* user);
/* Only in librnn_engine_cuda: a context of CUDA device `device`, whose instruction set is called e.g.
 * "sm_90". It looks for cuBLAS 12 or 13 (libcublasLt): the file that RNN_ENGINE_CUBLAS in the environment
 * names, else one that is loaded already, else one that the dynamic linker finds; RNN_ENGINE_CUBLAS=off:
 * none. Where there is none the engine's own kernels make all products; with it, cuBLAS makes large ones of
 * which no order of sums is promised: gradients of weights, and those of linear_cross_entropy.
 */
RNN_ENGINE_API int rnn_engine_cuda_context_create(int32_t device, rnn_engine_context** context);
/* Only in librnn_engine_cuda: what was found, e.g. "cuBLAS 13.0.2", or "own products" and, in parentheses,
 * why; it lives as long as the context. */
RNN_ENGINE_API int rnn_engine_cuda_products(const rnn_engine_context* context, const char** products);
/* Only there, too: CUDA graphs that the context has made. A forward or backward call that comes a second time
 * with a plan of the same problem and the same pointers (but for the masks) is captured, and
 * launched as one from then on. RNN_ENGINE_CUDA_GRAPHS in the environment: how many a context keeps, 32 by
 * default; 0: none. */
RNN_ENGINE_API int rnn_engine_cuda_graphs(const rnn_engine_context* context, int64_t* graphs);
/* 1 if this build and machine can run `isa`. */
RNN_ENGINE_API int rnn_engine_has_isa(const char* isa);

/* Values of vector_params[vector] of a cell for each hidden unit: as many as gates, or 1; 0 if it has no such
 * vector. */
RNN_ENGINE_API int rnn_engine_vector_width(int32_t cell, int32_t vector);

/* Makes a plan for this context. Pure: it allocates the plan alone, and follows from the problem, the number of
 * threads and the width of the instruction set's vectors, in every process, whatever else the machine does. */
RNN_ENGINE_API int rnn_engine_plan_create(rnn_engine_context* context, const rnn_engine_problem* problem,
                                          rnn_engine_plan** plan);
RNN_ENGINE_API void rnn_engine_plan_destroy(rnn_engine_plan* plan);
RNN_ENGINE_API int rnn_engine_plan_sizes(const rnn_engine_plan* plan, rnn_engine_sizes* sizes);
RNN_ENGINE_API int rnn_engine_plan_arrays(const rnn_engine_plan* plan, rnn_engine_array_sizes* sizes);
/* How many values weight `which` of the (layer, direction) `index` has; 0 if the stack has no such weight.
 * `which` counts the members of rnn_engine_weights: 0 weight_ih to 4 weight_hr, then vector_params. */
RNN_ENGINE_API int rnn_engine_plan_weight(const rnn_engine_plan* plan, int64_t index, int32_t which, int64_t* values);
RNN_ENGINE_API int rnn_engine_plan_describe(const rnn_engine_plan* plan, rnn_engine_plan_facts* facts);
/* RNN_ENGINE_STORE, RNN_ENGINE_RECOMPUTE or RNN_ENGINE_CHECKPOINT, for layer 0 to L - 1. */
RNN_ENGINE_API int rnn_engine_plan_policy(const rnn_engine_plan* plan, int64_t layer, int32_t* policy);
/* The table of buffers behind the sizes; writes at most `capacity` rows and the full number to *count. */
RNN_ENGINE_API int rnn_engine_plan_buffers(rnn_engine_plan* plan, rnn_engine_buffer* buffers, size_t capacity,
                                           size_t* count);
/* Tile `index` of 0 to tiles - 1, in the order in which they run with one group, and in which they may run
 * with more; the tiles that it waits for: at most `capacity` of them, the full number in *count. They are
 * those that it reads from, and with more than one group also those whose part of workspace it takes over. */
RNN_ENGINE_API int rnn_engine_plan_tile(rnn_engine_plan* plan, int64_t index, rnn_engine_tile* tile, int64_t* inputs,
                                        size_t capacity, size_t* count);

RNN_ENGINE_API int rnn_engine_forward(rnn_engine_plan* plan, const rnn_engine_forward_args* args);
RNN_ENGINE_API int rnn_engine_backward(rnn_engine_plan* plan, const rnn_engine_backward_args* args);

/* Packs weights once for many forward calls of plans with prepacked = 1; any such plan of the same stack,
 * dtype and context will do. `packed`: packed_bytes of its sizes. `stream`: cudaStream_t; NULL on the CPU. */
RNN_ENGINE_API int rnn_engine_pack(rnn_engine_plan* plan, const rnn_engine_weights* weights, void* packed,
                                   void* stream);

/* Finds how fast this machine is with a dtype, for the seconds that plans tell; it changes no plan. It is measured
 * once, in about 60 ms whatever the number of threads, and kept in a file for other processes and contexts like
 * this: in the folder $RNN_ENGINE_CACHE, else rnn_engine in $XDG_CACHE_HOME or ~/.cache; RNN_ENGINE_CACHE=off: in
 * none. Where a file cannot be read or written, the process measures for itself. On CUDA nothing is measured. */
RNN_ENGINE_API int rnn_engine_calibrate(rnn_engine_context* context, int32_t dtype);

/* out = in: float32 to bfloat16, rounded to the nearest, or bfloat16 to float32, by the context's threads. */
RNN_ENGINE_API int rnn_engine_round(rnn_engine_context* context, int64_t count, const float* in, void* out);
RNN_ENGINE_API int rnn_engine_widen(rnn_engine_context* context, int64_t count, const void* in, float* out);

/* Output layer and label-smoothed cross-entropy, with their gradients. The logits of `tokens` hidden vectors,
 * Z = X W^T + b, never exist all at once. A token's loss is (1 - smoothing) * -log p(target) + smoothing *
 * the mean of -log p over the vocabulary. Tokens whose target is `ignore_index` are left out and not looked
 * at.
 * With a divergence, rows 2i and 2i + 1 are two passes over one token, with one target: to the sum of both losses comes
 * the divergence times KL(p || q) + KL(q || p), p and q being what the two predict. */
enum { RNN_ENGINE_LOSS_HIDDEN = 1, RNN_ENGINE_LOSS_WEIGHT = 2, RNN_ENGINE_LOSS_BIAS = 4 };

typedef struct {
  int32_t dtype;
  int32_t gradients;  /* those wanted: a sum of RNN_ENGINE_LOSS_... */
  int64_t tokens;     /* M; may be 0 */
  int64_t features;   /* E */
  int64_t vocabulary; /* V */
  int64_t ignore_index;
  double smoothing;  /* in [0, 1] */
  int32_t tf32;      /* as in rnn_engine_problem */
  double divergence; /* at least 0; 0: rows are no pairs. CPU only */
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
  void* workspace;        /* 64-byte aligned */
  void* stream;           /* cudaStream_t; NULL on the CPU */
} rnn_engine_loss_args;

typedef struct {
  double loss, nll;         /* sums over the tokens: smoothed, with the weighted divergence; and of -log p(target) */
  int64_t target_is_argmax; /* tokens whose target is the first class with the highest logit */
  int64_t tokens;           /* tokens not ignored */
  double divergence;        /* sum over the pairs, unweighted; 0 if there are none */
} rnn_engine_loss_result;

/* Bytes of workspace: a pure function of problem and context. */
RNN_ENGINE_API int rnn_engine_loss_workspace(const rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                                             uint64_t* bytes);
RNN_ENGINE_API int rnn_engine_linear_cross_entropy(rnn_engine_context* context, const rnn_engine_loss_problem* problem,
                                                   const rnn_engine_loss_args* args,
                                                   rnn_engine_loss_result* result); /* CUDA: on the device */

/* Attention of all target steps over all source states. A head has A / heads columns of queries and keys and C / heads
 * of values. With scores z_ts = scale q_t . k_s, or scale vector . tanh(q_t + k_s), its weights are p_t = softmax(z_t)
 * over the source's length, and its context is sum_s drop(p_ts) v_s. For backward one logarithm of a sum a row and head
 * is kept, and nothing of T x S. Keys and values beyond a source's length, and queries beyond a target's, are not
 * looked at: their gradients, and the context of those queries, are zeros. Masks are drawn for (step, row_ids[b], head,
 * source step). On CUDA lengths and row_ids are in that device's memory, too, and lengths out of bounds are taken for
 * the nearest within. */
enum { RNN_ENGINE_DOT = 0, RNN_ENGINE_ADDITIVE = 1 };
enum {
  RNN_ENGINE_ATTENTION_QUERIES = 1,
  RNN_ENGINE_ATTENTION_KEYS = 2,
  RNN_ENGINE_ATTENTION_VALUES = 4,
  RNN_ENGINE_ATTENTION_VECTOR = 8
};

typedef struct {
  int32_t dtype;
  int32_t form;         /* RNN_ENGINE_DOT, ... */
  int64_t steps;        /* T; may be 0 */
  int64_t batch;        /* B; may be 0 */
  int64_t source_steps; /* S */
  int64_t key_size;     /* A, a multiple of heads */
  int64_t value_size;   /* C, a multiple of heads */
  int64_t heads;
  double scale;
  double dropout;     /* probability that a weight is left out; 0 in evaluation */
  int64_t first_step; /* masks count steps from it on: of a call that is a part of another */
  int32_t tf32;       /* as in rnn_engine_problem */
} rnn_engine_attention_problem;

typedef struct {
  const void* queries;           /* [T, B, A] */
  const void* keys;              /* [S, B, A] */
  const void* values;            /* [S, B, C]; may be keys */
  const void* vector;            /* additive: [A], as sums are computed; dot: NULL */
  const int64_t* source_lengths; /* [B], each 1 to S; NULL: all S */
  const int64_t* target_lengths; /* [B], each 0 to T; NULL: all T */
  rnn_engine_masks masks;        /* with dropout */
} rnn_engine_attention_inputs;

typedef struct {
  rnn_engine_attention_inputs inputs;
  void* context;    /* [T, B, C] */
  void* logarithms; /* [T, B, heads], as sums are computed: what backward needs; NULL: not wanted */
  void* weights;    /* [T, B, S], as sums are computed: the mean of the heads' p; NULL: not wanted */
  void* workspace;  /* 64-byte aligned */
  void* stream;     /* cudaStream_t; NULL on the CPU */
} rnn_engine_attention_forward_args;

typedef struct {
  rnn_engine_attention_inputs inputs; /* as in forward */
  const void* logarithms;             /* from forward */
  const void* d_context;              /* [T, B, C] */
  void* d_queries;                    /* [T, B, A]; NULL: not wanted, as the next two; none may be an input */
  void* d_keys;                       /* [S, B, A] */
  void* d_values;                     /* [S, B, C] */
  void* d_vector;                     /* [A], accumulated into; NULL: not wanted, or dot */
  void* workspace;                    /* 64-byte aligned */
  void* stream;                       /* cudaStream_t; NULL on the CPU */
} rnn_engine_attention_backward_args;

/* Bytes of workspace of forward (`gradients` = 0) or of backward: a pure function of problem, wanted gradients (a sum
 * of RNN_ENGINE_ATTENTION_...) and context. */
RNN_ENGINE_API int rnn_engine_attention_workspace(const rnn_engine_context* context,
                                                  const rnn_engine_attention_problem* problem, int32_t gradients,
                                                  uint64_t* bytes);
RNN_ENGINE_API int rnn_engine_attention_forward(rnn_engine_context* context,
                                                const rnn_engine_attention_problem* problem,
                                                const rnn_engine_attention_forward_args* args);
RNN_ENGINE_API int rnn_engine_attention_backward(rnn_engine_context* context,
                                                 const rnn_engine_attention_problem* problem,
                                                 const rnn_engine_attention_backward_args* args);

/* Linear layer of several inputs side by side: with W = [W_1 W_2 ...] and M = steps * batch rows, time-major,
 *
 *   y = dropout(activation(x_1 W_1^T + x_2 W_2^T + ... + b))
 *
 * which are never put together. Row r is that of sequence r % batch at step r / batch, and a mask is drawn by the seed,
 * which forward and backward are given, by step, sequence and column. Backward takes the inputs and y, and computes
 * gradients of the rows in chunks: its workspace does not grow with M. Weight and bias gradients accumulate unless they
 * are to be overwritten.
 */
enum { RNN_ENGINE_IDENTITY = 0, RNN_ENGINE_TANH = 1 };
enum { RNN_ENGINE_MAX_INPUTS = 8 };

typedef struct {
  int32_t dtype;
  int32_t activation;                         /* RNN_ENGINE_IDENTITY, ... */
  int64_t steps, batch;                       /* either may be 0 */
  int64_t outputs;                            /* O */
  int64_t inputs;                             /* 1 to RNN_ENGINE_MAX_INPUTS */
  int64_t input_sizes[RNN_ENGINE_MAX_INPUTS]; /* I_1, I_2, ... */
  double dropout;                             /* probability; 0: none */
  int32_t per_sentence;                       /* 1: all steps have the mask of step 0 */
  int64_t first_step;                         /* masks count steps from it on, as for attention */
  int32_t tf32;                               /* as in rnn_engine_problem */
} rnn_engine_linear_problem;

typedef struct {
  const void* inputs[RNN_ENGINE_MAX_INPUTS]; /* [M, I_i] */
  int64_t input_rows[RNN_ENGINE_MAX_INPUTS]; /* values from one row to the next, at least I_i; 0: I_i */
  const void* weight;                        /* [O, I_1 + I_2 + ...] */
  const void* bias;                          /* [O] or NULL: zeros */
  uint64_t seed;                             /* of the mask */
  void* y;                                   /* [M, O] */
  void* workspace;                           /* 64-byte aligned */
  void* stream;                              /* cudaStream_t; NULL on the CPU */
} rnn_engine_linear_args;

typedef struct {
  const void* inputs[RNN_ENGINE_MAX_INPUTS]; /* as in forward, as the next three */
  int64_t input_rows[RNN_ENGINE_MAX_INPUTS];
  const void* weight;
  uint64_t seed;
  const void* y;                         /* forward's output; NULL without an activation */
  const void* dy;                        /* [M, O] */
  void* d_inputs[RNN_ENGINE_MAX_INPUTS]; /* [M, I_i]; NULL if not wanted, as the next two */
  void* d_weight;                        /* [O, I_1 + I_2 + ...] */
  void* d_bias;                          /* [O] */
  int32_t overwrite;                     /* 1: what stands in d_weight and d_bias does not matter */
  void* workspace;
  void* stream;
} rnn_engine_linear_backward_args;

/* Bytes of workspace of the two calls: pure functions of problem and context. */
RNN_ENGINE_API int rnn_engine_linear_workspace(const rnn_engine_context* context,
                                               const rnn_engine_linear_problem* problem, uint64_t* forward,
                                               uint64_t* backward);
RNN_ENGINE_API int rnn_engine_linear(rnn_engine_context* context, const rnn_engine_linear_problem* problem,
                                     const rnn_engine_linear_args* args);
RNN_ENGINE_API int rnn_engine_linear_backward(rnn_engine_context* context, const rnn_engine_linear_problem* problem,
                                              const rnn_engine_linear_backward_args* args);

/* out = in * scale * mask / (1 - dropout), rows and masks as above; with row_dropout whole rows are zero, each by
 * itself, and the others are not scaled for it. The gradient of `in` is the same of the gradient of `out`. */
typedef struct {
  int32_t dtype;
  int32_t per_sentence; /* 1: all steps have the mask of step 0; rows are left out by themselves */
  int64_t steps, batch, features;
  double scale;
  double dropout, row_dropout; /* probabilities */
} rnn_engine_dropout_problem;

typedef struct {
  const void* in; /* [steps * batch, features] */
  int64_t in_row; /* values from one row to the next, at least `features`; 0: `features` */
  void* out;      /* may be `in` */
  uint64_t seed;
  void* stream; /* cudaStream_t; NULL on the CPU */
} rnn_engine_dropout_args;

RNN_ENGINE_API int rnn_engine_dropout(rnn_engine_context* context, const rnn_engine_dropout_problem* problem,
                                      const rnn_engine_dropout_args* args);

/* C[M, N] = A[M, K] B[N, K]^T in float32: the engine's own product, for measuring it by itself. */
RNN_ENGINE_API int rnn_engine_gemm(rnn_engine_context* context, int64_t m, int64_t n, int64_t k, const float* a,
                                   const float* b, float* c, void* workspace, size_t workspace_bytes);
RNN_ENGINE_API int rnn_engine_gemm_workspace(const rnn_engine_context* context, int64_t n, int64_t k, size_t* bytes);
/* Runs `iterations` x 16 independent fused multiply-adds on vectors, with bfloat16 products of pairs, on
 * every thread and tells the number of floating-point operations done: the machine's arithmetic peak when
 * timed. On CUDA 0. */
RNN_ENGINE_API int rnn_engine_peak(rnn_engine_context* context, int32_t dtype, int64_t iterations, double* operations);

#ifdef __cplusplus
}
#endif
#endif
