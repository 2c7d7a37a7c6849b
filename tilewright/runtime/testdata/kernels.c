/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels as generated code would export them, for the tests of the loader. TW_TEST_FACTOR differs
 * between the two libraries that are built from this file. */
#include "tilewright/runtime/kernel_abi.h"

enum { kRow = 4 };

/* buffers: input rows, one row of weights, output rows; a chunk is a row. */
static void scale(void* const* buffers, const int64_t* dims, int64_t chunk_begin, int64_t chunk_end,
                  const tw_runtime_table* table) {
  const float* input = buffers[0];
  const float* weights = buffers[1];
  float* output = buffers[2];
  for (int64_t i = chunk_begin * kRow; i < chunk_end * kRow; ++i) {
    output[i] = TW_TEST_FACTOR * input[i] * weights[i % kRow];
  }
}

/* Reports negative elements of its one input. */
static void check(void* const* buffers, const int64_t* dims, int64_t chunk_begin, int64_t chunk_end,
                  const tw_runtime_table* table) {
  const float* input = buffers[0];
  for (int64_t i = chunk_begin * kRow; i < chunk_end * kRow; ++i) {
    if (input[i] < 0) table->report_error(table, "negative element", i);
  }
}

__attribute__((visibility("default")))
const tw_kernel_entry tw_kernels[] = {{"scale", &scale}, {"check", &check}};
