# SPDX-License-Identifier: Apache-2.0
"""Counts the floating-point operations of an ONNX model as the direct algorithm does them: two per
multiply-accumulate of Conv, ConvTranspose, Gemm, MatMul and MatMulInteger; the rest is small and counts nothing."""

import math
import sys

import onnx


def _shapes(model):
    graph = model.graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            shapes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            shapes[node.output[0]] = list(node.attribute[0].t.dims)
    return shapes


def _multiplications(node, shapes):
    """Multiply-accumulates of one node; its shapes must be known."""
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Conv":  # each output element sums over one group's input channels and the kernel
        return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":  # each input element reaches one group's outputs and the kernel
        return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "Gemm":
        depth = shapes[node.input[0]][0 if attributes.get("transA") else 1]
        return math.prod(shapes[node.output[0]]) * depth
    if node.op_type in ("MatMul", "MatMulInteger"):
        return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return 0


def count(path):
    """The FLOPs of one inference of the model at `path`; 0, for unknown, where a shape is not static."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    shapes = _shapes(model)
    try:
        return 2 * sum(_multiplications(node, shapes) for node in model.graph.node)
    except (KeyError, IndexError):
        return 0


def by_bytes(path):
    """Whether all products of the model are of bytes, so that the peak to compare with is that of integers."""
    kinds = {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    return "MatMulInteger" in kinds and not kinds & {"Conv", "ConvTranspose", "Gemm", "MatMul"}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {count(name) / 1e9:.4f} GFLOP")
