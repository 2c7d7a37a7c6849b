# SPDX-License-Identifier: Apache-2.0
"""ONNX's backend test suite, every case through the real compile path.

Each case must end as tests/onnx/expected.txt says: "pass", or the id of the error that refuses the model. A case
that stops passing fails the run, and so does one that starts to pass and is not yet listed so. "wrong" is listed where
the expected values cannot be met but bit by bit: attention in 16-bit floats, where the suite's tolerance is less than one
unit in the last place and its reference rounds after steps that are one step here (softmax), and the inverse DFT, which
expects the noise of a transform in 32 bits (1.9e-7) where the exact value is 0.

  .venv-test/bin/python tests/onnx/run.py [--update] [--only PATTERN] [--interpret] [--jobs N]
"""

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = ROOT / "tests/onnx/expected.txt"
COMMAND = ".venv-test/bin/python tests/onnx/run.py"

# Folders of ready-made cases inside of the onnx package.
DATA_FOLDERS = ["simple", "pytorch-operator", "pytorch-converted"]
# Every case of these operators on 32-bit floats has to pass, and this many of the node cases in all.
REQUIRED_OPERATORS = set(
    """Conv ConvTranspose MatMul Gemm AveragePool MaxPool LpPool GlobalAveragePool GlobalMaxPool ReduceL1 ReduceL2
    ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Softmax
    LayerNormalization BatchNormalization Slice Gather Concat Split Pad Resize Transpose Reshape Expand Where""".split()
)
REQUIRED_NODE_CASES = 500


def to_bytes(value, name):
    """A test value in the file format of its kind."""
    if isinstance(value, onnx.TensorProto):
        return value.SerializeToString()
    if isinstance(value, (np.ndarray, np.generic)):
        return numpy_helper.from_array(np.asarray(value), name).SerializeToString()
    if isinstance(value, list):
        return numpy_helper.from_list(value, name).SerializeToString()
    return numpy_helper.from_optional(value, name).SerializeToString()


def is_required(model):
    """One required operator on 32-bit floats."""
    graph = model.graph
    if len(graph.node) != 1 or graph.node[0].op_type not in REQUIRED_OPERATORS:
        return False
    if graph.node[0].domain not in ("", "ai.onnx"):
        return False
    if len(graph.node[0].attribute) and any(a.name == "training_mode" and a.i for a in graph.node[0].attribute):
        return False
    floats = [v.type.tensor_type.elem_type for v in graph.input]
    return bool(floats) and onnx.TensorProto.FLOAT in floats[:2]


def write_node_case(case, folder):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for n, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{n}"
        data.mkdir()
        for prefix, values in (("input", inputs), ("output", outputs)):
            for i, value in enumerate(values):
                (data / f"{prefix}_{i}.pb").write_bytes(to_bytes(value, f"{prefix}_{i}"))


def write_cases(folder):
    """All cases as model and data files below `folder`, and their list. Done once per version of the package."""
    listing = folder / "cases.json"
    if listing.exists():
        return json.loads(listing.read_text())
    from onnx.backend.test.case.node import collect_testcases

    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir(parents=True)
    cases = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in collect_testcases(None):
            write_node_case(case, folder / "node" / case.name)
            cases.append([f"node/{case.name}", str(folder / "node" / case.name), case.rtol, case.atol,
                          is_required(case.model)])
    data = Path(onnx.__file__).parent / "backend/test/data"
    for kind in DATA_FOLDERS:
        for path in sorted((data / kind).iterdir()):
            if (path / "model.onnx").exists():
                cases.append([f"{kind}/{path.name}", str(path), 1e-3, 1e-7, False])
    listing.write_text(json.dumps(cases))
    return cases


def run_cases(cases, driver, folder, arguments):
    manifest = folder / "manifest.txt"
    manifest.write_text("".join("\t".join(map(str, c[:4])) + "\n" for c in cases))
    command = [str(driver), "--jobs", str(arguments.jobs), "--seconds", str(arguments.seconds), str(manifest)]
    if arguments.interpret:
        command.insert(1, "--interpret")
    verdicts = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            name, verdict = line.rstrip("\n").split("\t", 1)
            verdicts[name] = verdict
            if sys.stdout.isatty():
                print(f"\r{len(verdicts)}/{len(cases)}", end="", flush=True)
    if process.returncode != 0 or len(verdicts) != len(cases):
        sys.exit(f"onnx: {driver} ended with status {process.returncode} after {len(verdicts)} of {len(cases)} cases")
    if sys.stdout.isatty():
        print("\r", end="")
    return verdicts


def kind_of(verdict):
    """What expected.txt lists: "pass", an id, or the word before the colon of what must never be."""
    return verdict.split(":", 1)[0]


def read_expected():
    lines = EXPECTED.read_text().splitlines() if EXPECTED.exists() else []
    return dict(line.split("\t") for line in lines if line and not line.startswith("#"))


def write_expected(verdicts):
    head = "# Case and how it ends; written by `" + COMMAND + " --update`.\n"
    EXPECTED.write_text(head + "".join(f"{n}\t{kind_of(v)}\n" for n, v in sorted(verdicts.items())))


def judge(verdicts, expected, cases):
    """Lines that say what is not as it should be."""
    problems = []
    for name, verdict in sorted(verdicts.items()):
        if kind_of(verdict) != expected.get(name):
            problems.append(f"{name}: {verdict}, expected {expected.get(name, 'nothing: it is not listed')}")
    for name in sorted(set(expected) - set(verdicts)):
        problems.append(f"{name}: listed, but there is no such case")
    problems += floor_problems(verdicts, cases)
    return problems


def floor_problems(verdicts, cases):
    """What no list of expectations may excuse."""
    problems = []
    for name, *_, required in cases:
        if required and verdicts.get(name) != "pass":
            problems.append(f"{name}: {verdicts.get(name)}; cases of this operator on 32-bit floats have to pass")
    passed = sum(v == "pass" for n, v in verdicts.items() if n.startswith("node/"))
    if passed < REQUIRED_NODE_CASES:
        problems.append(f"{passed} node cases pass, expected at least {REQUIRED_NODE_CASES}")
    return problems


def summary(verdicts):
    counts = {}
    for verdict in verdicts.values():
        counts[kind_of(verdict)] = counts.get(kind_of(verdict), 0) + 1
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items(), key=lambda item: -item[1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write expected.txt as the cases end now")
    parser.add_argument("--only", metavar="PATTERN", help="cases whose name matches, such as 'node/test_conv*'")
    parser.add_argument("--interpret", action="store_true", help="by the reference interpreters, without code")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=int, default=120, help="for one case")
    parser.add_argument("--verbose", action="store_true", help="every case and how it ended")
    arguments = parser.parse_args()
    driver = ROOT / "build/bin/onnx_conformance"
    if not driver.exists():
        sys.exit(f"onnx: {driver} is not there; build it first (make build)")
    folder = ROOT / "build/onnx_cases" / onnx.__version__
    cases = write_cases(folder)
    if arguments.only:
        cases = [c for c in cases if fnmatch.fnmatch(c[0], arguments.only)]
    start = time.monotonic()
    verdicts = run_cases(cases, driver, folder, arguments)
    print(f"onnx: {len(cases)} cases in {time.monotonic() - start:.0f} s: {summary(verdicts)}")
    if arguments.verbose:
        for name, verdict in sorted(verdicts.items()):
            print(f"{name}\t{verdict}")
    if arguments.only:
        return
    if arguments.update:
        write_expected(verdicts)
        problems = floor_problems(verdicts, cases)
    else:
        problems = judge(verdicts, read_expected(), cases)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"onnx: {len(problems)} problems; where the changes are right, run: {COMMAND} --update")


if __name__ == "__main__":
    main()
