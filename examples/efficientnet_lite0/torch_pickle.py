# SPDX-License-Identifier: Apache-2.0
"""Reads a PyTorch state dict of the old, un-zipped form into numpy arrays, without torch.

Such a file is a row of pickles: a magic number, a protocol version, facts of the writing system,
the object itself, the keys of its storages; then the storages, each as a count (int64) and the raw
elements, in the order of the keys. The object refers to a storage by a persistent id.

A pickle may name any function to be called. This reader resolves three names and refuses all
others, so that a hostile file can make it fail but not make it run anything.
"""

import collections
import dataclasses
import pickle

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGE_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclasses.dataclass(frozen=True)
class _View:
    """A tensor as the pickle describes it: a strided window of a storage (counts in elements)."""

    key: str
    offset: int
    shape: tuple
    strides: tuple


def _rebuild_tensor(storage_key, offset, shape, strides, *_):
    return _View(storage_key, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file)
        self.dtypes = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        raise pickle.UnpicklingError(f"the file names {module}.{name}, which no state dict of tensors needs")

    def persistent_load(self, reference):
        kind, dtype, key = reference[:3]
        if kind != "storage":
            raise pickle.UnpicklingError(f"unknown reference of kind {kind!r}")
        self.dtypes[key] = dtype
        return key


def _read_storage(file, dtype):
    count = int.from_bytes(file.read(8), "little", signed=True)
    data = file.read(count * dtype.itemsize) if count >= 0 else b""
    if count < 0 or len(data) != count * dtype.itemsize:
        raise ValueError(f"the file is cut short: a storage of {count} elements has {len(data)} bytes")
    return np.frombuffer(data, dtype)


def _view(storage, view):
    last = view.offset + sum((n - 1) * step for n, step in zip(view.shape, view.strides))
    if view.offset < 0 or min(view.strides, default=0) < 0 or last >= storage.size:
        raise ValueError(f"a tensor reaches beyond its storage of {storage.size} elements: {view}")
    steps = [step * storage.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(storage[view.offset:], view.shape, steps, writeable=False)


def load(path):
    """The tensors of the state dict at `path`, by name, as read-only arrays."""
    with open(path, "rb") as file:
        if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != PROTOCOL:
            raise ValueError(f"{path} is not a PyTorch file of the un-zipped form")
        system = _Unpickler(file).load()
        if not system["little_endian"]:
            raise ValueError(f"{path} was written on a big-endian machine, which this reader does not support")
        unpickler = _Unpickler(file)
        views = unpickler.load()
        storages = {key: _read_storage(file, unpickler.dtypes[key]) for key in _Unpickler(file).load()}
    return {name: _view(storages[view.key], view) for name, view in views.items()}
