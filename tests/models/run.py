#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs whole models through the tilewright command and holds the results to onnxruntime's.

Per model, on the same seeded inputs:
- the largest difference from onnxruntime stays below 1e-4 of the output's largest magnitude;
- in each output channel the largest error against a double-precision evaluation is at most ten times
  onnxruntime's own (or ten times the spacing of float32 at the output's largest magnitude, where
  onnxruntime happens to be nearer than that: no float32 engine can promise more);
- a compiled module gives bit for bit what running the model at once gives, on any number of threads.

Runs in .venv-test (scripts/setup test); `make models` puts the models into build/models.
"""

import argparse
import dataclasses
import functools
import hashlib
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

import double_precision
import model_inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND = ROOT / "build" / "bin" / "tilewright"
MODELS = ROOT / "build" / "models"

NAMES = ("efficientnet_lite0", "orientation", "centerface", "magika", "resnet18", "resnet50", "mobilenet_v2",
         "vgg16", "squeezenet1_1", "inception_v3", "densenet121", "mlp", "dqn", "dcgan", "wakeword", "ddddocr")

# A channel's error is the largest of at least so many numbers: onnxruntime's error of a single one may be
# nothing by accident, and a ratio to it would say nothing. A classifier, with a number a channel, runs often.
NUMBERS_PER_CHANNEL = 8
LARGEST_DIFFERENCE = 1e-4
LARGEST_ERROR_RATIO = 10


class Failure(Exception):
    """What is wrong, for the report."""


def tilewright(*arguments, timeout=300):
    try:
        done = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError:
        raise Failure(f"{COMMAND} is not built; run `make build`") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"tilewright {arguments[0]} ran for more than {timeout} s") from None
    if done.returncode != 0:
        message = (done.stderr.strip() or done.stdout.strip()).replace("\n", "\n    ")
        raise Failure(f"tilewright {arguments[0]} ended with status {done.returncode}:\n    {message}")
    return done.stdout


def run_tilewright(model, inputs, folder, *flags):
    """Outputs by name of one run of a model file or module."""
    folder.mkdir()
    arguments = []
    for index, (name, array) in enumerate(inputs.items()):
        np.save(folder / f"input{index}.npy", array)
        arguments += ["--input", f"{name}={folder / f'input{index}.npy'}"]
    tilewright("run", model, *arguments, "--output-dir", folder / "out", *flags)
    return {path.stem: np.load(path) for path in (folder / "out").glob("*.npy")}


def onnxruntime_session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_onnxruntime(session, sets):
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(names, inputs))) for inputs in sets]


def sets_needed(session):
    numbers = min(math.prod([1, *output.shape[2:]]) for output in session.get_outputs())
    return -(-NUMBERS_PER_CHANNEL // numbers)


def run_double(model, sets):
    """The double-precision outputs; kept from run to run, since model and inputs do not change."""
    key = hashlib.sha256(model.read_bytes())
    for source in (double_precision, model_inputs):
        key.update(pathlib.Path(source.__file__).read_bytes())
    kept = MODELS / "double" / f"{model.stem}-{key.hexdigest()[:16]}-{len(sets)}.npz"
    if not kept.exists():
        results = double_precision.evaluate(model, sets)
        kept.parent.mkdir(exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, **{f"{i}:{name}": value for i, outputs in enumerate(results) for name, value in outputs.items()})
        partial.replace(kept)
    results = [{} for _ in sets]
    for key, value in np.load(kept).items():
        index, _, name = key.partition(":")
        results[int(index)][name] = value
    return results


def channel_errors(outputs, exact):
    """The largest absolute error in each channel (axis 1), over all sets of inputs and positions."""
    errors = np.stack([np.abs(output.astype(np.float64) - value) for output, value in zip(outputs, exact)])
    if errors.ndim < 3:
        return errors.max(keepdims=True).reshape(1)
    return errors.max(axis=(0, 1, *range(3, errors.ndim)))


@dataclasses.dataclass
class Agreement:
    """How far the outputs of a model are from onnxruntime's and from the exact ones, at worst."""

    difference: float = 0.0
    ratio: float = 0.0

    def __str__(self):
        return f"difference {self.difference:.1e}  error ratio {self.ratio:4.1f}"


def check_output(name, ours, peer, exact, worst):
    """Raises Failure where one output breaks a rule; the arguments list the output per set of inputs."""
    for output, reference in zip(ours, peer):
        if output.shape != reference.shape or output.dtype != reference.dtype:
            raise Failure(f"output {name} is {output.dtype}{list(output.shape)}, "
                          f"onnxruntime's is {reference.dtype}{list(reference.shape)}")
        if not np.isfinite(output).all():
            raise Failure(f"output {name} holds {np.count_nonzero(~np.isfinite(output))} values that are not finite")
        difference = np.abs(output - reference).max() / max(np.abs(reference).max(), 1e-30)
        worst.difference = max(worst.difference, float(difference))
        if difference >= LARGEST_DIFFERENCE:
            raise Failure(f"output {name} differs from onnxruntime's by {difference:.2e} of its largest magnitude")
    spacing = np.spacing(np.float32(max(np.abs(value).max() for value in exact)))
    ratios = channel_errors(ours, exact) / np.maximum(channel_errors(peer, exact), spacing)
    worst.ratio = max(worst.ratio, float(ratios.max()))
    if ratios.max() > LARGEST_ERROR_RATIO:
        raise Failure(f"output {name}, channel {ratios.argmax()}: the error against double precision is "
                      f"{ratios.max():.1f} times onnxruntime's (channels above {LARGEST_ERROR_RATIO}: "
                      f"{np.count_nonzero(ratios > LARGEST_ERROR_RATIO)} of {ratios.size})")


def same_bits(first, second):
    return first.keys() == second.keys() and all(first[k].tobytes() == second[k].tobytes() for k in first)


def check_model(name, folder):
    """The agreement of one model; raises Failure."""
    model = MODELS / f"{name}.onnx"
    if not model.exists():
        raise Failure(f"{model} is not there; run `make models`")
    session = onnxruntime_session(model)
    sets = model_inputs.seeded_inputs(model, sets_needed(session))
    module = folder / f"{name}.so"
    tilewright("compile", model, "-o", module)
    ours = [run_tilewright(module, inputs, folder / f"set{i}") for i, inputs in enumerate(sets)]
    for kind, again in (("the model run at once", run_tilewright(model, sets[0], folder / "model")),
                        ("one thread", run_tilewright(module, sets[0], folder / "thread", "--threads", 1))):
        if not same_bits(again, ours[0]):
            raise Failure(f"the outputs of {kind} differ from those of the compiled module on all threads")
    peer, exact = run_onnxruntime(session, sets), run_double(model, sets)
    if ours[0].keys() != peer[0].keys():
        raise Failure(f"the outputs are {sorted(ours[0])}, expected {sorted(peer[0])}")
    worst = Agreement()
    for output in peer[0]:
        check_output(output, *([outputs[output] for outputs in side] for side in (ours, peer, exact)), worst)
    return worst


def check_photo(folder):
    """EfficientNet-Lite0 names the cat on the photo, by way of the command's own image reading."""
    output = tilewright("run", MODELS / "efficientnet_lite0.onnx", "--image", MODELS / "fetched" / "cat.png",
                        "--image-mean", "123.675,116.28,103.53", "--image-std", "58.395,57.12,57.375",
                        "--labels", MODELS / "imagenet_labels.txt", "--top", 5)
    classes = re.findall(r"^ *(\d+) +[\d.]+% +(.+)$", output, re.MULTILINE)
    if len(classes) != 5 or classes[0] != ("285", "Egyptian cat"):
        raise Failure(f"the photo of the cat should give five classes, first 285 Egyptian cat; got {classes}")
    return "Egyptian cat first"


def check_voice(folder):
    """The voice detector, its state fed back from chunk to chunk; the sampling rate decides which of its two networks runs."""
    model = MODELS / "fetched" / "silero_vad.onnx"
    if not model.exists():
        raise Failure(f"{model} is not there; run `make models`")
    session = onnxruntime_session(model)
    generator = np.random.default_rng(0)
    ours_state = peer_state = np.zeros((2, 1, 128), np.float32)
    worst = 0.0
    for chunk in range(4):
        inputs = {"input": generator.standard_normal((1, 512)).astype(np.float32) * 0.1,
                  "sr": np.array(16000, np.int64)}
        ours = run_tilewright(model, inputs | {"state": ours_state}, folder / f"chunk{chunk}")
        peer = run_onnxruntime(session, [inputs | {"state": peer_state}])[0]
        ours_state, peer_state = ours["stateN"], peer["stateN"]
        for output, reference in peer.items():
            difference = np.abs(ours[output] - reference).max() / np.abs(reference).max()
            worst = max(worst, float(difference))
            if not difference < LARGEST_DIFFERENCE:
                raise Failure(f"output {output} of chunk {chunk} differs by {difference:.2e} of its largest magnitude")
    return f"difference {worst:.1e}"


CHECKS = {name: functools.partial(check_model, name) for name in NAMES} | {"photo": check_photo, "voice": check_voice}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help=f"what to run (default: all): {', '.join(CHECKS)}")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in CHECKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(CHECKS)}")

    failed = []
    names = options.names or list(CHECKS)
    for name in names:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="tilewright-models-") as folder:
            try:
                verdict = f"passed  {CHECKS[name](pathlib.Path(folder))}"
            except Failure as failure:
                failed.append(name)
                verdict = f"FAILED  {failure}"
        print(f"{name:20} {verdict}  ({time.monotonic() - begin:.1f} s)", flush=True)
    print(f"tests/models: {len(names) - len(failed)} of {len(names)} passed"
          + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
