#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""State of models from run to run, by the command and the C interface: `compile --donate` keeps a cache of keys
in place, and tw_context_feed exchanges memory where nothing is donated. Runs in .venv-test."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "examples/train_digits"))
from train import Context  # noqa: E402

COMMAND = ROOT / "build/bin/tilewright"
LIBRARY = next((ROOT / "build/lib").glob("libtilewright_runtime.so"), None)
STEPS, WIDTH = 256, 16


def cache_model():
    """Writes a row at a position of the cache, and compares all rows with it."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ScatterND", ["cache", "position", "row"], ["next"]),
        helper.make_node("Transpose", ["row"], ["column"], perm=[1, 0]),
        helper.make_node("MatMul", ["next", "column"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "cache",
        [
            info("row", TensorProto.FLOAT, [1, WIDTH]),
            info("position", TensorProto.INT64, [1, 1]),
            info("cache", TensorProto.FLOAT, [STEPS, WIDTH]),
        ],
        [info("scores", TensorProto.FLOAT, [STEPS, 1]), info("next", TensorProto.FLOAT, [STEPS, WIDTH])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class State(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.model = cls.folder / "cache.onnx"
        onnx.save(cache_model(), cls.model)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def compile(self, name, *flags):
        command = [COMMAND, "compile", self.model, "-q", "-o", self.folder / name, *flags]
        return subprocess.run(command, capture_output=True, text=True)

    def decode(self, context, feed):
        library = context.library
        random = np.random.default_rng(3)
        cache = np.zeros((STEPS, WIDTH), np.float32)
        context.set("cache", cache)
        pointers = set()
        for step in range(STEPS):
            row = random.normal(0, 1, (1, WIDTH)).astype(np.float32)
            cache[step] = row
            context.set("row", row)
            context.set("position", np.array([[step]], np.int64))
            context.run()
            np.testing.assert_allclose(context.get("scores"), cache @ row.T, rtol=1e-5, atol=1e-5)
            if step % 51 == 0:
                np.testing.assert_array_equal(context.get("next"), cache)
            if feed:
                context.check(library.tw_context_feed(context.context, 1, 2))
            pointers.add(context.output("next").data)
        return pointers

    def test_a_donated_cache_stays_in_place(self):
        self.assertEqual(self.compile("donated.so", "--donate", "cache=next").returncode, 0)
        context = Context(LIBRARY, self.folder / "donated.so")
        self.assertEqual(context.library.tw_module_donor(context.module, 1), 2)
        self.assertEqual(len(self.decode(context, feed=False)), 1)
        program = subprocess.run([COMMAND, "inspect", self.folder / "donated.so"], capture_output=True, text=True)
        self.assertEqual(program.returncode, 0, program.stderr)

    def test_feeding_exchanges_two_places(self):
        self.assertEqual(self.compile("plain.so").returncode, 0)
        context = Context(LIBRARY, self.folder / "plain.so")
        self.assertEqual(context.library.tw_module_donor(context.module, 1), -1)
        self.assertEqual(len(self.decode(context, feed=True)), 2)

    def test_what_does_not_fit_is_refused(self):
        for pair, text in (("cache=scores", "TW3102"), ("cache=nothing", "TW3102"), ("cache", "TW4002")):
            found = self.compile("refused.so", "--donate", pair)
            self.assertEqual(found.returncode, 1)
            self.assertIn(text, found.stderr)


if __name__ == "__main__":
    unittest.main()
