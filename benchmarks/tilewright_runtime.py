# SPDX-License-Identifier: Apache-2.0
"""The part of tilewright.h that running a compiled module takes, through ctypes, for tensors on the host."""

import ctypes

import numpy as np


class _DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _TensorInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", _DataType), ("ndim", ctypes.c_int32),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("dim_symbols", ctypes.POINTER(ctypes.c_char_p))]


class _Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t), ("dtype", _DataType),
                ("ndim", ctypes.c_int32), ("shape", ctypes.POINTER(ctypes.c_int64))]


class _ContextOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("num_threads", ctypes.c_int32), ("profile", ctypes.c_int32)]


_KINDS = {0: "int", 1: "uint", 2: "float", 6: "bool"}  # DLDataTypeCode


def _numpy_dtype(dtype):
    kind = _KINDS[dtype.code]
    return np.dtype(np.bool_ if kind == "bool" else f"{kind}{dtype.bits}")


class Module:
    """A compiled module with one context: named inputs in, outputs copied out."""

    def __init__(self, library_path, module_path, threads=0):
        self._library = ctypes.CDLL(str(library_path))
        self._library.tw_last_error.restype = ctypes.c_char_p
        self._library.tw_context_memory_bytes.restype = ctypes.c_size_t
        self._module, self._context = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("tw_module_load", str(module_path).encode(), None, ctypes.byref(self._module))
        options = _ContextOptions(ctypes.sizeof(_ContextOptions), threads, 0)
        self._call("tw_context_create", self._module, ctypes.byref(options), ctypes.byref(self._context))
        self.inputs = [self._name("input", i) for i in range(self._library.tw_module_num_inputs(self._module))]
        self.outputs = [self._name("output", i) for i in range(self._library.tw_module_num_outputs(self._module))]

    def _call(self, function, *arguments):
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            raise RuntimeError(f"{function}: {self._library.tw_last_error().decode()}")

    def _name(self, side, index):
        info = _TensorInfo()
        self._call(f"tw_module_{side}_info", self._module, index, ctypes.byref(info))
        return info.name.decode()

    def set_input(self, name, array):
        array, index = np.ascontiguousarray(array), self.inputs.index(name)
        self._call("tw_context_set_input_shape", self._context, index,
                   (ctypes.c_int64 * array.ndim)(*array.shape), array.ndim)
        self._call("tw_context_set_input", self._context, index,
                   array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes))

    def run(self):
        if self._library.tw_context_run(self._context) != 0:
            raise RuntimeError(f"tw_context_run: {self._library.tw_last_error().decode()}")

    def output(self, name):
        tensor = _Tensor()
        self._call("tw_context_get_output", self._context, self.outputs.index(name), ctypes.byref(tensor))
        shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
        dtype = _numpy_dtype(tensor.dtype)
        data = ctypes.string_at(tensor.data, tensor.bytes)
        return np.frombuffer(data, dtype).reshape(shape)

    def outputs_for(self, inputs):
        """Outputs by name of one run on inputs by name."""
        for name, array in inputs.items():
            self.set_input(name, array)
        self.run()
        return {name: self.output(name) for name in self.outputs}

    def close(self):
        """Frees the context and the module."""
        self._library.tw_context_release(self._context)
        self._library.tw_module_release(self._module)
        self._module, self._context = ctypes.c_void_p(), ctypes.c_void_p()

    def memory_bytes(self):
        """What the context has allocated."""
        return self._library.tw_context_memory_bytes(self._context)
