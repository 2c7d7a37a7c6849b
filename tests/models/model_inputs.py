# SPDX-License-Identifier: Apache-2.0
"""Seeded inputs for a model with static shapes, the same for every engine and every run."""

import zlib

import numpy as np
import onnx

# Integer inputs mean something: the exclusive upper bound of what the model accepts.
INTEGER_BOUNDS = {"magika": 257}


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


def seeded_inputs(path):
    """Normal values for floating-point inputs, uniform ones for integers; drawn from the model's name."""
    generator = np.random.default_rng(zlib.crc32(path.stem.encode()))
    inputs = {}
    for name, (dtype, shape) in input_types(onnx.load(path, load_external_data=False)).items():
        if np.issubdtype(dtype, np.floating):
            inputs[name] = generator.standard_normal(shape).astype(dtype)
        else:
            inputs[name] = generator.integers(0, INTEGER_BOUNDS.get(path.stem, 2), shape).astype(dtype)
    return inputs
