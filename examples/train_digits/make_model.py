# SPDX-License-Identifier: Apache-2.0
"""Writes a small perceptron with its loss as ONNX: 64 pixels, a hidden layer, ten digits."""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PIXELS, HIDDEN, DIGITS = 64, 48, 10


def initial_weights(seed=0):
    """He's initialisation for the layer before the ReLU (He et al., "Delving deep into rectifiers", 2015)."""
    random = np.random.default_rng(seed)
    normal = lambda rows, columns: random.normal(0, np.sqrt(2 / rows), (rows, columns)).astype(np.float32)
    return {
        "w1": normal(PIXELS, HIDDEN),
        "b1": np.zeros(HIDDEN, np.float32),
        "w2": normal(HIDDEN, DIGITS),
        "b2": np.zeros(DIGITS, np.float32),
    }


def make_model():
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m1"]),
        helper.make_node("Add", ["m1", "b1"], ["a1"]),
        helper.make_node("Relu", ["a1"], ["h"]),
        helper.make_node("MatMul", ["h", "w2"], ["m2"]),
        helper.make_node("Add", ["m2", "b2"], ["scores"]),
        helper.make_node("SoftmaxCrossEntropyLoss", ["scores", "labels"], ["loss"], reduction="mean"),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", PIXELS]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", DIGITS]),
            helper.make_tensor_value_info("loss", TensorProto.FLOAT, []),
        ],
        [numpy_helper.from_array(value, name) for name, value in initial_weights().items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    onnx.save(make_model(), sys.argv[1])
