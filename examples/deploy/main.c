/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a compiled module: fills its first input from a file of raw values (or with 0.5), runs it, and
 * prints the largest values of its first output. Needs tilewright.h, dlpack.h and
 * libtilewright_runtime.so, nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <tilewright.h>

static void check(tw_status status) {
  if (status == TW_OK) return;
  fprintf(stderr, "error[%s] %s\n", tw_status_name(status), tw_last_error());
  exit(1);
}

static void fill(const tw_tensor* input, const char* path) {
  FILE* file = path ? fopen(path, "rb") : NULL;
  size_t got = file ? fread(input->data, 1, input->bytes, file) : 0;
  if (path && got != input->bytes) {
    fprintf(stderr, "%s: %zu bytes read, the input has %zu\n", path, got, input->bytes);
    exit(1);
  }
  if (file) fclose(file);
  for (size_t i = 0; !path && i < input->bytes / sizeof(float); ++i) ((float*)input->data)[i] = 0.5f;
}

int main(int argc, char** argv) {
  tw_module* module;
  tw_context* context;
  tw_tensor input, output;
  if (argc < 2) return fprintf(stderr, "usage: %s MODULE.so [RAW_INPUT]\n", argv[0]), 2;

  check(tw_module_load(argv[1], NULL, &module));
  check(tw_context_create(module, NULL, &context));
  check(tw_context_input_buffer(context, 0, &input));
  fill(&input, argc > 2 ? argv[2] : NULL);
  check(tw_context_run(context));
  check(tw_context_get_output(context, 0, &output));

  float* values = output.data;
  size_t count = output.bytes / sizeof(float);
  for (size_t place = 0; place < 5 && place < count; ++place) {
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) best = values[i] > values[best] ? i : best;
    printf("%6zu  %g\n", best, values[best]);
    values[best] = -1e38f; /* the output is ours until the next run */
  }
  tw_context_release(context);
  tw_module_release(module);
  return 0;
}
