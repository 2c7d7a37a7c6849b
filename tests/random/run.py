# SPDX-License-Identifier: Apache-2.0
"""Random small ONNX graphs, compiled and run by the command, against onnxruntime.

Each seed makes one graph of a few nodes: branches, values that several nodes share, mixed shapes and element types,
weights and inputs, a quarter of them with a symbolic first dimension. A model that crashes, is refused, or gives other
numbers fails; it is then reduced to few nodes, printed, and left in build/random_failures.

  .venv-test/bin/python tests/random/run.py [--seed FIRST] [--count N] [--size NODES] [--jobs N]
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from random_graph import GraphMaker
from random_steps import STEPS
from reduce_model import describe, reduce_model

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(os.environ.get("TILEWRIGHT", ROOT / "build/bin/tilewright"))
FAILURES = ROOT / "build/random_failures"
SECONDS = 60

# Error relative to the largest magnitude of an output: onnxruntime rounds 16-bit floats after every node.
TOLERANCE, TOLERANCE_16 = 2e-4, 3e-2

# "Argument 0 has symbolic dimensions, which this operator does not support": the model is run with n fixed then.
NOT_SYMBOLIC = "TW2060"


def difference(found, expected, tolerance):
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return f"{found.dtype}{list(found.shape)}, expected {expected.dtype}{list(expected.shape)}"
    a, b = found.astype(np.float64), expected.astype(np.float64)
    exact = not np.issubdtype(expected.dtype, np.floating)
    error = np.abs(a - b)
    limit = 0 if exact else tolerance * max(np.abs(b).max(initial=0), 1e-2)
    if not (error <= limit).all():
        at = np.unravel_index(np.nanargmax(np.where(np.isnan(error), np.inf, error)), error.shape)
        return f"element {list(map(int, at))} is {a[at]}, expected {b[at]}"
    return ""


def run_model(model, values, folder):
    """How the model runs (see run_once), with n fixed where an operator asks for that."""
    verdict = run_once(model, values, folder)
    dims = {i.name: i.type.tensor_type.shape.dim for i in model.graph.input}
    symbolic = [name for name, shape in dims.items() if shape and shape[0].dim_param]
    if symbolic and kind_of(verdict) == NOT_SYMBOLIC:
        verdict = run_once(model, values, folder, "--dim", f"n={len(values[symbolic[0]])}")
    return verdict


def run_once(model, values, folder, *flags):
    """Empty where the command's outputs agree with `values`, else how the run ended: a kind, a colon, details."""
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    inputs = {i.name: values[i.name] for i in model.graph.input}
    np.savez(folder / "inputs.npz", **inputs)
    arguments = ["run", folder / "model.onnx", "--output-dir", folder / "out", "--threads", "2", *flags]
    if inputs:
        arguments += ["--input", folder / "inputs.npz"]
    try:
        done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"timeout: more than {SECONDS} s"
    if done.returncode != 0:
        error = re.search(r"error\[(\w+)\].*", done.stderr)
        if done.returncode == 1 and error:
            return f"{error[1]}: {done.stderr.strip()[:600]}"
        return f"crash: status {done.returncode}: {(done.stderr + done.stdout)[-600:]}"
    tolerance = TOLERANCE_16 if any(values[n].dtype == np.float16 for n in names_of(model)) else TOLERANCE
    for output in model.graph.output:
        text = difference(np.load(folder / "out" / f"{output.name}.npy"), values[output.name], tolerance)
        if text:
            return f"wrong: {output.name}: {text}"
    return ""


def names_of(model):
    graph = model.graph
    return [i.name for i in graph.input] + [t.name for t in graph.initializer] + [o for n in graph.node for o in n.output]


def kind_of(verdict):
    return verdict.split(":", 1)[0]


def check_seed(seed, size):
    """Empty, or how the model of this seed fails, with the reduced model as text."""
    made = GraphMaker(seed).make(size, STEPS)
    with tempfile.TemporaryDirectory(prefix="tilewright-random-") as name:
        folder = Path(name)
        verdict = run_model(made.model, made.values, folder)
        if not verdict:
            return ""
        kind = kind_of(verdict)
        small = reduce_model(made.model, made.values,
                             lambda m: kind_of(run_model(m, made.values, folder)) == kind)
        last = run_model(small, made.values, folder)
        kept = FAILURES / f"seed{seed}"
        kept.mkdir(parents=True, exist_ok=True)
        for file in ("model.onnx", "inputs.npz"):
            (folder / file).replace(kept / file)
        return f"{verdict}\n  reduced, in {kept.relative_to(ROOT)}: {last}\n{describe(small, made.values)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--count", type=int, default=300, help="how many graphs")
    parser.add_argument("--size", type=int, default=0, help="nodes in a graph (default: 4 to 15, by seed)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if not COMMAND.exists():
        sys.exit(f"random: {COMMAND} is not there; build it first (make build)")
    begin, failed = time.monotonic(), []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        seeds = range(options.seed, options.seed + options.count)
        verdicts = pool.map(check_seed, seeds, (options.size or 4 + seed % 12 for seed in seeds), chunksize=4)
        for seed, verdict in zip(seeds, verdicts):
            if verdict:
                failed.append(seed)
                print(f"random: seed {seed}: {verdict}", flush=True)
    print(f"random: {options.count - len(failed)} of {options.count} graphs, from seed {options.seed} on, agree with "
          f"onnxruntime ({time.monotonic() - begin:.0f} s)" + (f"; failed: {failed}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
