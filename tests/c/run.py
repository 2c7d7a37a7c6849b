#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles models to C, builds the sources by GCC without warnings, and holds what they give to onnxruntime's.

The largest difference stays below 1e-4 of the output's largest magnitude, and a second run in the same process
gives the same bits: nothing is left over in the static memory. wakeword also runs under the address and
undefined-behaviour sanitizers, and as built by clang.

Runs in .venv-test (scripts/setup test); `make models` puts the models into build/models.
"""

import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "models")]
import model_inputs  # noqa: E402
from checks import Failure, run_checks  # noqa: E402

COMMAND = ROOT / "build" / "bin" / "tilewright"
MODELS = ROOT / "build" / "models"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LARGEST_DIFFERENCE = 1e-4

# Runs twice, and fails where the second run differs.
MAIN = """
#include <stdio.h>
#include <string.h>
#include "{name}.h"
{memory}
static int read_file(const char* path, void* data, size_t bytes) {{
  FILE* f = fopen(path, "rb");
  const size_t n = f ? fread(data, 1, bytes, f) : 0;
  if (f) fclose(f);
  return n == bytes;
}}
static int write_file(const char* path, const void* data, size_t bytes) {{
  FILE* f = fopen(path, "wb");
  const size_t n = f ? fwrite(data, 1, bytes, f) : 0;
  return f && fclose(f) == 0 && n == bytes;
}}
int main(void) {{
  const {name}_inputs inputs = {{{inputs}}};
  const {name}_outputs outputs = {{{outputs}}}, again = {{{again}}};
  const char* error = NULL;
{read}
  if (!error) error = {name}_run(&inputs, &outputs);
  if (!error) error = {name}_run(&inputs, &again);
{write}
  if (error) puts(error);
  return error != NULL;
}}
"""


def run(*arguments, **options):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=300, **options)
    if done.returncode != 0:
        raise Failure(f"{pathlib.Path(arguments[0]).name} ended with status {done.returncode}:\n"
                      + (done.stderr + done.stdout)[:2000])
    return done.stdout


def fields(header, what):
    """The members of the header's struct of inputs or outputs: type, name, shape, in order."""
    body = re.search(rf"typedef struct \w+_{what} {{\n(.*?)}}", header, re.DOTALL).group(1)
    members = re.findall(r"^ *(?:const )?(\w+)\* (\w+); /\* \[(.*?)\]", body, re.MULTILINE)
    return [(kind, name, [int(d) for d in shape.split(", ") if d]) for kind, name, shape in members]


NUMPY = {"float": np.float32, "double": np.float64, "uint8_t": np.uint8, "int64_t": np.int64,
         "int32_t": np.int32}


def write_main(folder, name):
    header = (folder / f"{name}.h").read_text()
    inputs, outputs = fields(header, "inputs"), fields(header, "outputs")
    memory, read, write = [], [], []
    for kind, member, shape in inputs:
        memory.append(f"static {kind} in_{member}[{int(np.prod(shape))}];")
        read.append(f'  if (!read_file("{member}.in", in_{member}, sizeof in_{member})) error = "no input";')
    for kind, member, shape in outputs:
        memory += [f"static {kind} {prefix}_{member}[{int(np.prod(shape))}];" for prefix in ("out", "again")]
        write.append(f'  if (!error && memcmp(out_{member}, again_{member}, sizeof out_{member})) '
                     'error = "a second run differs";\n'
                     f'  if (!error && !write_file("{member}.out", out_{member}, sizeof out_{member})) '
                     'error = "no output";')
    joined = {"inputs": [f"in_{m}" for _, m, _ in inputs], "outputs": [f"out_{m}" for _, m, _ in outputs],
              "again": [f"again_{m}" for _, m, _ in outputs]}
    text = MAIN.format(name=name, memory="\n".join(memory), read="\n".join(read), write="\n".join(write),
                       **{key: ", ".join(value) for key, value in joined.items()})
    (folder / "main.c").write_text(text)
    return inputs, outputs


def check(model, folder, compiler, flags):
    source = folder / f"{model}.c"
    run(COMMAND, "compile", MODELS / f"{model}.onnx", "--target", "c", "-o", source, "-q")
    inputs, outputs = write_main(folder, model)
    arrays = model_inputs.seeded_inputs(MODELS / f"{model}.onnx")[0]
    for (_, member, shape), array in zip(inputs, arrays.values(), strict=True):
        if list(array.shape) != shape:
            raise Failure(f"input {member} is {shape} in the header, {list(array.shape)} in the model")
        array.tofile(folder / f"{member}.in")
    built = time.monotonic()
    run(compiler, *FLAGS, *flags, "main.c", *[p.name for p in sorted(folder.glob(f"{model}*.c"))], "-lm",
        "-o", "model", cwd=folder)
    built = time.monotonic() - built
    run(folder / "model", cwd=folder)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(MODELS / f"{model}.onnx", options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for (kind, member, shape), reference in zip(outputs, session.run(None, arrays), strict=True):
        ours = np.fromfile(folder / f"{member}.out", NUMPY[kind]).reshape(shape)
        difference = float(np.abs(ours - reference).max() / np.abs(reference).max())
        worst = max(worst, difference)
        if not difference < LARGEST_DIFFERENCE:
            raise Failure(f"output {member} differs by {difference:.2e} of its largest magnitude")
    return f"difference {worst:.1e}, built in {built:.1f} s"


def check_refusals(folder):
    """Shapes that static memory cannot hold, and names that are no C source, are errors with an id."""
    text = folder / "symbolic.tw"
    text.write_text('symbol n in [1, 64]\n\ngraph @main(%x: f32[n, 4]) -> ("y") {\n'
                    "  %y: f32[n, 4] = Relu(%x)\n  return %y\n}\n")
    for arguments, wanted in (((text, "-o", folder / "symbolic.c"), r"TW3402.*symbolic: n"),
                              ((MODELS / "wakeword.onnx", "-o", folder / "wakeword.so"), "TW3401")):
        done = subprocess.run([COMMAND, "compile", *arguments, "--target", "c"], capture_output=True, text=True,
                              timeout=60)
        if done.returncode != 1 or not re.search(wanted, done.stderr, re.DOTALL):
            raise Failure(f"expected {wanted}, got status {done.returncode}: {done.stderr}")
    done = subprocess.run([COMMAND, "run", MODELS / "wakeword.onnx", "--target", "c"], capture_output=True,
                          text=True, timeout=60)
    if done.returncode != 1 or "TW3203" not in done.stderr:
        raise Failure(f"expected TW3203, got status {done.returncode}: {done.stderr}")
    return "errors with ids"


CLANG = "clang-19"
CASES = {
    "wakeword": lambda folder: check("wakeword", folder, "gcc", []),
    "wakeword, sanitized": lambda folder: check("wakeword", folder, "gcc", SANITIZE),
    "wakeword by clang": lambda folder: check("wakeword", folder, CLANG, []),
    "efficientnet_lite0": lambda folder: check("efficientnet_lite0", folder, "gcc", []),
    "refusals": check_refusals,
}


if __name__ == "__main__":
    sys.exit(run_checks("c", __doc__, CASES))
