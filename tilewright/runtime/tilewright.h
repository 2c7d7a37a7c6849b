/* SPDX-License-Identifier: Apache-2.0
 *
 * The C interface of the Tilewright runtime: load a compiled module, give it inputs, run it, read its
 * outputs. C11 and C++; needs dlpack.h beside it and nothing else.
 *
 *   tw_module* module;  tw_context* context;  tw_tensor out;
 *   tw_module_load("model.so", NULL, &module);
 *   tw_context_create(module, NULL, &context);
 *   tw_context_set_input(context, 0, pixels, sizeof pixels);
 *   tw_context_run(context);
 *   tw_context_get_output(context, 0, &out);
 *
 * A module is immutable and may be shared by threads. A context owns memory and state: one thread at a time
 * uses it, and contexts of one module run side by side. Every function that can fail returns a status, never
 * aborts, and leaves a message for tw_last_error(). A module is code: load only modules that you trust, since
 * their checksums detect damage, not malice. */
#ifndef TILEWRIGHT_RUNTIME_TILEWRIGHT_H_
#define TILEWRIGHT_RUNTIME_TILEWRIGHT_H_

#include <stddef.h>
#include <stdint.h>

#include "dlpack.h"

#if defined(_WIN32)
#define TW_API
#else
#define TW_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_status {
  TW_OK = 0,
  TW_INVALID_ARGUMENT = 1, /* a null pointer, an index out of range, a wrong size, dtype or alignment */
  TW_SHAPE_MISMATCH = 2,   /* a tensor's shape is not one that the module accepts */
  TW_FILE_ERROR = 3,       /* the file cannot be opened, read or mapped */
  TW_BAD_MODULE = 4,       /* not a Tilewright module, or a damaged one */
  TW_UNSUPPORTED = 5,      /* needs a newer runtime, another processor, a missing device or host function */
  TW_OUT_OF_MEMORY = 6,
  TW_EXECUTION_ERROR = 7, /* the model itself failed on these inputs, such as an index out of range */
  TW_INTERNAL_ERROR = 8   /* a defect of the runtime */
} tw_status;

typedef struct tw_module tw_module;
typedef struct tw_context tw_context;

/* The version of the runtime, such as "0.1.0". */
TW_API const char* tw_version(void);

/* The message of this thread's last failed call, beginning with its id ("TW5104: ..."); empty before the
 * first failure. Valid until the thread's next failing call. */
TW_API const char* tw_last_error(void);

/* The name of a status, such as "TW_BAD_MODULE". */
TW_API const char* tw_status_name(tw_status status);

/* ---- Modules ---- */

/* Set `size` to sizeof(tw_load_options); fields beyond `size` take their defaults. */
typedef struct tw_load_options {
  size_t size;
  int32_t
      verify_parameters; /* nonzero: also read and check all parameters (default 0: they are only mapped) */
} tw_load_options;

/* Loads a module from a file (a packaged .so or a flat container). Parameters are mapped, not read; metadata,
 * program and code are checked against their checksums before anything is used. `options` may be null. */
TW_API tw_status tw_module_load(const char* path, const tw_load_options* options, tw_module** out);

/* Loads a module from `length` bytes, 64-byte aligned, which must stay unchanged until the module and its
 * contexts are released. */
TW_API tw_status tw_module_load_memory(const void* data, size_t length, const tw_load_options* options,
                                       tw_module** out);

/* Gives the module up. Its contexts keep what they need. Null is allowed. */
TW_API void tw_module_release(tw_module* module);

/* Reads and checks all parameters; TW_BAD_MODULE when they are damaged. */
TW_API tw_status tw_module_verify_parameters(const tw_module* module);

/* The model's name, the producer's version and the full description of the chosen target. Valid as long as
 * the module. */
TW_API const char* tw_module_name(const tw_module* module);
TW_API const char* tw_module_producer(const tw_module* module);
TW_API const char* tw_module_target(const tw_module* module);

/* What a module says of one input or output. */
typedef struct tw_tensor_info {
  const char* name;
  DLDataType dtype;
  int32_t ndim;
  const int64_t* shape; /* -1 where the dimension is known only at run time */
  const char* const*
      dim_symbols; /* per dimension: null where fixed, else the symbol's name, "" where computed */
} tw_tensor_info;

TW_API int32_t tw_module_num_inputs(const tw_module* module);
TW_API int32_t tw_module_num_outputs(const tw_module* module);
TW_API tw_status tw_module_input_info(const tw_module* module, int32_t index, tw_tensor_info* out);
TW_API tw_status tw_module_output_info(const tw_module* module, int32_t index, tw_tensor_info* out);

/* The index of the input or output of that name, or -1. */
TW_API int32_t tw_module_find_input(const tw_module* module, const char* name);
TW_API int32_t tw_module_find_output(const tw_module* module, const char* name);

/* ---- Contexts ---- */

/* Set `size` to sizeof(tw_context_options); fields beyond `size` take their defaults. */
typedef struct tw_context_options {
  size_t size;
  int32_t num_threads; /* 0: TILEWRIGHT_NUM_THREADS, else what affinity mask and container allow */
  int32_t profile;     /* nonzero: time every instruction */
} tw_context_options;

/* `options` may be null. Memory of a model with fixed shapes is allocated here, none while it runs. */
TW_API tw_status tw_context_create(const tw_module* module, const tw_context_options* options,
                                   tw_context** out);
TW_API void tw_context_release(tw_context* context);

/* A compact, row-major tensor in memory of the context or of the user. `shape` is valid until the next call
 * that changes shapes. */
typedef struct tw_tensor {
  void* data;
  size_t bytes;
  DLDataType dtype;
  int32_t ndim;
  const int64_t* shape;
} tw_tensor;

/* Gives a symbolic input its shape. Needed before tw_context_set_input and tw_context_input_buffer where the
 * input has dimensions that are not fixed; the other calls take the shape from their tensor. */
TW_API tw_status tw_context_set_input_shape(tw_context* context, int32_t index, const int64_t* shape,
                                            int32_t ndim);

/* Copies `bytes` bytes, the input's compact, row-major contents, into the context. */
TW_API tw_status tw_context_set_input(tw_context* context, int32_t index, const void* data, size_t bytes);

/* Copies a tensor in host memory, strided or not; its dtype must be the input's. */
TW_API tw_status tw_context_set_input_tensor(tw_context* context, int32_t index, const DLTensor* tensor);

/* Reads the input from the user's compact tensor at every run, without a copy. The memory must be aligned to
 * tw_context_bind_alignment() and stay valid. A null tensor ends the binding. */
TW_API tw_status tw_context_bind_input(tw_context* context, int32_t index, const DLTensor* tensor);

/* Writes the output into the user's compact tensor at every run, under the same conditions. */
TW_API tw_status tw_context_bind_output(tw_context* context, int32_t index, const DLTensor* tensor);

/* Makes what the last run wrote to an output the contents of an input for the next run, without a copy: the
 * two exchange their memory. What the output then shows is unspecified until the next run. Neither may be
 * bound. Nothing happens where the module was compiled to give the output the input's memory (`tilewright
 * compile --donate`): there every run leaves its output in the input. */
TW_API tw_status tw_context_feed(tw_context* context, int32_t output, int32_t input);

/* The input whose memory an output has by the module's own choice (`--donate`), or -1. */
TW_API int32_t tw_module_donor(const tw_module* module, int32_t output);

/* The alignment, in bytes, that bound memory needs; a power of two. */
TW_API size_t tw_context_bind_alignment(const tw_context* context);

/* The context's own memory for an input, to be filled in place. */
TW_API tw_status tw_context_input_buffer(tw_context* context, int32_t index, tw_tensor* out);

/* Runs the model on the inputs given; blocks until the outputs are there. Allocates nothing and takes no lock
 * where shapes are fixed. */
TW_API tw_status tw_context_run(tw_context* context);

/* The output of the last run; its memory is overwritten by the next one. */
TW_API tw_status tw_context_get_output(const tw_context* context, int32_t index, tw_tensor* out);

/* The bytes that the context has allocated for intermediate values, inputs and outputs. */
TW_API size_t tw_context_memory_bytes(const tw_context* context);

/* How many threads the context uses at most. */
TW_API int32_t tw_context_num_threads(const tw_context* context);

/* ---- Profile ---- */

/* The times of one instruction of the program since the context was created or the profile was reset, and the
 * work that one execution of it does at the sizes of the last run. */
typedef struct tw_profile_entry {
  const char* name; /* the kernel's or instruction's name */
  const char* kind; /* "launch", "copy", ... */
  uint64_t runs;
  uint64_t sum_ns;
  uint64_t min_ns;
  int64_t flops;  /* of the direct algorithm; 0 where the compiler counts none */
  uint64_t bytes; /* of the distinct buffers that it reads or writes */
} tw_profile_entry;

/* The number of entries, one an instruction in program order; 0 unless the context profiles. */
TW_API int32_t tw_context_profile_size(const tw_context* context);
TW_API tw_status tw_context_profile_entry(const tw_context* context, int32_t index, tw_profile_entry* out);
TW_API void tw_context_profile_reset(tw_context* context);

/* ---- Host functions ---- */

/* A function on the host that a program calls by name. Arguments are inputs, then outputs; returns 0 or an
 * error number of its own. */
typedef int32_t (*tw_host_function)(void* user_data, const DLTensor* arguments, int32_t num_arguments);

/* Makes a host function known to contexts that are created afterwards; a second registration of a name
 * replaces the first. */
TW_API tw_status tw_register_host_function(const char* name, tw_host_function function, void* user_data);

#ifdef __cplusplus
}
#endif
#endif /* TILEWRIGHT_RUNTIME_TILEWRIGHT_H_ */
