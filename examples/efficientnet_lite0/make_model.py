#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns EfficientNet-Lite0's trained parameters into an ONNX model, with numpy and onnx alone.

The parameters come as a PyTorch state dict; torch_pickle.py reads it without torch. The
architecture is written here from its published description: EfficientNet's table of stages
(Tan and Le, arXiv:1905.11946, table 1) with the changes of the Lite variants: no squeeze and
excitation, ReLU6, and a stem and head that are not scaled.
"""

import argparse
import dataclasses
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import torch_pickle

IMAGE_SIZE = 224
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
BATCH_NORM_EPSILON = 1e-3


@dataclasses.dataclass(frozen=True)
class Stage:
    """A run of inverted-residual blocks; only the first block strides."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(blocks=1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(blocks=2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(blocks=2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(blocks=3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(blocks=3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(blocks=4, kernel=5, stride=2, expansion=6, channels=192),
    Stage(blocks=1, kernel=3, stride=1, expansion=6, channels=320),
)


def same_padding(size, kernel, stride):
    """TensorFlow's SAME rule, which these weights were trained with: the odd element goes behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class ModelBuilder:
    """Appends layers to one chain of ONNX nodes and takes their parameters from the state dict."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.unused = {name for name in parameters if not name.endswith("num_batches_tracked")}
        self.nodes = []
        self.initializers = []

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def parameter(self, name, shape):
        array = self.parameters[name]
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        self.unused.discard(name)
        return self.constant(name, array.astype(np.float32))

    def node(self, operator, inputs, name, **attributes):
        output = name + ".out"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def conv(self, x, name, out_channels, in_channels, kernel, stride=1, groups=1, size=1):
        """Convolution without bias over a square map of `size` a side."""
        weight = self.parameter(f"{name}.weight", (out_channels, in_channels // groups, kernel, kernel))
        before, after = same_padding(size, kernel, stride)
        return self.node("Conv", [x, weight], name, kernel_shape=[kernel, kernel], strides=[stride, stride],
                         group=groups, pads=[before, before, after, after])

    def batch_norm(self, x, name, channels):
        fields = ("weight", "bias", "running_mean", "running_var")
        inputs = [self.parameter(f"{name}.{field}", (channels,)) for field in fields]
        return self.node("BatchNormalization", [x, *inputs], name, epsilon=BATCH_NORM_EPSILON)

    def relu6(self, x, name):
        return self.node("Clip", [x, "relu6.min", "relu6.max"], name)

    def block(self, x, name, stage, in_channels, stride, size):
        """One inverted residual: expand, depthwise, project, and the input added where shapes allow."""
        y, wide = x, in_channels * stage.expansion
        if stage.expansion != 1:
            y = self.conv(y, f"{name}._expand_conv", wide, in_channels, 1)
            y = self.relu6(self.batch_norm(y, f"{name}._bn0", wide), f"{name}.relu6_0")
        y = self.conv(y, f"{name}._depthwise_conv", wide, wide, stage.kernel, stride, groups=wide, size=size)
        y = self.relu6(self.batch_norm(y, f"{name}._bn1", wide), f"{name}.relu6_1")
        y = self.conv(y, f"{name}._project_conv", stage.channels, wide, 1)
        y = self.batch_norm(y, f"{name}._bn2", stage.channels)
        if stride == 1 and in_channels == stage.channels:
            y = self.node("Add", [y, x], f"{name}.add")
        return y

    def body(self, image):
        self.constant("relu6.min", np.float32(0))
        self.constant("relu6.max", np.float32(6))
        x = self.conv(image, "_conv_stem", STEM_CHANNELS, 3, 3, stride=2, size=IMAGE_SIZE)
        x = self.relu6(self.batch_norm(x, "_bn0", STEM_CHANNELS), "stem.relu6")
        size, channels, index = -(-IMAGE_SIZE // 2), STEM_CHANNELS, 0
        for stage in STAGES:
            for position in range(stage.blocks):
                stride = stage.stride if position == 0 else 1
                x = self.block(x, f"_blocks.{index}", stage, channels, stride, size)
                size, channels, index = -(-size // stride), stage.channels, index + 1
        x = self.conv(x, "_conv_head", HEAD_CHANNELS, channels, 1)
        return self.relu6(self.batch_norm(x, "_bn1", HEAD_CHANNELS), "head.relu6")

    def build(self, classes):
        x = self.node("GlobalAveragePool", [self.body("image")], "pool")
        x = self.node("Flatten", [x], "flatten", axis=1)
        weight = self.parameter("_fc.weight", (classes, HEAD_CHANNELS))
        bias = self.parameter("_fc.bias", (classes,))
        self.nodes.append(helper.make_node("Gemm", [x, weight, bias], ["logits"], name="_fc", transB=1))
        if self.unused:
            raise ValueError(f"parameters that the architecture does not use: {sorted(self.unused)}")
        graph = helper.make_graph(
            self.nodes, "efficientnet_lite0",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, IMAGE_SIZE, IMAGE_SIZE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, classes])], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", type=pathlib.Path, help="state dict (.pth) of EfficientNet-Lite0")
    parser.add_argument("model", type=pathlib.Path, help="ONNX file to write")
    parser.add_argument("--names", type=pathlib.Path, help="JSON list of the class names")
    parser.add_argument("--labels", type=pathlib.Path, help="text file to write the names to, one a line")
    options = parser.parse_args()

    parameters = torch_pickle.load(options.weights)
    classes = parameters["_fc.bias"].shape[0]
    model = ModelBuilder(parameters).build(classes)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, options.model)
    print(f"make_model: {options.model}: {len(model.graph.node)} nodes, {classes} classes")
    if options.names and options.labels:
        names = json.loads(options.names.read_text())
        if len(names) != classes:
            raise ValueError(f"{options.names} names {len(names)} classes, the model has {classes}")
        options.labels.write_text("".join(f"{name}\n" for name in names))


if __name__ == "__main__":
    main()
