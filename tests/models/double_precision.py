# SPDX-License-Identifier: Apache-2.0
"""Evaluates an ONNX model in double precision: the yardstick for the rounding errors of float32 engines.

The model's float32 constants, types and casts become float64, and onnx's reference evaluator runs
it. Convolutions and poolings, for which that evaluator is slow or ties itself to float32, are
written here on numpy's windows and matrix products.
"""

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


def _pads(auto_pad, pads, sizes, kernel, strides):
    """Pairs of (before, after) per spatial axis; `kernel` is the dilated size."""
    rank = len(sizes)
    if auto_pad in (None, "", "NOTSET"):
        pads = pads or [0] * 2 * rank
        return [(pads[i], pads[rank + i]) for i in range(rank)]
    if auto_pad == "VALID":
        return [(0, 0)] * rank
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, kernel, strides)]
    return [(t // 2, t - t // 2) if auto_pad == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals]


def _windows(x, pads, kernel, strides, dilations, fill):
    """View of shape (N, C, output sizes..., kernel sizes...) on a padded copy of x."""
    rank = len(kernel)
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    view = sliding_window_view(x, reach, axis=tuple(range(2, 2 + rank)))
    return view[(slice(None), slice(None), *(slice(None, None, s) for s in strides),
                 *(slice(None, None, d) for d in dilations))]


def _ceil_pads(pads, sizes, reach, strides):
    """Pads behind so that the last, partial window counts; a window never starts in the padding behind."""
    extended = []
    for (before, after), n, k, s in zip(pads, sizes, reach, strides):
        windows = -(-(n + before + after - k) // s) + 1
        if (windows - 1) * s >= n + before:
            windows -= 1
        extended.append((before, max(after, (windows - 1) * s + k - n - before)))
    return extended


class Conv(OpRun):
    op_domain = ""

    def _run(self, x, w, b=None, auto_pad=None, dilations=None, group=None, kernel_shape=None, pads=None,
             strides=None):
        rank, group = x.ndim - 2, group or 1
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations)]
        view = _windows(x, _pads(auto_pad, pads, x.shape[2:], reach, strides), w.shape[2:], strides, dilations, 0)
        if group == x.shape[1] == w.shape[0]:  # depthwise: one channel each
            y = np.einsum(view, [0, 1, *range(3, 3 + 2 * rank)], w[:, 0], [1, *range(3 + rank, 3 + 2 * rank)],
                          [0, 1, *range(3, 3 + rank)])
        else:
            axes = ([1, *range(2 + rank, 2 + 2 * rank)], range(1, 2 + rank))
            parts = [np.moveaxis(np.tensordot(v, k, axes), -1, 1)
                     for v, k in zip(np.split(view, group, axis=1), np.split(w, group))]
            y = np.concatenate(parts, axis=1)
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


class ConvTranspose(OpRun):
    op_domain = ""

    def _run(self, x, w, b=None, auto_pad=None, dilations=None, group=None, kernel_shape=None, output_padding=None,
             output_shape=None, pads=None, strides=None):
        if auto_pad not in (None, "", "NOTSET") or output_shape or (group or 1) != 1:
            raise NotImplementedError("ConvTranspose with auto_pad, output_shape or groups")
        rank = x.ndim - 2
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        pads, extra = pads or [0] * 2 * rank, output_padding or [0] * rank
        full = [(n - 1) * s + (k - 1) * d + 1 + e
                for n, s, k, d, e in zip(x.shape[2:], strides, w.shape[2:], dilations, extra)]
        y = np.zeros((x.shape[0], w.shape[1], *full), x.dtype)
        for tap in np.ndindex(*w.shape[2:]):
            starts = [t * d for t, d in zip(tap, dilations)]
            target = tuple(slice(start, start + (n - 1) * s + 1, s)
                           for start, n, s in zip(starts, x.shape[2:], strides))
            part = np.tensordot(x, w[(slice(None), slice(None), *tap)], ([1], [0]))
            y[(slice(None), slice(None), *target)] += np.moveaxis(part, -1, 1)
        y = y[(slice(None), slice(None), *(slice(pads[i], full[i] - pads[rank + i]) for i in range(rank)))]
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


class MaxPool(OpRun):
    op_domain = ""

    def _run(self, x, auto_pad=None, ceil_mode=None, dilations=None, kernel_shape=None, pads=None,
             storage_order=None, strides=None):
        rank = x.ndim - 2
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        reach = [(k - 1) * d + 1 for k, d in zip(kernel_shape, dilations)]
        pairs = _pads(auto_pad, pads, x.shape[2:], reach, strides)
        if ceil_mode:
            pairs = _ceil_pads(pairs, x.shape[2:], reach, strides)
        view = _windows(x, pairs, kernel_shape, strides, dilations, -np.inf)
        return (view.max(axis=tuple(range(2 + rank, 2 + 2 * rank))),)


class AveragePool(OpRun):
    op_domain = ""

    def _run(self, x, auto_pad=None, ceil_mode=None, count_include_pad=None, dilations=None, kernel_shape=None,
             pads=None, strides=None):
        if ceil_mode:
            raise NotImplementedError("AveragePool with ceil_mode")
        rank = x.ndim - 2
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        reach = [(k - 1) * d + 1 for k, d in zip(kernel_shape, dilations)]
        pairs = _pads(auto_pad, pads, x.shape[2:], reach, strides)
        axes = tuple(range(2 + rank, 2 + 2 * rank))
        sums = _windows(x, pairs, kernel_shape, strides, dilations, 0).sum(axis=axes)
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        counts = _windows(ones, pairs, kernel_shape, strides, dilations, bool(count_include_pad)).sum(axis=axes)
        return (sums / counts,)


class GlobalMaxPool(OpRun):
    op_domain = ""

    def _run(self, x):
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class BatchNormalization(OpRun):
    """In inference; onnx's evaluator takes a node of operator set 9 that has a momentum for training."""

    op_domain = ""

    def _run(self, x, scale, bias, mean, variance, epsilon=None, momentum=None, training_mode=None):
        if training_mode:
            raise NotImplementedError("BatchNormalization in training")
        wide = [value.reshape(-1, *[1] * (x.ndim - 2)) for value in (scale, bias, mean, variance)]
        return ((x - wide[2]) / np.sqrt(wide[3] + (1e-5 if epsilon is None else epsilon)) * wide[0] + wide[1],)


class HardSwish(OpRun):
    op_domain = ""

    def _run(self, x):
        return (x * np.clip(x / 6 + 0.5, 0, 1),)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


class LSTM(OpRun):
    """With the default activations; onnx's evaluator has no second direction."""

    op_domain = ""

    def _run(self, x, w, r, b=None, lengths=None, h0=None, c0=None, p=None, activation_alpha=None,
             activation_beta=None, activations=None, clip=None, direction=None, hidden_size=None, input_forget=None,
             layout=None):
        if lengths is not None or p is not None or activations or clip or input_forget or layout:
            raise NotImplementedError("LSTM with lengths, peepholes, other activations, clipping or layout 1")
        outputs, hidden_states, cells = [], [], []
        for d in range(w.shape[0]):
            backwards = direction == "reverse" or d == 1
            shape = (x.shape[1], r.shape[2])
            h = np.zeros(shape) if h0 is None else h0[d]
            c = np.zeros(shape) if c0 is None else c0[d]
            bias = 0 if b is None else sum(np.split(b[d], 2))
            y = np.zeros((x.shape[0], *shape))
            for t in range(x.shape[0])[::-1 if backwards else 1]:
                i, o, f, g = np.split(x[t] @ w[d].T + h @ r[d].T + bias, 4, axis=1)
                c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
                h = y[t] = _sigmoid(o) * np.tanh(c)
            outputs.append(y)
            hidden_states.append(h)
            cells.append(c)
        return np.stack(outputs, axis=1), np.stack(hidden_states), np.stack(cells)


_OPERATORS = [Conv, ConvTranspose, MaxPool, AveragePool, GlobalMaxPool, BatchNormalization, HardSwish, LSTM]


def _to_double(tensor):
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


def double_model(path):
    """The model with float64 in the place of float32."""
    model = onnx.load(path)
    _graph_to_double(model.graph)
    return model


def _graph_to_double(graph):
    for tensor in graph.initializer:
        _to_double(tensor)
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _to_double(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            if attribute.HasField("g"):
                _graph_to_double(attribute.g)


def evaluate(path, all_inputs):
    """Outputs by name for each set of inputs."""
    model = double_model(path)
    evaluator = ReferenceEvaluator(model, new_ops=_OPERATORS)
    names = [output.name for output in model.graph.output]
    results = []
    for inputs in all_inputs:
        wide = {name: array.astype(np.float64) if array.dtype == np.float32 else array
                for name, array in inputs.items()}
        results.append(dict(zip(names, evaluator.run(None, wide))))
    return results
