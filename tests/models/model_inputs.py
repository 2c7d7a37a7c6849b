# SPDX-License-Identifier: Apache-2.0
"""Seeded inputs for a model with static shapes, the same for every engine and every run."""

import zlib

import numpy as np
import onnx

# Integer inputs mean something: by their names, the exclusive upper bound of what models accept.
INTEGER_BOUNDS = {"bytes": 257, "input_ids": 30522, "tokens": 10000, "u8": 256}


def input_types(model):
    """Name to (numpy dtype, shape) of what a caller must give: the graph's inputs without a default."""
    defaults = {tensor.name for tensor in model.graph.initializer}
    types = {}
    for value in model.graph.input:
        if value.name not in defaults:
            tensor = value.type.tensor_type
            shape = tuple(dim.dim_value for dim in tensor.shape.dim)
            if 0 in shape:
                raise ValueError(f"input {value.name} has no static shape: {tensor.shape.dim}")
            types[value.name] = (onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type), shape)
    return types


def _draw(generator, dtype, shape, bound):
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, bound, shape).astype(dtype)


def seeded_inputs(path, count=1):
    """Sets of inputs by name: normal values for floating point, uniform ones for integers; the model's name seeds."""
    generator = np.random.default_rng(zlib.crc32(path.stem.encode()))
    types = input_types(onnx.load(path, load_external_data=False))
    return [{name: _draw(generator, dtype, shape, INTEGER_BOUNDS.get(name, 2)) for name, (dtype, shape) in types.items()}
            for _ in range(count)]
