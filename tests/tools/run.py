#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the Python tools that other tests and the benchmarks rely on. Runs in .venv-test."""

import collections
import importlib
import importlib.util
import pathlib
import pickle
import re
import sys
import tempfile
import types
import unittest
from importlib.machinery import SourceFileLoader

import numpy as np
import onnx
import onnx.backend.test.case.node
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
for folder in ("benchmarks", "examples/efficientnet_lite0", "tests/models"):
    sys.path.insert(0, str(ROOT / folder))
import double_precision  # noqa: E402
import flops  # noqa: E402
import make_model  # noqa: E402
import model_inputs  # noqa: E402
import torch_pickle  # noqa: E402


def load_script(name):
    """A script without the ending .py, as a module."""
    loader = SourceFileLoader(name.replace("-", "_"), str(ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


fetch_models = load_script("fetch-models")


class Hostile:
    """Pickles to a call of a function that no state dict needs."""

    def __reduce__(self):
        return print, ("called",)


class Storage:
    """Stands for a PyTorch storage: pickles to the reference that torch would write."""

    def __init__(self, key, count):
        self.reference = ("storage", sys.modules["torch"].FloatStorage, key, "cpu", count, None)


class View:
    """Stands for a PyTorch tensor: pickles to the call that would make it."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def stand_in(module, name):
    """Makes `name` importable from an empty module of that name, so that it can be pickled without torch."""
    item = type(name, (), {"__module__": module})
    sys.modules[module] = types.ModuleType(module)
    setattr(sys.modules[module], name, item)


stand_in("torch", "FloatStorage")
stand_in("torch._utils", "_rebuild_tensor_v2")


class StatePickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.reference if isinstance(obj, Storage) else None


def write_state(path, state, storages):
    with open(path, "wb") as file:
        for head in (torch_pickle.MAGIC, torch_pickle.PROTOCOL, {"little_endian": True}):
            pickle.dump(head, file, 2)
        StatePickler(file, 2).dump(state)
        pickle.dump(list(storages), file, 2)
        for values in storages.values():
            file.write(len(values).to_bytes(8, "little") + np.asarray(values, "<f4").tobytes())


class TorchPickleTest(unittest.TestCase):
    def load(self, state, storages, cut=0):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "state.pth"
            write_state(path, state, storages)
            if cut:
                path.write_bytes(path.read_bytes()[:-cut])
            return torch_pickle.load(path)

    def test_reads_strided_views(self):
        state = collections.OrderedDict(
            whole=View(Storage("7", 6), 0, (2, 3), (3, 1), False), column=View(Storage("7", 6), 1, (2,), (3,), False))
        tensors = self.load(state, {"7": np.arange(6)})
        np.testing.assert_array_equal(tensors["whole"], [[0, 1, 2], [3, 4, 5]])
        np.testing.assert_array_equal(tensors["column"], [1, 4])

    def test_refuses_other_names(self):
        with self.assertRaisesRegex(pickle.UnpicklingError, "__builtin__.print"):
            self.load({"a": Hostile()}, {})

    def test_refuses_a_view_beyond_its_storage(self):
        with self.assertRaisesRegex(ValueError, "beyond its storage"):
            self.load({"a": View(Storage("7", 6), 1, (2, 3), (3, 1), False)}, {"7": np.arange(6)})

    def test_refuses_a_cut_file(self):
        with self.assertRaisesRegex(ValueError, "cut short"):
            self.load({"a": View(Storage("7", 6), 0, (6,), (1,), False)}, {"7": np.arange(6)}, cut=4)


class SamePaddingTest(unittest.TestCase):
    def test_puts_the_odd_element_behind(self):
        self.assertEqual(make_model.same_padding(224, 3, 2), (0, 1))
        self.assertEqual(make_model.same_padding(112, 5, 2), (1, 2))
        self.assertEqual(make_model.same_padding(7, 3, 2), (1, 1))
        self.assertEqual(make_model.same_padding(56, 1, 1), (0, 0))


class DoublePrecisionTest(unittest.TestCase):
    """Our operators on ONNX's own cases, whose expected results are given."""

    def test_agrees_with_the_cases_of_onnx(self):
        operators = {operator.__name__: operator for operator in double_precision._OPERATORS}
        ran = collections.Counter()
        # Importing a family makes its cases; collecting all of onnx's takes a minute.
        for family in ("averagepool", "batch_normalization", "conv", "convtranspose", "globalmaxpool", "hardswish",
                       "lstm", "maxpool"):
            importlib.import_module(f"onnx.backend.test.case.node.{family}")
        for case in onnx.backend.test.case.node._NodeTestCases:
            nodes = case.model.graph.node
            if len(nodes) != 1 or nodes[0].op_type not in operators:
                continue
            if len(nodes[0].output) > 1 and nodes[0].op_type != "LSTM":  # the others give their first result alone
                continue
            if case.model.graph.input[0].type.tensor_type.elem_type != TensorProto.FLOAT:
                continue
            evaluator = ReferenceEvaluator(case.model, new_ops=list(operators.values()))
            for inputs, outputs in case.data_sets:
                try:
                    found = evaluator.run(None, dict(zip(evaluator.input_names, inputs)))
                except NotImplementedError:
                    continue
                with self.subTest(case.name):
                    for result, expected in zip(found, outputs, strict=True):
                        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
                ran[nodes[0].op_type] += 1
        self.assertEqual(set(ran), set(operators), "an operator ran no case")


class FlopsTest(unittest.TestCase):
    def count(self, node, shapes, output):
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        result = helper.make_tensor_value_info("y", TensorProto.FLOAT, output)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.onnx"
            onnx.save(helper.make_model(helper.make_graph([node], "g", inputs, [result])), path)
            return flops.count(path)

    def test_counts_each_kind(self):
        conv = helper.make_node("Conv", ["x", "w"], ["y"], group=2)
        self.assertEqual(self.count(conv, {"x": [1, 4, 8, 8], "w": [6, 2, 3, 3]}, [1, 6, 6, 6]), 2 * 6 * 36 * 18)
        transposed = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
        self.assertEqual(self.count(transposed, {"x": [1, 4, 8, 8], "w": [4, 3, 2, 2]}, [1, 3, 16, 16]), 2 * 256 * 12)
        gemm = helper.make_node("Gemm", ["a", "b"], ["y"], transA=1)
        self.assertEqual(self.count(gemm, {"a": [5, 3], "b": [5, 7]}, [3, 7]), 2 * 3 * 5 * 7)
        matmul = helper.make_node("MatMul", ["a", "b"], ["y"])
        self.assertEqual(self.count(matmul, {"a": [2, 3, 5], "b": [5, 7]}, [2, 3, 7]), 2 * 2 * 3 * 5 * 7)


class ModelTableTest(unittest.TestCase):
    def test_rows_are_complete(self):
        table = fetch_models.read_table()
        for row in table.values():
            with self.subTest(row.name):
                self.assertRegex(row.sha256, re.compile(r"^[0-9a-f]{64}$"))
                self.assertIn(row.registry, ("pypi", "npm", "maven"))
                self.assertTrue(set(row.sets.split(",")) <= {"demo", "test", "extra"}, row.sets)
                self.assertTrue(row.licence)
        files = [row.file for row in table.values()]
        self.assertEqual(len(files), len(set(files)))


class SeededInputsTest(unittest.TestCase):
    def test_leaves_out_initialisers_and_repeats(self):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"])], "g",
            [value("x", TensorProto.FLOAT, [2, 3]), value("w", TensorProto.FLOAT, [3])],
            [value("y", TensorProto.FLOAT, [2, 3])], [helper.make_tensor("w", TensorProto.FLOAT, [3], [1, 2, 3])])
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.onnx"
            onnx.save(helper.make_model(graph), path)
            first, second = model_inputs.seeded_inputs(path, 2)
            again = model_inputs.seeded_inputs(path)[0]
        self.assertEqual(first.keys(), {"x"})
        np.testing.assert_array_equal(first["x"], again["x"])
        self.assertFalse(np.array_equal(first["x"], second["x"]))


if __name__ == "__main__":
    unittest.main()
