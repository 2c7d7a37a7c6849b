# SPDX-License-Identifier: Apache-2.0
"""Random small ONNX graphs, with the values that onnxruntime computes for each of their tensors.

A graph grows node by node. Each new node is run by onnxruntime at once, on the values of its arguments, so that what
is built is valid and its numbers are known: they are kept small, and steps (rounding, comparing, indices of maxima)
are taken only where a small error before them cannot change what is behind them.
"""

import dataclasses
import random

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

LARGEST = 64.0  # magnitude of values that are used on
CLOSE = 1e-2  # what is nearer to a step than this, relative to the magnitude, is not sent over it
MOST_ELEMENTS = 6000

FLOATS = (np.float32, np.float64, np.float16)
INTEGERS = (np.int32, np.int64, np.int8, np.uint8)

onnxruntime.set_default_logger_severity(4)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def make_model(nodes, inputs, initializers, outputs, opset, symbolic=()):
    """`inputs` and `outputs`: arrays by name; the first dimension of the inputs in `symbolic` is the symbol n."""

    def info(name, array):
        shape = ["n", *array.shape[1:]] if name in symbolic else list(array.shape)
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)

    graph = helper.make_graph(
        nodes, "random", [info(n, a) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), None) for n, a in outputs.items()],
        [numpy_helper.from_array(a, n) for n, a in initializers.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


@dataclasses.dataclass
class RandomModel:
    model: onnx.ModelProto
    values: dict  # arrays by name: of inputs, initialisers and results

    def inputs(self):
        return {i.name: self.values[i.name] for i in self.model.graph.input}


class Unfit(Exception):
    """The draw came to nothing; another one is made."""


def is_float(array):
    return array.dtype.type in FLOATS


def far_from(array, *steps):
    """Whether no element is near one of the values, unless it is exactly that value's integer kin."""
    if not is_float(array):
        return True
    scale = max(1.0, float(np.abs(array).max(initial=0)))
    return all(np.abs(array.astype(np.float64) - s).min(initial=np.inf) > CLOSE * scale for s in steps)


def far_from_multiples(array, offset):
    """Whether no element is near an integer plus `offset`."""
    rest = np.mod(array.astype(np.float64) - offset + 0.5, 1.0) - 0.5
    return np.abs(rest).min(initial=1) > CLOSE * max(1.0, float(np.abs(array).max(initial=0)))


def has_gaps(array, axis):
    """Whether elements along an axis differ enough for their order to be certain."""
    if array.shape[axis] < 2:
        return True
    gaps = np.diff(np.sort(array.astype(np.float64), axis=axis), axis=axis)
    return gaps.min(initial=np.inf) > CLOSE * max(1.0, float(np.abs(array).max(initial=0)))


class GraphMaker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.opset = self.random.choice([18, 19, 20, 21, 22])
        self.nodes, self.inputs, self.initializers, self.values = [], {}, {}, {}
        self.wild = self.random.random() < 0.5  # types other than f32 and i64 from the start

    # ---- Drawing ----

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def below(self, n):
        return self.random.randrange(n)

    def shape(self, rank=None):
        rank = self.random.choice([1, 2, 2, 3, 3, 4, 4, 5]) if rank is None else rank
        return tuple(self.random.choice([1, 2, 3, 4, 5, 7, 8, 16, 17] if rank < 4 else [1, 2, 3, 4, 5, 8])
                     for _ in range(rank))

    def array(self, dtype, shape):
        if dtype == np.bool_:
            return self.numbers.integers(0, 2, shape).astype(np.bool_)
        if np.issubdtype(dtype, np.integer):
            return self.numbers.integers(0 if np.issubdtype(dtype, np.unsignedinteger) else -8, 9, shape).astype(dtype)
        return np.asarray(self.numbers.uniform(-2, 2, shape)).astype(dtype)

    def new(self, array, constant=None):
        """A new input or initialiser that holds `array`."""
        constant = self.chance(50) if constant is None else constant
        name = f"{'c' if constant else 'x'}{len(self.values)}"
        (self.initializers if constant else self.inputs)[name] = array
        self.values[name] = array
        return name

    def fresh(self, dtype, shape):
        return self.new(self.array(dtype, shape))

    def pick(self, fits=lambda a: True, likely_new=10):
        """The name of a value that fits; recent ones are likelier."""
        names = [n for n, a in self.values.items() if fits(a)]
        if names and not self.chance(likely_new):
            return self.random.choice(names[-4:] if self.chance(60) else names)
        for _ in range(20):
            dtype = self.random.choice([np.float32] * 6 + [np.int64, np.bool_] + ([*FLOATS, *INTEGERS] if self.wild else []))
            array = self.array(dtype, self.shape())
            if fits(array):
                return self.new(array)
        raise Unfit

    def axis(self, array, negative=True):
        if array.ndim == 0:
            raise Unfit
        axis = self.below(array.ndim)
        return axis - array.ndim if negative and self.chance(40) else axis

    def partner(self, name):
        """A value of the same type whose shape broadcasts with that of `name`."""
        a = self.values[name]

        def broadcasts(b):
            if b.dtype != a.dtype:
                return False
            try:
                return np.prod(np.broadcast_shapes(a.shape, b.shape)) <= MOST_ELEMENTS
            except ValueError:
                return False

        if self.chance(60):
            return self.pick(broadcasts, 0)
        shape = [1 if self.chance(30) else d for d in a.shape][self.below(a.ndim + 1) if self.chance(30) else 0:]
        return self.fresh(a.dtype.type, tuple(shape))

    def constant(self, values):
        return self.new(np.asarray(values, np.int64), constant=True)

    # ---- Growing ----

    def emit(self, op, arguments, outputs=1, **attributes):
        """Appends a node where onnxruntime runs it and its results can be used; returns their names."""
        names = [f"v{len(self.values) + i}" for i in range(outputs)]
        node = helper.make_node(op, arguments, names, name=f"node{len(self.nodes)}", **attributes)
        given = {a: self.values[a] for a in dict.fromkeys(arguments) if a}
        constants = {n: a for n, a in given.items() if n in self.initializers}
        try:
            probe = session(helper_model(node, given, constants, self.opset))
            results = probe.run(names, {n: a for n, a in given.items() if n not in constants})
        except Exception as error:
            if "onnxruntime" not in type(error).__module__:
                raise
            raise Unfit from error
        for result in results:
            if not isinstance(result, np.ndarray) or result.size > MOST_ELEMENTS or result.size == 0:
                raise Unfit
            if is_float(result) and not np.abs(result).max() < LARGEST:
                raise Unfit
            if np.issubdtype(result.dtype, np.integer) and np.abs(result.astype(np.float64)).max() > 2**20:
                raise Unfit
        self.nodes.append(node)
        self.values.update(zip(names, results))
        return names

    def make(self, size, steps):
        """Grows by `steps` up to `size` nodes. What nobody uses is an output, and so is some of the rest."""
        while len(self.nodes) < size:
            marks = len(self.inputs), len(self.initializers), len(self.values), len(self.nodes)
            try:
                self.random.choice(steps)(self)
            except Unfit:
                for table, mark in zip((self.inputs, self.initializers, self.values), marks):
                    for name in list(table)[mark:]:
                        del table[name]
                del self.nodes[marks[3]:]
        used = {a for node in self.nodes for a in node.input}
        results = [o for node in self.nodes for o in node.output if o]
        outputs = [r for r in results if r not in used]
        outputs += [r for r in results if r in used and self.chance(10)]
        symbolic = []
        if self.chance(25):
            length = self.random.choice([a.shape[0] for a in self.inputs.values() if a.ndim] or [0])
            symbolic = [n for n, a in self.inputs.items() if a.ndim and a.shape[0] == length > 1]
        model = make_model(self.nodes, self.inputs, self.initializers, {o: self.values[o] for o in outputs}, self.opset,
                           symbolic)
        return RandomModel(model, self.values)


def helper_model(node, given, constants, opset):
    graph = helper.make_graph(
        [node], "probe",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
         for n, a in given.items() if n not in constants],
        [helper.make_empty_tensor_value_info(n) for n in node.output],
        [numpy_helper.from_array(a, n) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)

