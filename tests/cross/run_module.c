/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a compiled module once, on tensors in files: what the tests of other processors run there. Needs the
 * runtime's C interface and nothing else.
 *
 *   run_module MODULE FOLDER [DIMS=FILE ...]
 *
 * One FILE per input, in the module's order: raw row-major values. DIMS are sizes as in 1x128, which an input
 * of fixed shape may leave out. Writes FOLDER/0, FOLDER/1, ... in the same form, and a line "name shape" of
 * each output after one with the target of the code that ran. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tilewright.h>

enum { MAX_DIMS = 16 };

static void check(tw_status status) {
  if (status == TW_OK) return;
  fprintf(stderr, "error[%s] %s\n", tw_status_name(status), tw_last_error());
  exit(1);
}

static void fail(const char* what, const char* which) {
  fprintf(stderr, "%s: %s\n", which, what);
  exit(1);
}

static FILE* open_file(const char* path, const char* mode) {
  FILE* file = fopen(path, mode);
  if (!file) fail(strerror(errno), path);
  return file;
}

static void set_input(tw_context* context, int32_t index, char* argument) {
  char* path = strchr(argument, '=');
  int64_t shape[MAX_DIMS];
  int32_t ndim = 0;
  tw_tensor input;
  FILE* file;
  if (!path) fail("expected DIMS=FILE", argument);
  for (char* at = argument; at < path && ndim < MAX_DIMS; ++at) shape[ndim++] = strtoll(at, &at, 10);
  ++path;
  if (ndim > 0) check(tw_context_set_input_shape(context, index, shape, ndim));
  check(tw_context_input_buffer(context, index, &input));
  file = open_file(path, "rb");
  if (fread(input.data, 1, input.bytes, file) != input.bytes || fgetc(file) != EOF)
    fail("its size is not that of the input", path);
  fclose(file);
}

static void write_output(const tw_module* module, tw_context* context, int32_t index, const char* folder) {
  tw_tensor_info info;
  tw_tensor output;
  char path[4096];
  FILE* file;
  check(tw_module_output_info(module, index, &info));
  check(tw_context_get_output(context, index, &output));
  snprintf(path, sizeof path, "%s/%d", folder, (int)index);
  file = open_file(path, "wb");
  if (fwrite(output.data, 1, output.bytes, file) != output.bytes || fclose(file) != 0)
    fail(strerror(errno), path);
  printf("%s ", info.name);
  for (int32_t i = 0; i < output.ndim; ++i) printf("%s%lld", i ? "x" : "", (long long)output.shape[i]);
  printf("\n");
}

int main(int argc, char** argv) {
  tw_module* module;
  tw_context* context;
  if (argc < 3) return fprintf(stderr, "usage: %s MODULE FOLDER [DIMS=FILE ...]\n", argv[0]), 2;
  check(tw_module_load(argv[1], NULL, &module));
  if (argc - 3 != tw_module_num_inputs(module)) fail("needs one file for each of its inputs", argv[1]);
  check(tw_context_create(module, NULL, &context));
  for (int32_t i = 0; i < argc - 3; ++i) set_input(context, i, argv[i + 3]);
  check(tw_context_run(context));
  printf("%s\n", tw_module_target(module));
  for (int32_t i = 0; i < tw_module_num_outputs(module); ++i) write_output(module, context, i, argv[2]);
  tw_context_release(context);
  tw_module_release(module);
  return 0;
}
