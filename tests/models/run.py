#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs whole models through the tilewright command and holds the results to onnxruntime's.

Per model, on the same seeded inputs:
- the outputs agree by the rules of agreement.py;
- a compiled module gives bit for bit what running the model at once gives, on any number of threads;
- models that quantise, and one in half precision, agree by the rules of quantised.py;
- a model whose inputs have no fixed size (NAME_sizes) is compiled once and serves all sizes.
Then some whole tasks on real input: a photo, printed text, speech, sentences (real_inputs.py).

Runs in .venv-test (scripts/setup test); `make models` puts the models into build/models. --target compiles for
another target that this machine can run, x86-64-v3 say.
"""

import argparse
import functools
import pathlib
import re
import sys

import numpy as np

from agreement import (FETCHED, LARGEST_DIFFERENCE, MODELS, RUNTIME, Agreement, Failure, TargetOption, check_output,
                       compiled, onnxruntime_session, require, run_double, run_onnxruntime, run_tilewright, same_bits,
                       sets_needed, tilewright)
import model_inputs
import quantised
import real_inputs
import sizes
import tilewright_runtime
from checks import run_checks

NAMES = ("efficientnet_lite0", "orientation", "centerface", "magika", "resnet18", "resnet50", "mobilenet_v2",
         "vgg16", "squeezenet1_1", "inception_v3", "densenet121", "mlp", "dqn", "dcgan", "wakeword", "ddddocr",
         "ddddocr_det", "bert_base", "lstm_lm")
# Times as many sets of inputs as the outputs' shapes call for: the two numbers of a channel in a state belong to
# layers whose errors are not alike.
MORE_SETS = {"lstm_lm": 4}


def check_model(name, folder):
    """The agreement of one model; raises Failure."""
    model = require(MODELS / f"{name}.onnx")
    session = onnxruntime_session(model)
    sets = model_inputs.seeded_inputs(model, sets_needed(session) * MORE_SETS.get(name, 1))
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


def check_sizes(name, folder):
    """The agreement of one module over inputs of several sizes, all given to one context: a second round gives
    the same and needs no more memory."""
    model = require(FETCHED / f"{name}.onnx")
    sets = sizes.SETS[name]()
    context = compiled(model, folder)
    ours = [context.outputs_for(inputs) for inputs in sets]
    memory = context.memory_bytes()
    single = tilewright_runtime.Module(RUNTIME, folder / f"{name}.so", threads=1)
    for inputs, outputs in reversed(list(zip(sets, ours))):
        for kind, again in (("in the second round", context), ("on one thread", single)):
            if not same_bits(again.outputs_for(inputs), outputs):
                raise Failure(f"{shapes_text(inputs)} gives other outputs {kind}")
    if context.memory_bytes() != memory:
        raise Failure(f"the second round of sizes took {context.memory_bytes() - memory} bytes more memory")
    peer, exact = run_onnxruntime(onnxruntime_session(model), sets), run_double(model, sets)
    worst = Agreement()
    for output in peer[0]:
        sides = [[outputs[output] for outputs in side] for side in (ours, peer, exact)]
        check_output(output, *sides, worst)
    return f"{worst}  sizes {len(sets)}"


def shapes_text(inputs):
    return ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())


def check_photo(folder):
    """EfficientNet-Lite0 names the cat on the photo, by way of the command's own image reading."""
    output = tilewright("run", MODELS / "efficientnet_lite0.onnx", "--image", FETCHED / "cat.png",
                        "--image-mean", "123.675,116.28,103.53", "--image-std", "58.395,57.12,57.375",
                        "--labels", MODELS / "imagenet_labels.txt", "--top", 5)
    classes = re.findall(r"^ *(\d+) +[\d.]+% +(.+)$", output, re.MULTILINE)
    if len(classes) != 5 or classes[0] != ("285", "Egyptian cat"):
        raise Failure(f"the photo of the cat should give five classes, first 285 Egyptian cat; got {classes}")
    return "Egyptian cat first"


def check_voice(folder):
    """The voice detector, its state fed back from chunk to chunk; the sampling rate decides which of its two networks runs."""
    model = require(FETCHED / "silero_vad.onnx")
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


CHECKS = {name: functools.partial(check_model, name) for name in NAMES}
CHECKS |= {f"{name}_sizes": functools.partial(check_sizes, name) for name in sizes.SETS}
CHECKS |= {name: functools.partial(quantised.check_quantised, name) for name in quantised.INPUTS}
CHECKS |= {"mobilenet_fp16": functools.partial(quantised.check_half, "mobilenet_fp16")}
CHECKS |= {"photo": check_photo, "voice": check_voice} | real_inputs.CHECKS


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", action=TargetOption, help="what to compile for, of what this machine can run: "
                        "x86-64-v3, say (default: this machine)")
    sys.exit(run_checks("models", __doc__, CHECKS, parser))
