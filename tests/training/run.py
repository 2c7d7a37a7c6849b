#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training by compiled code: the example reaches its accuracy, and gradients of the command agree with numpy.
Runs in .venv-test."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "examples/train_digits"))
import make_model  # noqa: E402
import train  # noqa: E402

COMMAND = ROOT / "build/bin/tilewright"
LIBRARY = next((ROOT / "build/lib").glob("libtilewright_runtime.so"), None)


def numpy_gradients(weights, x, labels):
    """Loss and gradients of the perceptron in double precision."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    a = x @ w["w1"] + w["b1"]
    h = np.maximum(a, 0)
    scores = h @ w["w2"] + w["b2"]
    e = np.exp(scores - scores.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(p[rows, labels]).mean()
    g = p.copy()
    g[rows, labels] -= 1
    g /= len(labels)
    back = (g @ w["w2"].T) * (a > 0)
    return loss, {"w1": x.T @ back, "b1": back.sum(0), "w2": h.T @ g, "b2": g.sum(0)}


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.model = cls.folder / "digits.onnx"
        onnx.save(make_model.make_model(), cls.model)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def gradient(self, name, *flags):
        module = self.folder / name
        command = [COMMAND, "gradient", self.model, "--loss", "loss", "-q", "-o", module, *flags]
        subprocess.run(command, check=True)
        return train.Context(LIBRARY, module)

    def feed(self, context, rows):
        random = np.random.default_rng(5)
        weights = make_model.initial_weights()
        for name, value in weights.items():
            context.set(name, value)
        x = random.uniform(0, 1, (rows, make_model.PIXELS)).astype(np.float32)
        labels = random.integers(0, make_model.DIGITS, rows)
        context.set("x", x)
        context.set("labels", labels)
        return weights, x, labels

    def test_gradients_agree_with_numpy_for_any_batch(self):
        context = self.gradient("gradient.so")
        for rows in (7, 1, 64):
            weights, x, labels = self.feed(context, rows)
            context.run()
            loss, gradients = numpy_gradients(weights, x, labels)
            self.assertAlmostEqual(float(context.get("loss")), loss, delta=1e-5)
            for name, want in gradients.items():
                np.testing.assert_allclose(context.get("gradient:" + name), want, rtol=1e-4, atol=1e-6)

    def test_a_step_leaves_the_new_weights_in_the_inputs(self):
        context = self.gradient("step.so", "--sgd", "rate")
        weights, x, labels = self.feed(context, 16)
        context.set("rate", np.float32(0.5))
        current = {name: value.astype(np.float64) for name, value in weights.items()}
        for _ in range(3):
            context.run()
            loss, gradients = numpy_gradients(current, x, labels)
            self.assertAlmostEqual(float(context.get("loss")), loss, delta=1e-4)
            for name in current:
                current[name] = current[name] - 0.5 * gradients[name]
                np.testing.assert_allclose(context.get("next:" + name), current[name], rtol=1e-3, atol=1e-5)

    def test_digits_are_learned(self):
        context = self.gradient("digits.so", "--sgd", "rate")
        accuracy = train.train(context, report=lambda line: None)
        print(f"test accuracy {accuracy:.4f}")
        self.assertGreater(accuracy, 0.95)

    def test_what_cannot_be_differentiated_is_refused_by_name(self):
        command = [COMMAND, "gradient", self.model, "-o", self.folder / "x.so"]
        for flags, text in ((["--loss", "scores"], "TW2205"), (["--loss", "cost"], "TW2204"),
                            (["--loss", "loss", "--wrt", "labels"], "TW2205")):
            found = subprocess.run(command + flags, capture_output=True, text=True)
            self.assertEqual(found.returncode, 1)
            self.assertIn(text, found.stderr)


if __name__ == "__main__":
    unittest.main()
