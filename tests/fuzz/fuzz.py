#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzz programs of a build one after the other, each for a while from the seeds.

What ends a program is left in build/fuzz/NAME, beside its log and the inputs that reached new code, with which the
next run begins. Seeds are in tests/fuzz/seeds; compiled modules, whose format is the build's own, are made here.
`make fuzz` builds the programs (with the address sanitizer) and runs each for a minute.

Runs with one seed try the same inputs in the same order, as far as they get; 0 draws a seed.

  .venv-test/bin/python tests/fuzz/fuzz.py [--seconds N] [--seed N] [--build FOLDER] [NAME...]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/random"))
from random_graph import GraphMaker  # noqa: E402
from random_steps import STEPS  # noqa: E402

NAMES = ["onnx", "graph", "kernel", "module"]
SEEDS = ROOT / "tests/fuzz/seeds"

# One input that takes ten seconds under the sanitizer, or asks for 256 MB at once, is a finding. Leaks are not what
# is looked for.
FLAGS = ["-max_len=16384", "-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=256", "-detect_leaks=0",
         "-use_value_profile=1", "-print_final_stats=1"]


def make_module_seeds(folder, command):
    with tempfile.TemporaryDirectory() as scratch:
        model, module = Path(scratch) / "model.onnx", Path(scratch) / "module.so"
        for seed in range(6):
            onnx.save(GraphMaker(seed).make(1 + seed, STEPS).model, model)
            subprocess.run([command, "compile", model, "-o", module, "-q", "--target", "x86-64-v3"], check=True)
            file = module.read_bytes()
            # The container without the library before it and the footer that says where it begins.
            (folder / f"random{seed}").write_bytes(file[file.index(b"TWMODULE"):-64])


def words(name):
    """What inputs are made of: libFuzzer puts such words in whole."""
    if name == "onnx":
        schemas = onnx.defs.get_all_schemas()
        return {s.name for s in schemas} | {a for s in schemas for a in s.attributes}
    texts = [path.read_text() for path in (SEEDS / name).glob("*.tw")]
    return {word for text in texts for word in re.findall(r"[\w.]{2,}|->|[^\w\s]", text)}


def write_dictionary(path, name):
    quoted = [word.replace("\\", "\\\\").replace('"', '\\"') for word in sorted(words(name))]
    path.write_text("".join(f'"{word}"\n' for word in quoted))


def run(name, build, seconds, seed):
    """Whether the program came through."""
    work = ROOT / "build/fuzz" / name
    corpus = work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    flags = [*FLAGS, f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={work}/"]
    folders = [corpus]
    if name == "module":
        folders.append(work / "seeds")
        folders[-1].mkdir(exist_ok=True)
        make_module_seeds(folders[-1], build / "bin/tilewright")
    else:
        folders.append(SEEDS / name)
        write_dictionary(work / "words", name)
        flags.append(f"-dict={work}/words")
    with open(work / "log.txt", "w") as log:
        status = subprocess.run([build / "bin" / f"fuzz_{name}", *flags, *folders], stdout=log,
                                stderr=subprocess.STDOUT).returncode
    lines = (work / "log.txt").read_text(errors="replace").splitlines()
    runs = next((line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")), "?")
    reached = next((line.split() for line in reversed(lines) if " cov: " in line), [])
    edges = reached[reached.index("cov:") + 1] if reached else "?"
    print(f"fuzz: {name}: {'passed' if status == 0 else f'FAILED ({status})'}; {runs} inputs, {edges} edges reached",
          flush=True)
    if status:
        print("\n".join(lines[-40:]))
        print(f"fuzz: {name}: what ended it is in {work}; run it again with that file as its argument", flush=True)
    return status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"programs to run (default: {' '.join(NAMES)})")
    parser.add_argument("--seconds", type=int, default=60, help="for each program")
    parser.add_argument("--seed", type=int, default=1, help="of the inputs (default: 1)")
    parser.add_argument("--build", type=Path, default=ROOT / "build/asan")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    names = options.names or NAMES
    missing = [n for n in names if not (options.build / "bin" / f"fuzz_{n}").exists()]
    if missing:
        sys.exit(f"fuzz: not built in {options.build}: {', '.join(missing)}; see `make fuzz`")
    return 0 if all([run(name, options.build, options.seconds, options.seed) for name in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
