# SPDX-License-Identifier: Apache-2.0
"""The rule for models that quantise their activations as they go.

Such a model rounds again and again. Where a value lies between two steps, its last bit decides which it takes, and what
follows grows from there: with minilm_q at 128 tokens, onnxruntime's own answers with and without its optimisations
differ by 3e-2. So the model is cut at every quantiser: what comes after it takes onnxruntime's values, and what comes
before it must give them, to one step of the quantisation and 1e-2 of the largest magnitude of float outputs. The whole
model must agree to 1e-2 as well, for most of several inputs.
"""

import itertools

import numpy as np
import onnx

from agreement import FETCHED, Failure, onnxruntime_session, require, run_onnxruntime, run_tilewright, tilewright

LARGEST_DIFFERENCE = 1e-2
SCALE_DIFFERENCE = 1e-5
QUANTISERS = ("QuantizeLinear", "DynamicQuantizeLinear")


def _sentences(lengths):
    generator = np.random.default_rng(0)
    for length in lengths:
        ids = generator.integers(1000, 30000, (1, length))
        yield {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def _noise(name, shape, count):
    generator = np.random.default_rng(0)
    return [{name: generator.standard_normal(shape).astype(np.float32) * (0.5 + i)} for i in range(count)]


# Inputs for the model as it is, and one more for the model in parts.
INPUTS = {
    "minilm_q": (list(_sentences((5, 6, 7, 8, 9))), next(_sentences((128,)))),
    "smart_turn": (_noise("input_features", (1, 80, 800), 3), _noise("input_features", (1, 80, 800), 1)[0]),
}


def cut(model):
    """The model with its quantised values as outputs cut0, cut1, ... and as inputs fed0, fed1, ... of what uses them;
    and the names that these values have in the model."""
    graph, values = model.graph, {}
    for node in graph.node:
        if node.op_type in QUANTISERS:
            values.update(zip(node.output, map(str, itertools.count(len(values)))))
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name in values:
                node.input[i] = f"fed{values[name]}"
        for i, name in enumerate(node.output):
            if name in values:
                node.output[i] = f"cut{values[name]}"
    return values


def _expose(path, target):
    """The model with its quantised values as further outputs, by their names."""
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type in QUANTISERS:
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output)
    onnx.save(model, target)


def _relative(ours, peer):
    return float(np.abs(ours - peer).max() / max(np.abs(peer).max(), 1e-30))


def _check_parts(path, inputs, folder):
    """The largest number of steps between quantised values, of which there are some."""
    _expose(path, folder / "exposed.onnx")
    peer = run_onnxruntime(onnxruntime_session(folder / "exposed.onnx"), [inputs])[0]
    model = onnx.load(path)
    values = cut(model)
    fed = {}
    for name, number in values.items():
        reference = peer[name]
        kind = onnx.helper.np_dtype_to_tensor_dtype(reference.dtype)
        model.graph.input.append(onnx.helper.make_tensor_value_info(f"fed{number}", kind, reference.shape))
        model.graph.output.append(onnx.helper.make_tensor_value_info(f"cut{number}", kind, None))
        fed[f"fed{number}"] = reference
    onnx.save(model, folder / "parts.onnx")
    ours = run_tilewright(folder / "parts.onnx", inputs | fed, folder / "parts")
    most = 0
    for name, reference in peer.items():
        if name not in values:
            difference = _relative(ours[name], reference)
            if not difference < LARGEST_DIFFERENCE:
                raise Failure(f"in parts, output {name} differs by {difference:.2e} of its largest magnitude")
            continue
        output = ours[f"cut{values[name]}"]
        if reference.dtype == np.float32:
            if not _relative(output, reference) < SCALE_DIFFERENCE:
                raise Failure(f"the scale {name} is {output}, onnxruntime's is {reference}")
            continue
        steps = int(np.abs(output.astype(np.int64) - reference.astype(np.int64)).max())
        most = max(most, steps)
        if steps > 1:
            raise Failure(f"the quantised {name} differs by {steps} steps from onnxruntime's, from the same values before it")
    return most, len(values)


def check_quantised(name, folder):
    """The agreement of one quantised model; raises Failure."""
    path = require(FETCHED / f"{name}.onnx")
    sets, long = INPUTS[name]
    module = folder / f"{name}.so"
    tilewright("compile", path, "-o", module)
    ours = [run_tilewright(module, inputs, folder / f"set{i}") for i, inputs in enumerate(sets)]
    peer = run_onnxruntime(onnxruntime_session(path), sets)
    whole = np.median([max(_relative(a[output], b[output]) for output in b) for a, b in zip(ours, peer)])
    if not whole < LARGEST_DIFFERENCE:
        raise Failure(f"the outputs differ by {whole:.2e} of their largest magnitude for half of the inputs")
    steps, values = _check_parts(path, long, folder)
    return f"difference {whole:.1e}  quantised values {values}, at most {steps} steps apart"


def check_half(name, folder):
    """The agreement of a model in half precision: 2e-3, two units in the last place of its outputs."""
    path = require(FETCHED / f"{name}.onnx")
    generator = np.random.default_rng(0)
    inputs = {"input": generator.standard_normal((2, 3, 224, 224)).astype(np.float16)}
    ours = run_tilewright(path, inputs, folder / "out")
    peer = run_onnxruntime(onnxruntime_session(path), [inputs])[0]
    difference = max(_relative(ours[output].astype(np.float32), peer[output].astype(np.float32)) for output in peer)
    if not difference < 2e-3:
        raise Failure(f"the outputs differ by {difference:.2e} of their largest magnitude")
    return f"difference {difference:.1e}"
