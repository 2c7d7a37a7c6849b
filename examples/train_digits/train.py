# SPDX-License-Identifier: Apache-2.0
"""Trains the perceptron of make_model.py on scikit-learn's digits by compiled code alone.

The module holds the forward pass, the backward pass and the update of the weights. Each run reads the weights
from its inputs and leaves the new ones there: `tilewright gradient --sgd` gave them one memory.

    python train.py TILEWRIGHT LIBTILEWRIGHT_RUNTIME.so [FOLDER]
"""

import ctypes
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import make_model

BATCH, EPOCHS, RATE = 32, 30, 0.1


class Tensor(ctypes.Structure):
    """tw_tensor of tilewright.h."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("ndim", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
    ]


class Context:
    """A module in one context, by the C interface."""

    def __init__(self, library, module):
        self.library = ctypes.CDLL(library)
        self.library.tw_last_error.restype = ctypes.c_char_p
        self.module, self.context = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.library.tw_module_load(str(module).encode(), None, ctypes.byref(self.module)))
        self.check(self.library.tw_context_create(self.module, None, ctypes.byref(self.context)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.tw_last_error().decode())

    def set(self, name, value):
        value = np.asarray(value, order="C")
        index = self.library.tw_module_find_input(self.module, name.encode())
        shape = (ctypes.c_int64 * value.ndim)(*value.shape)
        self.check(self.library.tw_context_set_input_shape(self.context, index, shape, value.ndim))
        data = value.ctypes.data_as(ctypes.c_void_p)
        self.check(self.library.tw_context_set_input(self.context, index, data, ctypes.c_size_t(value.nbytes)))

    def run(self):
        self.check(self.library.tw_context_run(self.context))

    def output(self, name):
        tensor = Tensor()
        index = self.library.tw_module_find_output(self.module, name.encode())
        self.check(self.library.tw_context_get_output(self.context, index, ctypes.byref(tensor)))
        return tensor

    def get(self, name):
        """A copy of an output of floats."""
        tensor = self.output(name)
        data = ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float))
        shape = [tensor.shape[d] for d in range(tensor.ndim)]
        return np.ctypeslib.as_array(data, (tensor.bytes // 4,)).reshape(shape).copy()


def train(context, report=print):
    """Runs the epochs; the share of test pictures that are named right."""
    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(pixels, labels, test_size=0.25, random_state=0, stratify=labels)
    for name, value in make_model.initial_weights().items():
        context.set(name, value)
    random = np.random.default_rng(1)
    for epoch in range(EPOCHS):
        context.set("rate", np.float32(RATE))
        losses = []
        order = random.permutation(len(x))
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            context.set("x", x[rows])
            context.set("labels", y[rows])
            context.run()  # the weights stay in the context
            losses.append(float(context.get("loss")))
        # With a rate of 0 a step leaves the weights as they are.
        context.set("rate", np.float32(0))
        context.set("x", x_test)
        context.set("labels", y_test)
        context.run()
        accuracy = float(np.mean(context.get("scores").argmax(1) == y_test))
        report(f"epoch {epoch + 1:2}: loss {np.mean(losses):.4f}, test accuracy {accuracy:.4f}")
    return accuracy


def main():
    tilewright, library = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else scratch)
        onnx.save(make_model.make_model(), folder / "digits.onnx")
        module = folder / "digits_step.so"
        command = [tilewright, "gradient", folder / "digits.onnx", "--loss", "loss", "--sgd", "rate", "-o", module]
        subprocess.run(command, check=True)
        train(Context(library, module))


if __name__ == "__main__":
    main()
