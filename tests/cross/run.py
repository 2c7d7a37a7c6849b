#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Modules for other processors, made here and run there: by the cross-built runtime under qemu's user emulation.

- Whole models for aarch64 and riscv64 agree with onnxruntime by the rule of tests/models: the largest difference is
  below 1e-4 of the output's largest magnitude. A small one also runs on RISC-V's vectors, of two widths.
- A module with variants for x86-64-v2, v3 and v4 runs the one that the emulated processor has, and says what is
  missing where it has none; what the variants share is there once.

Runs in .venv-test (scripts/setup test), on the models of `make models` and the programs of `make cross`.
"""

import functools
import pathlib
import platform
import subprocess
import sys

import numpy as np
import onnx

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "models"))
import agreement  # noqa: E402
import model_inputs  # noqa: E402
from checks import Failure, run_checks  # noqa: E402

BUILD = ROOT / "build"
LARGEST_DIFFERENCE = agreement.LARGEST_DIFFERENCE


def emulated(processor, cpu, module, inputs, folder):
    """Runs a module under emulation. Returns the target that ran and the outputs by name."""
    if processor == "x86_64":
        build, root = BUILD, []
    else:
        build, root = BUILD / f"{processor}-linux-gnu", ["-L", f"/usr/{processor}-linux-gnu"]
    program = build / "bin" / "tw_run_module"
    if not program.exists():
        raise Failure(f"{program} is not built; run `make cross`")
    folder.mkdir(parents=True)
    arguments = []
    for index, array in enumerate(inputs):
        array.tofile(folder / f"input{index}")
        arguments.append(f"{'x'.join(map(str, array.shape))}={folder / f'input{index}'}")
    command = [f"qemu-{processor}-static", *root, *(["-cpu", cpu] if cpu else []),
               "-E", f"LD_LIBRARY_PATH={build / 'lib'}", "-E", "TILEWRIGHT_NUM_THREADS=1", program, module, folder]
    try:
        done = subprocess.run([*map(str, command), *arguments], capture_output=True, text=True, timeout=600)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not there; run `scripts/setup cross`") from None
    if done.returncode != 0:
        raise Failure(f"{' '.join(command[:1])} ended with status {done.returncode}:\n{done.stderr.strip()}")
    target, *lines = done.stdout.splitlines()
    outputs = {}
    for index, line in enumerate(lines):
        name, _, shape = line.rpartition(" ")
        outputs[name] = np.fromfile(folder / str(index), np.float32).reshape([int(n) for n in shape.split("x")])
    return target.removeprefix("name=").split()[0], outputs


def compile_model(model, target, module):
    agreement.tilewright("compile", model, "--target", target, "-o", module, "--quiet")


def largest_difference(ours, peer):
    """Relative to the largest magnitude; raises Failure where it is too large."""
    if ours.keys() != peer.keys():
        raise Failure(f"the outputs are {sorted(ours)}, expected {sorted(peer)}")
    worst = 0.0
    for name, reference in peer.items():
        if ours[name].shape != reference.shape:
            raise Failure(f"output {name} is {list(ours[name].shape)}, expected {list(reference.shape)}")
        difference = float(np.abs(ours[name] - reference).max() / max(np.abs(reference).max(), 1e-30))
        if not difference < LARGEST_DIFFERENCE:
            raise Failure(f"output {name} differs from onnxruntime's by {difference:.2e} of its largest magnitude")
        worst = max(worst, difference)
    return worst


def fixed(model, inputs, name, value):
    """The model for inputs of these shapes, with one more as a constant, since its value decides what is computed."""
    graph = model.graph
    kept = [each for each in graph.input if each.name != name]
    for each in kept:
        shape = each.type.tensor_type.shape
        del shape.dim[:]
        for size in inputs[each.name].shape:
            shape.dim.add().dim_value = size
    del graph.input[:]
    graph.input.extend(kept)
    graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model


def peer_outputs(model, inputs):
    return agreement.run_onnxruntime(agreement.onnxruntime_session(model), [inputs])[0]


# Each makes a model in the folder, or finds it, with inputs and the outputs that onnxruntime has for them.


def efficientnet(folder):
    model = agreement.require(agreement.MODELS / "efficientnet_lite0.onnx")
    inputs = model_inputs.seeded_inputs(model)[0]
    return model, inputs, peer_outputs(model, inputs)


def minilm(folder):
    """A sentence of nine tokens; the module serves every length."""
    model = agreement.require(agreement.FETCHED / "minilm.onnx")
    tokens = np.array([[101, 2023, 2003, 1037, 3231, 6251, 2005, 999, 102]], np.int64)
    inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": np.zeros_like(tokens)}
    return model, inputs, peer_outputs(model, inputs)


def silero(folder):
    """The voice detector at 16 kHz."""
    original = agreement.require(agreement.FETCHED / "silero_vad.onnx")
    generator = np.random.default_rng(0)
    inputs = {"input": generator.standard_normal((1, 512)).astype(np.float32) * 0.1,
              "state": generator.standard_normal((2, 1, 128)).astype(np.float32) * 0.1}
    rate = np.array(16000, np.int64)
    onnx.save(fixed(onnx.load(original), inputs, "sr", rate), folder / "silero_vad.onnx")
    # onnxruntime does not take the rate as a constant.
    return folder / "silero_vad.onnx", inputs, peer_outputs(original, inputs | {"sr": rate})


def small(folder):
    """A convolution, a product with an activation behind it, and a softmax, of sizes that no vector divides."""
    generator = np.random.default_rng(1)
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info

    def weight(name, *shape):
        return onnx.numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32) * 0.2, name)

    graph = onnx.helper.make_graph(
        [node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]),
         node("GlobalAveragePool", ["r"], ["p"]), node("Flatten", ["p"], ["f"]), node("MatMul", ["f", "m"], ["h"]),
         node("Tanh", ["h"], ["t"]), node("Add", ["t", "shared"], ["a"]), node("Softmax", ["a"], ["y"])],
        "small", [value("x", onnx.TensorProto.FLOAT, [1, 5, 19, 23])], [value("y", onnx.TensorProto.FLOAT, None)],
        [weight("w", 37, 5, 3, 3), weight("b", 37), weight("m", 37, 61), weight("shared", 61)])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, folder / "small.onnx")
    inputs = {"x": generator.standard_normal((1, 5, 19, 23)).astype(np.float32)}
    return folder / "small.onnx", inputs, peer_outputs(folder / "small.onnx", inputs)


def in_order(model, inputs):
    """The inputs in the module's order, which is the model's."""
    return [inputs[each.name] for each in onnx.load(model, load_external_data=False).graph.input if each.name in inputs]


def check_model(make, processor, features, cpu, folder):
    model, inputs, peer = make(folder)
    module = folder / "module.so"
    compile_model(model, f"{processor}-linux-gnu{features}", module)
    _, ours = emulated(processor, cpu, module, in_order(model, inputs), folder / "run")
    return f"difference {largest_difference(ours, peer):.1e}"


def check_variants(folder):
    """Nehalem has what v2 asks for, Haswell v3; qemu has no v4, and its plain processor has none of them."""
    model, inputs, peer = small(folder)
    levels = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
    module = folder / "module.so"
    compile_model(model, ",".join(levels), module)
    worst = 0.0
    for cpu, expected in (("Nehalem", "x86-64-v2"), ("Haswell", "x86-64-v3")):
        target, ours = emulated("x86_64", cpu, module, in_order(model, inputs), folder / cpu)
        if target != expected:
            raise Failure(f"on {cpu} the variant {target} ran, expected {expected}")
        worst = max(worst, largest_difference(ours, peer))
    try:
        emulated("x86_64", "qemu64", module, in_order(model, inputs), folder / "qemu64")
        raise Failure("a processor that has no variant ran one")
    except Failure as failure:
        for part in ("TW5301", "'x86-64-v2': this processor lacks", "ssse3"):
            if part not in str(failure):
                raise Failure(f"the error of a processor without a variant does not say {part}: {failure}") from None
    return f"difference {worst:.1e}"


def check_native_levels(folder):
    """Each level by itself, on the machine at hand, as far as that has it."""
    if platform.machine() != "x86_64":
        return "not an x86-64 machine"
    model, inputs, peer = efficientnet(folder)
    verdicts = []
    for level in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        try:
            ours = agreement.run_tilewright(model, inputs, folder / level, "--target", level)
        except Failure as failure:
            if "TW3203" not in str(failure):
                raise
            verdicts.append(f"{level[-2:]} not here")
        else:
            verdicts.append(f"{level[-2:]} {largest_difference(ours, peer):.1e}")
    return "difference " + ", ".join(verdicts)


def check_refused(folder):
    """A module for another processor is refused before any of its code runs."""
    model, _, _ = small(folder)
    module = folder / "module.so"
    compile_model(model, "riscv64-linux-gnu", module)
    try:
        agreement.tilewright("run", module)
        raise Failure("a module for riscv64 ran")
    except Failure as failure:
        if "TW5301" not in str(failure) or "it is for riscv64" not in str(failure):
            raise
    return "refused"


VECTORS = "rv64,v=true,vext_spec=v1.0,vlen="
CHECKS = {
    f"{make.__name__}_{processor}": functools.partial(check_model, make, processor, "", None)
    for processor in ("aarch64", "riscv64") for make in (efficientnet, minilm, silero)
} | {
    "vectors_128": functools.partial(check_model, small, "riscv64", ",features=+v", VECTORS + "128"),
    "vectors_256": functools.partial(check_model, small, "riscv64", ",features=+v,+zvl256b", VECTORS + "256"),
    "variants": check_variants,
    "native_levels": check_native_levels,
    "refused": check_refused,
}


if __name__ == "__main__":
    sys.exit(run_checks("cross", __doc__, CHECKS))
