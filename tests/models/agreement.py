# SPDX-License-Identifier: Apache-2.0
"""The engines that tests/models compares, and the two rules by which outputs agree:

- the largest difference from onnxruntime stays below 1e-4 of the output's largest magnitude;
- in each output channel the largest error against a double-precision evaluation is at most ten times
  onnxruntime's own (or ten times the spacing of float32 at the output's largest magnitude, where
  onnxruntime happens to be nearer than that: no float32 engine can promise more).
"""

import argparse
import dataclasses
import hashlib
import math
import pathlib
import subprocess
import sys

import numpy as np
import onnxruntime

import double_precision

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "tests")]
import tilewright_runtime  # noqa: E402
from checks import Failure  # noqa: E402

COMMAND = ROOT / "build" / "bin" / "tilewright"
RUNTIME = ROOT / "build" / "lib" / "libtilewright_runtime.so"
MODELS = ROOT / "build" / "models"
FETCHED = MODELS / "fetched"

# A channel's error is the largest of at least so many numbers: onnxruntime's error of a single one may be
# nothing by accident, and a ratio to it would say nothing. A classifier, with a number a channel, runs often.
NUMBERS_PER_CHANNEL = 8
LARGEST_DIFFERENCE = 1e-4
LARGEST_ERROR_RATIO = 10
# What models are compiled for; none is this machine.
TARGET = []


class TargetOption(argparse.Action):
    def __call__(self, parser, namespace, value, option=None):
        TARGET[:] = ["--target", value]


def tilewright(*arguments, timeout=300):
    if pathlib.Path(arguments[1]).suffix == ".onnx" and "--target" not in arguments:
        arguments += tuple(TARGET)
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


def channel_axis(shapes):
    """The channels are the last axis of what has up to three, and axis 1 of pictures; where sizes differ, the
    last axis that does not."""
    rank = len(shapes[0])
    fixed = [i for i in range(rank) if len({shape[i] for shape in shapes}) == 1]
    return fixed[-1] if len(fixed) < rank else 1 if rank > 3 else rank - 1


def sets_needed(session):
    """How many sets of inputs give each channel its numbers, in a model with static shapes."""
    shapes = [output.shape for output in session.get_outputs()]
    numbers = min(math.prod(shape) // shape[channel_axis([shape])] for shape in shapes)
    return -(-NUMBERS_PER_CHANNEL // numbers)


def run_double(model, sets):
    """The double-precision outputs; kept from run to run, since model and inputs do not change."""
    key = hashlib.sha256(model.read_bytes())
    key.update(pathlib.Path(double_precision.__file__).read_bytes())
    for name, array in (item for inputs in sets for item in inputs.items()):
        key.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
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


def channel_errors(outputs, exact, axis):
    """The largest absolute error in each channel, over all sets of inputs and positions."""
    errors = [np.abs(output.astype(np.float64) - value) for output, value in zip(outputs, exact)]
    others = tuple(i for i in range(errors[0].ndim) if i != axis)
    return np.stack([error.max(axis=others) for error in errors]).max(axis=0)


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
    axis = channel_axis([output.shape for output in peer])
    ratios = channel_errors(ours, exact, axis) / np.maximum(channel_errors(peer, exact, axis), spacing)
    worst.ratio = max(worst.ratio, float(ratios.max()))
    if ratios.max() > LARGEST_ERROR_RATIO:
        raise Failure(f"output {name}, channel {ratios.argmax()}: the error against double precision is "
                      f"{ratios.max():.1f} times onnxruntime's (channels above {LARGEST_ERROR_RATIO}: "
                      f"{np.count_nonzero(ratios > LARGEST_ERROR_RATIO)} of {ratios.size})")


def same_bits(first, second):
    return first.keys() == second.keys() and all(first[k].tobytes() == second[k].tobytes() for k in first)


def compiled(model, folder, *flags):
    """A module of a model file, FOLDER/STEM.so, ready to run."""
    module = folder / f"{model.stem}.so"
    tilewright("compile", require(model), "-o", module, *flags)
    return tilewright_runtime.Module(RUNTIME, module)


def require(model):
    if not model.exists():
        raise Failure(f"{model} is not there; run `make models`")
    return model
