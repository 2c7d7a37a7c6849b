# SPDX-License-Identifier: Apache-2.0
"""The C interface of the runtime, for tests: modules, contexts, errors by their ids."""

import ctypes
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build/lib/libtilewright_runtime.so"


class LoadOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("verify_parameters", ctypes.c_int32)]


class ContextOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("num_threads", ctypes.c_int32), ("profile", ctypes.c_int32)]


class TensorInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("ndim", ctypes.c_int32), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("dim_symbols", ctypes.POINTER(ctypes.c_char_p))]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("ndim", ctypes.c_int32),
                ("shape", ctypes.POINTER(ctypes.c_int64))]


_lib = ctypes.CDLL(str(LIBRARY))
_lib.tw_last_error.restype = ctypes.c_char_p
_lib.tw_context_memory_bytes.restype = ctypes.c_size_t


class RuntimeFailure(Exception):
    """The message of a failed call, which begins with its id."""


def _check(status):
    if status:
        raise RuntimeFailure(_lib.tw_last_error().decode(errors="replace"))


class Module:
    def __init__(self, path=None, verify=False):
        self.handle = ctypes.c_void_p()
        options = LoadOptions(ctypes.sizeof(LoadOptions), verify)
        _check(_lib.tw_module_load(str(path).encode(), ctypes.byref(options), ctypes.byref(self.handle)))

    def inputs(self):
        """Name, element type in numpy's words and shape (-1: open) of each input."""
        result = []
        for i in range(_lib.tw_module_num_inputs(self.handle)):
            info = TensorInfo()
            _check(_lib.tw_module_input_info(self.handle, i, ctypes.byref(info)))
            result.append((info.name.decode(), _numpy_type(info), [info.shape[d] for d in range(info.ndim)]))
        return result

    def close(self):
        if self.handle:
            _lib.tw_module_release(self.handle)
            self.handle = None

    __del__ = close


def _numpy_type(info):
    kinds = {0: "i", 1: "u", 2: "f", 6: "b"}
    return np.dtype("bool" if info.code == 6 else f"{kinds[info.code]}{info.bits // 8}")


class Context:
    def __init__(self, module, threads=0):
        self.module, self.handle = module, ctypes.c_void_p()
        options = ContextOptions(ctypes.sizeof(ContextOptions), threads, 0)
        _check(_lib.tw_context_create(module.handle, ctypes.byref(options), ctypes.byref(self.handle)))

    def threads(self):
        return _lib.tw_context_num_threads(self.handle)

    def run(self, inputs):
        """The outputs as copies; `inputs` are arrays in the module's order."""
        for i, array in enumerate(inputs):
            array = np.asarray(array, order="C")
            shape = (ctypes.c_int64 * array.ndim)(*array.shape)
            _check(_lib.tw_context_set_input_shape(self.handle, i, shape, array.ndim))
            _check(_lib.tw_context_set_input(self.handle, i, ctypes.c_void_p(array.ctypes.data),
                                             ctypes.c_size_t(array.nbytes)))
        _check(_lib.tw_context_run(self.handle))
        outputs = []
        for i in range(_lib.tw_module_num_outputs(self.module.handle)):
            view = Tensor()
            _check(_lib.tw_context_get_output(self.handle, i, ctypes.byref(view)))
            data = ctypes.string_at(view.data, view.bytes)
            shape = [view.shape[d] for d in range(view.ndim)]
            outputs.append(np.frombuffer(data, _numpy_type(view)).reshape(shape))
        return outputs

    def close(self):
        if self.handle:
            _lib.tw_context_release(self.handle)
            self.handle = None

    __del__ = close
