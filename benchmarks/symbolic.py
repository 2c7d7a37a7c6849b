#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What open sizes cost: a model compiled once for every size, against the same model compiled for each size.

The two take short turns over several rounds, in one process; the ratio is the median over the rounds of the
best latency of the one module by the best of the other. Runs in .venv-bench, on a machine that does nothing else.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnx

from tilewright_runtime import Module

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = ROOT / "build" / "bin" / "tilewright"
LIBRARY = ROOT / "build" / "lib" / "libtilewright_runtime.so"
MINILM = ROOT / "build" / "models" / "fetched" / "minilm.onnx"


def compile_model(path, output, sizes):
    flags = [word for name, value in sizes.items() for word in ("--dim", f"{name}={value}")]
    subprocess.run([COMMAND, "compile", path, "-o", output, "--quiet", *flags], check=True)


def make_inputs(path, names, sizes):
    """Ones for integers, such as tokens and masks; seeded floats. Open dimensions in the order of `sizes`, as
    inputs name or repeat them."""
    random, inputs = np.random.default_rng(0), {}
    by_name = {i.name: i.type.tensor_type for i in onnx.load(path, load_external_data=False).graph.input}
    for name in names:
        tensor, left, shape = by_name[name], list(sizes.values()), []
        for dim in tensor.shape.dim:
            shape.append(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else left.pop(0))
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        inputs[name] = random.random(shape).astype(dtype) if dtype.kind == "f" else np.ones(shape, dtype)
    return inputs


def turn(module, seconds):
    """The best latency in ms of runs for about so long, three at least."""
    best, end, runs = float("inf"), time.perf_counter() + seconds, 0
    while runs < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        module.run()
        best = min(best, 1e3 * (time.perf_counter() - start))
        runs += 1
    return best


def measure(one, fixed, rounds, seconds):
    one.run(), fixed.run()
    pairs = []
    for i in range(rounds):
        first = i % 2
        times = {}
        for which in (first, 1 - first):
            times[which] = turn((one, fixed)[which], seconds)
        pairs.append((times[0], times[1]))
    return {"open_ms": min(p[0] for p in pairs), "fixed_ms": min(p[1] for p in pairs),
            "ratio": statistics.median(a / b for a, b in pairs)}


def parse_sizes(text):
    return {name: int(value) for name, value in (part.split("=") for part in text.split(","))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=MINILM, help="(default: MiniLM)")
    parser.add_argument("--sizes", nargs="+", type=parse_sizes, metavar="NAME=N,NAME=N",
                        default=[{"batch": 1, "batch.1": n} for n in (1, 9, 37, 128, 384)])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a turn")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures")
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        one = pathlib.Path(folder) / "open.so"
        compile_model(args.model, one, {})
        for number, sizes in enumerate(args.sizes):
            fixed = pathlib.Path(folder) / f"fixed{number}.so"
            compile_model(args.model, fixed, sizes)
            for threads in args.threads:
                modules = [Module(LIBRARY, path, threads) for path in (one, fixed)]
                for module in modules:
                    for name, array in make_inputs(args.model, module.inputs, sizes).items():
                        module.set_input(name, array)
                figures = measure(*modules, args.rounds, args.seconds)
                results.append({"sizes": sizes, "threads": threads, **figures})
                text = ", ".join(f"{name}={value}" for name, value in sizes.items())
                print(f"{text}, {threads} threads: open {figures['open_ms']:.3f} ms, fixed {figures['fixed_ms']:.3f} ms, "
                      f"ratio {figures['ratio']:.2f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
