/* SPDX-License-Identifier: Apache-2.0
 *
 * What generated code and the runtime agree on. Plain C, so that kernels may also be written by hand. */
#ifndef TILEWRIGHT_RUNTIME_KERNEL_ABI_H_
#define TILEWRIGHT_RUNTIME_KERNEL_ABI_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of everything in this file; a module states the version that its code was made for. */
#define TW_KERNEL_ABI_VERSION 1

/* Arenas and parameters begin at multiples of this many bytes; a buffer lies at its offset from there. Inputs
 * and outputs are aligned to the program's bind_alignment at least. */
#define TW_MEMORY_ALIGNMENT 64

/* What the runtime offers to kernels, which import no symbols. Fields are only ever added at the end. */
typedef struct tw_runtime_table {
  uint32_t version; /* TW_KERNEL_ABI_VERSION */
  uint32_t size;    /* bytes of this structure */
  /* Reports that the model failed on these inputs; may be called from every thread, the first report of a run
   * is kept. `message` is a constant of the kernel's; `value` is the offending value. The kernel then returns
   * without touching memory that the error puts in doubt. */
  void (*report_error)(const struct tw_runtime_table* table, const char* message, int64_t value);
} tw_runtime_table;

/* A kernel computes the chunks [chunk_begin, chunk_end) of its outermost parallel loop. `buffers` holds one
 * pointer per buffer argument, `dims` the values of symbolic dimensions (null where there are none). Calls
 * for disjoint ranges of one launch run at the same time and must touch disjoint memory: a workspace is a
 * buffer of num_chunks strides, and a call may use the stride of its first chunk for all of its chunks. The
 * result must not depend on how chunks are grouped into calls. */
typedef void (*tw_kernel)(void* const* buffers, const int64_t* dims, int64_t chunk_begin, int64_t chunk_end,
                          const tw_runtime_table* table);

/* The table that a packaged .so exports under the name its variant states: one entry per kernel, in the order
 * of the program's kernel indices. */
typedef struct tw_kernel_entry {
  const char* name;
  tw_kernel function;
} tw_kernel_entry;

#ifdef __cplusplus
}
#endif
#endif /* TILEWRIGHT_RUNTIME_KERNEL_ABI_H_ */
