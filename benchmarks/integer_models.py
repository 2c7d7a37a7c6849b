#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the benchmark models of integer products, with seeded weights: bytes by bytes in 32 bits, at the sizes of
the products in float32 (export_models.py).

Runs in .venv-bench (scripts/setup bench).
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Name of the model: rows, depth, columns.
MODELS = {"gemm_u8s8_768": (128, 768, 768), "gemm_u8s8_3072": (128, 768, 3072)}


def build(rows, depth, columns):
    weight = np.random.default_rng(0).integers(-128, 128, (depth, columns)).astype(np.int8)
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["u8", "weight"], ["output"])], "product",
                              [helper.make_tensor_value_info("u8", TensorProto.UINT8, [rows, depth])],
                              [helper.make_tensor_value_info("output", TensorProto.INT32, [rows, columns])],
                              [numpy_helper.from_array(weight, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    folder = ROOT / "build" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    for name, sizes in MODELS.items():
        onnx.save(build(*sizes), folder / f"{name}.onnx")


if __name__ == "__main__":
    main()
