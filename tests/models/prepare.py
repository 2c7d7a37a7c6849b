#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the fetched models ready to compare: ONNX files in build/models with batch 1 and static shapes.

The tests that try several sizes use the models as they were fetched.

Runs in .venv-test (scripts/setup test). benchmarks/export_models.py adds the exported models.
"""

import pathlib
import subprocess
import sys

import onnx

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "build" / "models"
FETCHED = MODELS / "fetched"

# Models that ship with a free or unhelpful input shape, and the one to give them.
STATIC_SHAPES = {
    "orientation": {"x": (1, 3, 224, 224)},
    "centerface": {"input.1": (1, 3, 480, 640)},
    "magika": {"bytes": (1, 2048)},
    "wakeword": {"input_1": (1, 16, 96)},
    "ddddocr": {"input1": (1, 1, 64, 160)},
    "ddddocr_det": {"images": (1, 3, 416, 416)},
    "minilm": {name: (1, 128) for name in ("input_ids", "attention_mask", "token_type_ids")},
    "ppocr4_det": {"x": (1, 3, 640, 640)},
    "ppocr4_rec": {"x": (1, 3, 48, 320)},
}


def set_static_shapes(source, target, shapes):
    """Writes the model with the given input shapes; all other shapes are left to inference.

    Initialisers listed as inputs too (the habit before IR version 4, which lets a caller override
    them and keeps peers from folding them) become plain constants.
    """
    model = onnx.load(source)
    graph = model.graph
    del graph.value_info[:]
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)
    for value in graph.input:
        if value.name in shapes:
            dimensions = value.type.tensor_type.shape
            del dimensions.dim[:]
            for size in shapes[value.name]:
                dimensions.dim.add().dim_value = size
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    onnx.save(onnx.shape_inference.infer_shapes(model, strict_mode=True), target)


def main():
    subprocess.run([sys.executable, ROOT / "scripts" / "fetch-models", "--set", "test"], check=True)
    for name, shapes in STATIC_SHAPES.items():
        set_static_shapes(FETCHED / f"{name}.onnx", MODELS / f"{name}.onnx", shapes)
    subprocess.run([sys.executable, ROOT / "examples" / "efficientnet_lite0" / "make_model.py",
                    FETCHED / "efficientnet_lite0.pth", MODELS / "efficientnet_lite0.onnx",
                    "--names", FETCHED / "imagenet_names.json", "--labels", MODELS / "imagenet_labels.txt"], check=True)


if __name__ == "__main__":
    main()
