# SPDX-License-Identifier: Apache-2.0
"""Draws models of one operator (of a few for chains of element-wise ones) for operators.py.

Sizes are drawn log-uniformly over the ranges that each class states, and drawn anew until a case is within
MAX_FLOPS and MAX_BYTES, so that none takes much longer than 100 ms. A case depends on the seed and its number
alone.
"""

import dataclasses
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
MAX_FLOPS = 8e9  # of the direct algorithm
MAX_BYTES = 96e6  # of inputs, constants and outputs together
MAX_STEP_BYTES = 8e9  # that the steps of a recurrent layer read of their weights


class Draw:
    """Random choices, and the model they make."""

    def __init__(self, *seed):
        self.random = np.random.default_rng(seed)
        self.inputs, self.constants, self.nodes = {}, {}, []
        self.label, self.flops, self.output_elements = "", 0, 0

    def size(self, low, high):
        """Log-uniform over low..high, both included."""
        return min(high, int(math.exp(self.random.uniform(math.log(low), math.log(high + 1)))))

    def pick(self, *values):
        return values[self.random.integers(len(values))]

    def chance(self, probability):
        return self.random.random() < probability

    def input(self, *shape):
        name = f"x{len(self.inputs)}"
        self.inputs[name] = shape
        return name

    def constant(self, *shape, scale=1.0):
        """Normal values; they are made when the model is, since most draws are thrown away."""
        name = f"w{len(self.constants)}"
        self.constants[name] = (shape, scale)
        return name

    def values(self, array):
        name = f"w{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def node(self, operator, *inputs, outputs=1, **attributes):
        """The name of the first result."""
        names = [f"y{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names[0]

    def elements(self):
        shapes = [*self.inputs.values(), *(c[0] for c in self.constants.values() if isinstance(c, tuple))]
        return sum(math.prod(shape) for shape in shapes) + self.output_elements

    def fits(self):
        return self.flops <= MAX_FLOPS and 4 * self.elements() <= MAX_BYTES

    def model(self):
        tensors = []
        for name, constant in self.constants.items():
            if isinstance(constant, tuple):
                shape, scale = constant
                constant = self.random.standard_normal(shape, np.float32) * np.float32(scale)
            tensors.append(numpy_helper.from_array(constant, name))
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.inputs.items()]
        output = helper.make_tensor_value_info(self.nodes[-1].output[0], TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "operator", inputs, [output], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        return onnx.shape_inference.infer_shapes(model)


def by(*extents):
    return "x".join(map(str, extents))


# ---- Windows. Strides are at most the kernel's extent; dilated kernels fit the padded map.


def window(d, kernel, dilations=(1,)):
    """A map of 1..224 (square four times in five), and a window's strides, dilations and pads."""
    height = d.size(1, 224)
    width = height if d.chance(0.8) else d.size(1, 224)
    stride, dilation = d.pick(1, 1, 1, 2, 2, 3, 4), d.pick(*dilations)
    stride = min(stride, max(kernel))
    # As a rule the map keeps its size but for strides.
    pads = [(k - 1) * dilation // 2 if d.chance(0.85) else 0 for k in kernel]
    outs = [(size + 2 * pad - (k - 1) * dilation - 1) // stride + 1
            for size, pad, k in zip((height, width), pads, kernel)]
    if min(outs) < 1:
        return None
    return (height, width), outs, {"kernel_shape": list(kernel), "strides": [stride] * 2, "dilations": [dilation] * 2,
                                   "pads": pads * 2}


def kernel_of(d):
    """1..11 square; one in eight is a line."""
    kernel = d.size(1, 11)
    return d.pick((1, kernel), (kernel, 1)) if d.chance(0.125) else (kernel, kernel)


def convolve(d, group, channels, filters):
    found = window(d, kernel_of(d), (1,) * 7 + (2, 3))
    if not found:
        return False
    image, outs, attributes = found
    depth = channels // group * math.prod(attributes["kernel_shape"])
    inputs = [d.input(1, channels, *image),
              d.constant(filters, channels // group, *attributes["kernel_shape"], scale=depth**-0.5)]
    if d.chance(0.8):
        inputs.append(d.constant(filters))
    d.node("Conv", *inputs, group=group, **attributes)
    d.output_elements, d.flops = filters * math.prod(outs), 2 * filters * math.prod(outs) * depth
    d.label = (f"{channels}->{filters} map {by(*image)} kernel {by(*attributes['kernel_shape'])}"
               f" stride {attributes['strides'][0]} dilation {attributes['dilations'][0]}"
               f" pad {by(*attributes['pads'][:2])}" + (f" groups {group}" if group > 1 else ""))
    return True


def conv(d):
    """Channels and filters 3..2048, maps 1..224, kernels 1..11, strides 1..4, dilations 1..3."""
    return convolve(d, 1, d.size(3, 2048), d.size(3, 2048))


def grouped_conv(d):
    """2..64 groups of 2..128 channels each to 2..128 filters."""
    group = d.size(2, 64)
    return convolve(d, group, group * d.size(2, 128), group * d.size(2, 128))


def depthwise_conv(d):
    """3..2048 channels, one filter each (two in one case of ten)."""
    channels = d.size(3, 2048)
    return convolve(d, channels, channels, channels * d.pick(1, 1, 1, 1, 1, 1, 1, 1, 1, 2))


def conv_transpose(d):
    """As conv, without dilation; maps 1..112."""
    channels, filters, kernel = d.size(3, 2048), d.size(3, 2048), d.size(1, 11)
    height = d.size(1, 112)
    width = height if d.chance(0.8) else d.size(1, 112)
    stride = min(kernel, d.pick(1, 2, 2, 2, 3, 4))
    pad = d.pick(0, (kernel - stride) // 2)
    outs = [(size - 1) * stride + kernel - 2 * pad for size in (height, width)]
    if min(outs) < 1:
        return False
    inputs = [d.input(1, channels, height, width),
              d.constant(channels, filters, kernel, kernel, scale=(channels * (kernel / stride) ** 2) ** -0.5)]
    if d.chance(0.8):
        inputs.append(d.constant(filters))
    d.node("ConvTranspose", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
    d.output_elements = filters * math.prod(outs)
    d.flops = 2 * channels * height * width * filters * kernel**2
    d.label = f"{channels}->{filters} map {by(height, width)} kernel {kernel} stride {stride} pad {pad}"
    return True


def pool(d):
    """3..2048 channels, maps 1..224, kernels 2..11; one in five is global."""
    channels, kind = d.size(3, 2048), d.pick("Max", "Average")
    if d.chance(0.2):
        image = (d.size(2, 224),) * 2
        d.node(f"Global{kind}Pool", d.input(1, channels, *image))
        d.output_elements, d.label = channels, f"Global{kind} {channels} map {by(*image)}"
        return True
    found = window(d, (d.size(2, 11),) * 2)
    if not found:
        return False
    image, outs, attributes = found
    del attributes["dilations"]
    d.node(f"{kind}Pool", d.input(1, channels, *image), **attributes)
    d.output_elements = channels * math.prod(outs)
    d.label = (f"{kind} {channels} map {by(*image)} kernel {by(*attributes['kernel_shape'])}"
               f" stride {attributes['strides'][0]} pad {attributes['pads'][0]}")
    return True


def resize(d):
    """1..512 channels, maps 2..224, nearest or linear, by 0.5, 1.5, 2, 3 or 4. Results have whole extents: what
    else a scale means, the standard's tests and onnxruntime do not agree on."""
    channels, image = d.size(1, 512), (d.size(2, 224), d.size(2, 224))
    scale, mode = d.pick(0.5, 1.5, 2.0, 2.0, 3.0, 4.0), d.pick("nearest", "linear")
    if scale != int(scale):
        image = tuple(extent // 2 * 2 for extent in image)
    place = "asymmetric" if mode == "nearest" else d.pick("half_pixel", "align_corners", "asymmetric")
    outs = [int(extent * scale) for extent in image]
    extra = {"nearest_mode": "floor"} if mode == "nearest" else {}
    d.node("Resize", d.input(1, channels, *image), "", d.values(np.array([1, 1, scale, scale], np.float32)), mode=mode,
           coordinate_transformation_mode=place, **extra)
    d.output_elements = channels * math.prod(outs)
    d.label = f"{mode} {place} {channels} map {by(*image)} by {scale}"
    return True


# ---- Products.


def gemm(d):
    """M, N, K 1..8192, a constant matrix, transposed or not; one in three odd sizes."""
    m, n, k = (size | 1 if d.chance(0.33) else size for size in (d.size(1, 8192), d.size(1, 8192), d.size(1, 8192)))
    transposed, bias = d.chance(0.5), d.chance(0.7)
    inputs = [d.input(m, k), d.constant(*((n, k) if transposed else (k, n)), scale=k**-0.5)]
    if bias:
        inputs.append(d.constant(n))
    d.node("Gemm", *inputs, transB=int(transposed))
    d.output_elements, d.flops = m * n, 2 * m * n * k
    d.label = f"{by(m, n, k)}" + (" transposed" if transposed else "") + (" bias" if bias else "")
    return True


def matmul(d):
    """Batch 1..64, M, N 1..4096, K 1..4096; both matrices are inputs, in one case of three the second is a
    constant that the batch shares."""
    batch, m, n, k = d.size(1, 64), d.size(1, 4096), d.size(1, 4096), d.size(1, 4096)
    shared = d.chance(0.33)
    right = d.constant(k, n, scale=k**-0.5) if shared else d.input(batch, k, n)
    left = d.input(batch, m, k)
    d.node("MatMul", left, right)
    d.output_elements, d.flops = batch * m * n, 2 * batch * m * n * k
    d.label = f"{batch} of {by(m, n, k)}" + (" constant" if shared else "")
    return True


def recurrent(d, operator, gates):
    """1..128 steps, batch 1..16, 16..1024 inputs and units, one direction or two."""
    steps, batch, width, units = d.size(1, 128), d.size(1, 16), d.size(16, 1024), d.size(16, 1024)
    directions = d.pick(1, 1, 2)
    weights = directions * gates * units * (width + units)
    if 4 * steps * weights > MAX_STEP_BYTES:
        return False
    inputs = [d.input(steps, batch, width), d.constant(directions, gates * units, width, scale=width**-0.5),
              d.constant(directions, gates * units, units, scale=units**-0.5),
              d.constant(directions, 2 * gates * units)]
    extra = {"linear_before_reset": d.pick(0, 1)} if operator == "GRU" else {}
    direction = "bidirectional" if directions == 2 else "forward"
    d.node(operator, *inputs, hidden_size=units, direction=direction, **extra)
    d.output_elements, d.flops = steps * batch * units * directions, 2 * steps * batch * weights
    d.label = (f"{steps} steps batch {batch} {width}->{units} {direction}"
               + "".join(f" {name}={value}" for name, value in extra.items()))
    return True


def lstm(d):
    return recurrent(d, "LSTM", 4)


def gru(d):
    return recurrent(d, "GRU", 3)


# ---- Work bound by memory.


def shape_of(d, rank, most=4096):
    """Extents of about 2^12..2^23 elements in all, shared out among the axes at random."""
    total = d.random.uniform(12, 23)
    shares = d.random.dirichlet([1.5] * rank) * total
    return [min(most, max(1, round(2**share))) for share in shares]


def softmax(d):
    """Rows of 2..4096, at the last axis four times in five."""
    shape = shape_of(d, d.pick(2, 3, 4))
    axis = len(shape) - 1 if d.chance(0.8) else int(d.random.integers(len(shape)))
    d.node("Softmax", d.input(*shape), axis=axis)
    d.output_elements, d.label = math.prod(shape), f"{by(*shape)} axis {axis}"
    return shape[axis] > 1


def layer_norm(d):
    """Rows of 8..4096, 1..8192 of them, with scale and bias."""
    rows, length = d.size(1, 8192), d.size(8, 4096)
    d.node("LayerNormalization", d.input(1, rows, length), d.constant(length), d.constant(length), axis=-1)
    d.output_elements, d.label = rows * length, by(rows, length)
    return True


def reduction(d):
    """Rank 2..4, some of the axes; sum, mean, greatest, least, Euclidean norm."""
    shape = shape_of(d, d.pick(2, 3, 4))
    axes = sorted(int(a) for a in d.random.permutation(len(shape))[: d.random.integers(1, len(shape) + 1)])
    operator, keep = d.pick("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"), d.pick(0, 1)
    d.node(operator, d.input(*shape), d.values(np.array(axes, np.int64)), keepdims=keep)
    d.output_elements = math.prod(size for axis, size in enumerate(shape) if axis not in axes)
    d.label = f"{operator} {by(*shape)} axes {axes}"
    return math.prod(shape[a] for a in axes) > 1


def transpose(d):
    """Rank 2..5, any order but the one there is."""
    shape = shape_of(d, d.pick(2, 3, 4, 5))
    order = [int(a) for a in d.random.permutation(len(shape))]
    d.node("Transpose", d.input(*shape), perm=order)
    d.output_elements, d.label = math.prod(shape), f"{by(*shape)} order {order}"
    return [a for a in order if shape[a] > 1] != [a for a in range(len(shape)) if shape[a] > 1]


def concat(d):
    """2..5 inputs of rank 2..4, any axis, extents along it of their own."""
    shape = shape_of(d, d.pick(2, 3, 4), 1024)
    axis, count = int(d.random.integers(len(shape))), d.pick(2, 2, 3, 4, 5)
    parts = [[d.size(1, 2 * extent) if i == axis else extent for i, extent in enumerate(shape)] for _ in range(count)]
    d.node("Concat", *(d.input(*part) for part in parts), axis=axis)
    d.output_elements = sum(math.prod(part) for part in parts)
    d.label = f"{by(*shape)} axis {axis} of {[part[axis] for part in parts]}"
    return True


UNARY = (("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("Erf", {}), ("Abs", {}), ("Neg", {}), ("HardSwish", {}),
         ("LeakyRelu", {"alpha": 0.1}), ("Elu", {}), ("Softplus", {}), ("Gelu", {}), ("HardSigmoid", {}))


def chain(d):
    """2..6 operators on a tensor of rank 2..4, one in two with a second operand: a scalar, a value per
    channel (axis 1), one of the innermost axis, or another whole tensor."""
    shape = shape_of(d, d.pick(2, 3, 4))
    value, names = d.input(*shape), []
    for _ in range(d.random.integers(2, 7)):
        if d.chance(0.5):
            operator, attributes = d.pick(*UNARY)
            value = d.node(operator, value, **attributes)
        else:
            operator, kind = d.pick("Add", "Sub", "Mul", "Max", "Min"), d.pick("scalar", "channel", "last", "whole")
            other = (d.constant() if kind == "scalar" else d.input(*shape) if kind == "whole" else d.constant(shape[-1])
                     if kind == "last" else d.constant(shape[1], *[1] * (len(shape) - 2)))
            value = d.node(operator, value, other)
            operator += f" {kind}"
        names.append(operator)
    d.output_elements, d.label = math.prod(shape), f"{by(*shape)}: {', '.join(names)}"
    return True


# How many of each in a hundred cases.
CLASSES = {conv: 22, grouped_conv: 6, depthwise_conv: 8, conv_transpose: 7, gemm: 11, matmul: 9, pool: 7, softmax: 4,
           layer_norm: 4, reduction: 5, transpose: 4, concat: 3, resize: 3, chain: 4, lstm: 2, gru: 1}
NAMES = [draw.__name__ for draw in CLASSES]


@dataclasses.dataclass
class Case:
    number: int
    kind: str
    draw: Draw

    @property
    def label(self):
        return self.draw.label


def draw_case(seed, number):
    """Case `number` of a seed. Each hundred holds every class as often as CLASSES says."""
    deck = [draw for draw, count in CLASSES.items() for _ in range(count)]
    order = np.random.default_rng((seed, number // len(deck))).permutation(len(deck))
    kind = deck[order[number % len(deck)]]
    for attempt in range(10000):
        d = Draw(seed, number, attempt)
        if kind(d) and d.fits():
            return Case(number, kind.__name__, d)
    raise RuntimeError(f"{kind.__name__}: no case within the bounds")
