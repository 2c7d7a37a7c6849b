#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The code that fixed kernels become, as counts: what a change of a rule, a pass or of LLVM does to it is seen without a
stop watch.

Of each kernel's hot loop, the innermost loop with the most multiply-adds (or vector instructions, where there are
none), this compares with expected.json: instructions, accesses to the stack, vector loads and stores, multiply-adds
by where their last operand comes from. --update writes what is found; a commit that does so says why.

Runs in .venv-test (scripts/setup test). Nothing of it depends on the machine: all targets are named.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND = ROOT / "build" / "bin" / "tilewright"
EXPECTED = pathlib.Path(__file__).resolve().with_name("expected.json")


def model(nodes, inputs, output, weights=()):
    """One output; inputs and weights as {name: (shape, numpy type)}, weights with zeros but for the types."""
    def info(name, shape, dtype):
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    graph = helper.make_graph(
        nodes, "kernel", [info(name, *what) for name, what in inputs.items()], [info(*output)],
        [numpy_helper.from_array(np.full(shape, 1, dtype), name) for name, (shape, dtype) in dict(weights).items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def gemm(m, n, k):
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ((m, k), "f4")}, ("y", (m, n), "f4"),
                 {"w": ((k, n), "f4")})


def byte_gemm(m, n, k):
    return model([helper.make_node("MatMulInteger", ["x", "w"], ["y"])], {"x": ((m, k), "u1")}, ("y", (m, n), "i4"),
                 {"w": ((k, n), "i1")})


def conv(channels, size, filters, kernel, stride=1, group=1):
    pad, out = kernel // 2, (size + kernel // 2 * 2 - kernel) // stride + 1
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[kernel] * 2, strides=[stride] * 2,
                              pads=[pad] * 4, group=group), helper.make_node("Relu", ["c"], ["y"])]
    return model(nodes, {"x": ((1, channels, size, size), "f4")}, ("y", (1, filters, out, out), "f4"),
                 {"w": ((filters, channels // group, kernel, kernel), "f4"), "b": ((filters,), "f4")})


def row_kernel(*nodes, shape=(128, 384)):
    return model(list(nodes), {"x": (shape, "f4")}, ("y", shape, "f4"),
                 {"s": ((shape[-1],), "f4"), "b": ((shape[-1],), "f4")})


V4 = "x86-64-v4"
KERNELS = {
    "product": (V4, gemm(128, 768, 768)),
    "product_v3": ("x86-64-v3", gemm(128, 768, 768)),
    "product_v2": ("x86-64-v2", gemm(128, 768, 768)),
    "product_aarch64": ("aarch64-linux-gnu", gemm(128, 768, 768)),
    "product_one_row": (V4, gemm(1, 2600, 650)),
    "product_of_bytes": (V4 + ",features=+avx512vnni", byte_gemm(128, 768, 768)),
    "conv_1x1": (V4, conv(256, 14, 1024, 1)),
    "conv_3x3": (V4, conv(128, 28, 128, 3, stride=2)),
    "conv_stem": (V4, conv(3, 224, 32, 3, stride=2)),
    "conv_depthwise": (V4, conv(96, 56, 96, 3, group=96)),
    "softmax": (V4, row_kernel(helper.make_node("Softmax", ["x"], ["y"]))),
    "layer_norm": (V4, row_kernel(helper.make_node("LayerNormalization", ["x", "s", "b"], ["y"]))),
    "gelu": (V4, row_kernel(helper.make_node("Erf", ["x"], ["e"]), helper.make_node("Mul", ["e", "x"], ["y"]))),
}


def blocks(assembly):
    """The functions of an assembly text as lists of (label or None, instruction or None)."""
    for body in re.split(r"\n\t\.type\t[^\n]*@function\n", assembly)[1:]:
        lines = []
        for line in body.split("\n"):
            line = line.split("#")[0].split("//")[0].strip()
            label = re.match(r"(\.L\w+):", line)
            if line.startswith(".Lfunc_end"):
                break
            if label:
                lines.append((label[1], None))
            elif line and not line.startswith(".") and not line.endswith(":"):
                lines.append((None, line))
        yield lines


def innermost_loops(lines):
    """Instructions of the loops that hold no other loop: from a label to the last jump back to it."""
    at = {label: i for i, (label, _) in enumerate(lines) if label}
    ends = {}
    for i, (_, instruction) in enumerate(lines):
        jump = re.match(r"(?:j\w+|b\w*\.?\w*|cbnz?|tbnz?)\s+(?:.*\s)?(\.L\w+)$", instruction or "")
        if jump and at.get(jump[1], len(lines)) <= i:
            ends[at[jump[1]]] = i
    for begin, end in ends.items():
        if not any(begin < other <= end for other in ends):
            yield [instruction for _, instruction in lines[begin:end + 1] if instruction]


FUSED = re.compile(r"vfn?m(add|sub)\d+p[sdh]|vpdpbusd|fml[as]\b|fmadd")
STACK = re.compile(r"\(%rsp|\[sp\b")
VECTOR = re.compile(r"%[xyz]mm|\b[vq]\d+\b")


def count(instructions):
    counts = dict.fromkeys(["instructions", "stack", "loads_and_stores", "fma_register", "fma_memory", "fma_element"], 0)
    for text in instructions:
        memory = "(" in text or "[" in text.replace("].", "")
        if re.search(r"v\d+\.\w+\[\d+\]", text):  # a lane of an ARM register
            memory = False
        counts["instructions"] += 1
        counts["stack"] += bool(STACK.search(text))
        if FUSED.match(text):
            element = "{1to" in text or re.search(r"v\d+\.\w+\[\d+\]$", text)
            counts["fma_element" if element else "fma_memory" if memory else "fma_register"] += 1
        elif memory and VECTOR.search(text):
            counts["loads_and_stores"] += 1
    return counts


def hot_loop(assembly):
    loops = [loop for lines in blocks(assembly) for loop in innermost_loops(lines)]
    if not loops:
        raise SystemExit("tests/assembly: no loop found")
    return max(loops, key=lambda loop: (sum(bool(FUSED.match(i)) for i in loop),
                                        sum(bool(VECTOR.search(i)) for i in loop), len(loop)))


def measure(name, folder):
    target, graph = KERNELS[name]
    onnx.save(graph, folder / "kernel.onnx")
    subprocess.run([COMMAND, "compile", folder / "kernel.onnx", "--target", target, "--emit", "asm", "-o",
                    folder / "kernel.s", "--quiet"], check=True)
    return count(hot_loop((folder / "kernel.s").read_text()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help=f"what to compile (default: all): {', '.join(KERNELS)}")
    parser.add_argument("--update", action="store_true", help="write what is found to expected.json")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in KERNELS]:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(KERNELS)}")

    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    differing, found = [], {}
    with tempfile.TemporaryDirectory(prefix="tilewright-assembly-") as folder:
        for name in options.names or KERNELS:
            found[name] = measure(name, pathlib.Path(folder))
            changes = [f"{key} {expected.get(name, {}).get(key)} -> {value}" for key, value in found[name].items()
                       if expected.get(name, {}).get(key) != value]
            print(f"{name:18} {', '.join(changes) or 'as before'}")
            if changes:
                differing.append(name)
    if options.update:
        merged = {name: found.get(name, expected.get(name)) for name in KERNELS}
        EXPECTED.write_text(json.dumps({k: v for k, v in merged.items() if v}, indent=1) + "\n")
        return 0
    print(f"tests/assembly: {len(found) - len(differing)} of {len(found)} as before"
          + (f"; changed: {', '.join(differing)}. If that is meant, run with --update and say why" if differing else ""))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
