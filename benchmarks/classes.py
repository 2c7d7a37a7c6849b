#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of models goes, by classes of kernels: a table, made from `tilewright profile --json --explain`.

A line per model; a cell has the class's share of the time and, where it computes products, the share of the machine's
FMA peak that it reaches. `lost most` names the kernels, by operators, that take the most time beyond what their
operations take at that peak: that share of the model's time, their share of the peak, and what they wait for where
they are predicted to wait for a cache or memory. Classes come from a kernel's name, whose first operator is the one
that counts, and convolutions that make few operations for each byte that they read or write (depthwise ones, and
expansions of few channels) are apart. `memory` is the share of the time in kernels that are predicted to wait for
memory or a cache for longer than they compute.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = ROOT / "build" / "bin" / "tilewright"
MODELS = ROOT / "build" / "models"
NAMES = ["resnet50", "resnet18", "vgg16", "mobilenet_v2", "inception_v3", "densenet121", "squeezenet1_1", "bert_base",
         "dqn", "dcgan", "lstm_lm", "mlp", "efficientnet_lite0", "minilm", "ppocr4_det", "ppocr4_rec", "centerface"]
# A depthwise 5x5 on vectors makes 6.25 operations of two flops a byte at most: less than this is thin.
THIN = 6.5
CLASSES = ["winograd", "conv", "thin conv", "product", "pool", "rows", "elements", "moves"]
POOL = ("maxpool", "averagepool", "globalaverage", "globalmax", "lppool")
ROWS = ("softmax", "logsoftmax", "layernorm", "row", "reduce", "argmax", "argmin", "instancenorm", "mean", "norm")
MOVES = ("relayout", "transpose", "reshape", "concat", "slice", "gather", "pad", "border", "identity", "resize",
         "split", "expand", "broadcast", "copy", "tile", "embedding")


def class_of(row):
    name = re.sub(r"^\d+:", "", row["name"])
    if row["kind"] != "launch":
        return "moves"
    flops = row["flops"]
    if name.startswith("convwinograd"):
        return "winograd" if flops else "moves"
    if name.startswith(("conv", "deform")):
        # Launches without operations of their own put an argument in order for the last one.
        return "moves" if not flops else "thin conv" if flops < THIN * row["bytes"] else "conv"
    if name.startswith(("matmul", "gemm", "einsum", "attention")):
        return "product" if flops else "moves"
    for found, beginnings in (("pool", POOL), ("rows", ROWS), ("moves", MOVES)):
        if name.startswith(beginnings):
            return found
    return "elements"


def profile(model, threads, seconds):
    done = subprocess.run([COMMAND, "profile", model, "--json", "--explain", "--threads", str(threads), "--seconds",
                           str(seconds)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"classes: {model}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def summary(found):
    """Per class its share of the time and of the peak, by least times: means hold what else the machine did."""
    waits = {k["kernel"]: k["predicted"]["memory"] for k in found["kernels"]
             if k["predicted"]["memory_us"] > k["predicted"]["compute_us"]}
    kernels = {}
    times, flops, memory = dict.fromkeys(CLASSES, 0.0), dict.fromkeys(CLASSES, 0.0), 0.0
    for row in found["instructions"]:
        if row["kind"] == "loop":
            continue  # what is in it has rows of its own
        kind, us = class_of(row), row["min_us"] * row["executions"]
        times[kind] += us
        flops[kind] += row["flops"]
        kernel = re.sub(r"^\d+:", "", row["name"])
        memory += us if kernel in waits else 0
        own = kernels.setdefault((re.sub(r"_[0-9a-f]{8}.*$", "", kernel), kind, waits.get(kernel)), [0.0, 0.0])
        own[0] += us
        own[1] += row["flops"]
    total = sum(times.values())
    lost = sorted(((us - flops_of / found["peak_gflops"] / 1e3, us, flops_of, *key)
                   for key, (us, flops_of) in kernels.items()), reverse=True)
    return {"lost": [{"kernel": name, "class": kind, "waits": wait, "time": beyond / total,
                      "peak": flops_of / us / 1e3 / found["peak_gflops"] if flops_of else None}
                     for beyond, us, flops_of, name, kind, wait in lost[:2] if beyond > 0.01 * total],
            "ms": total / 1e3, "peak": sum(flops.values()) / total / 1e3 / found["peak_gflops"],
            "memory": memory / total,
            "classes": {kind: {"time": times[kind] / total,
                               "peak": flops[kind] / times[kind] / 1e3 / found["peak_gflops"] if flops[kind] else None}
                        for kind in CLASSES if times[kind]}}


def line(name, result):
    cells = []
    for kind in CLASSES:
        cell = result["classes"].get(kind)
        if not cell or cell["time"] < 0.005:
            cells.append("–")
        elif cell["peak"] is None or kind in ("pool", "rows", "elements", "moves"):
            cells.append(f"{cell['time']:.0%}")
        else:
            cells.append(f"{cell['time']:.0%} ({cell['peak']:.0%})")
    lost = [f"{k['time']:.0%} {k['kernel']}" + (f", at {k['peak']:.0%}" if k["peak"] else "") +
            (f", {k['waits']}" if k["waits"] else "") for k in result["lost"]]
    return " | ".join([f"| {name}", f"{result['ms']:.3g}", f"{result['peak']:.0%}", *cells, f"{result['memory']:.0%}",
                       "; ".join(lost) + " |"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", nargs="+", default=NAMES, help="names in build/models, or files")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to measure each (default: 1)")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    options = parser.parse_args()
    results = {}
    print(" | ".join(["| Model", "ms", "of peak", *CLASSES, "memory", "lost most |"]))
    print("|---" * (len(CLASSES) + 5) + "|")
    for name in options.models:
        path = pathlib.Path(name) if pathlib.Path(name).exists() else MODELS / f"{name}.onnx"
        results[path.stem] = summary(profile(path, options.threads, options.seconds))
        print(line(path.stem, results[path.stem]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
