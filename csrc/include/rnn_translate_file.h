/* The C API of model files: everything of a translation model in one file, which is mapped into memory and used where
 * it lies. docs/model_file.md says what stands where in it.
 *
 * A file that is open may be replaced by another (renamed over) or deleted: what is mapped stays. It must not be
 * written over or cut short in place, as with any program that runs: the weights would change, or the process end with
 * SIGBUS. */
#ifndef RNN_TRANSLATE_FILE_H_
#define RNN_TRANSLATE_FILE_H_

#include "rnn_translate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a section holds. The 8-bit integers are a matrix of -127 to 127 in panels, as products read it (Int8Matrix of
 * csrc/cpu/kernels/kernels.h); all else lies row by row. */
enum {
  RNN_TRANSLATE_OF_BYTES = 0,
  RNN_TRANSLATE_OF_FLOAT32 = 1,
  RNN_TRANSLATE_OF_INT8_PANELS = 2,
  RNN_TRANSLATE_OF_INT64 = 3,
  RNN_TRANSLATE_OF_FLOAT64 = 4,
  RNN_TRANSLATE_OF_INT32 = 5,
  RNN_TRANSLATE_OF_BFLOAT16_PANELS = 6,
  RNN_TRANSLATE_TYPES = 7
};

typedef struct {
  const char* name; /* 1 to 87 printable characters of ASCII */
  int32_t type;
  int64_t rows, columns;
  const void* data; /* [rows, columns], aligned to 64 bytes in a file */
} rnn_translate_section;

typedef struct rnn_translate_file rnn_translate_file;

/* Maps a file and checks all of it: that it is a regular file, every number of its header and table, and the digest of
 * every section. */
RNN_ENGINE_API int rnn_translate_file_open(const char* path, rnn_translate_file** file);
RNN_ENGINE_API void rnn_translate_file_close(rnn_translate_file* file);
/* The sections in their order, for as long as the file is open. */
RNN_ENGINE_API int rnn_translate_file_sections(const rnn_translate_file* file, const rnn_translate_section** sections,
                                               int64_t* count);
/* The network of a file, which may be closed before it. */
RNN_ENGINE_API int rnn_translate_file_network(const rnn_translate_file* file, const char* isa,
                                              rnn_translate_model** model);
/* The same of a file that nothing else is wanted of. */
RNN_ENGINE_API int rnn_translate_model_open(const char* path, const char* isa, rnn_translate_model** model);

/* Whether no value is infinite or not a number, as it must be in a file: 1, else 0. */
RNN_ENGINE_API int rnn_translate_all_finite(const float* values, int64_t count);

/* Makes the contents of a file: the network, its weights as rnn_translate_model_create takes them, in the precision of
 * `shape`, and sections of the caller's own. The same input gives the same bytes, on every machine. Free them with
 * rnn_translate_contents_free. */
RNN_ENGINE_API int rnn_translate_file_make(const rnn_translate_shape* shape, const rnn_translate_tensor* tensors,
                                           int64_t count, const rnn_translate_section* sections, int64_t section_count,
                                           char** contents, int64_t* size);
RNN_ENGINE_API void rnn_translate_contents_free(char* contents);

#ifdef __cplusplus
}
#endif
#endif
