#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiled modules: damage is found before anything is loaded, compiling and running are reproducible, threads share.

- Of a small module, every truncation and every changed byte ends in an error with an id; changes of parameters do
  where they are asked to be verified. What may change unnoticed are the zeros between sections. No load takes more
  than five seconds, or more memory than four times the file and 256 MB.
- The same model, options and version give the same bytes, whatever the folder and the number of processors, and
  with the kernel cache or without; results
  are bitwise equal between runs and between one thread and two.
- Two modules in one process, one module from sixteen threads, a fork after use, a process bound to one processor, a
  container limited to the time of one.
- A model whose external data are larger than two gigabytes.

  .venv-test/bin/python tests/modules/run.py [--only PATTERN] [--verbose]
"""

import argparse
import concurrent.futures
import contextlib
import functools
import mmap
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from runtime import LIBRARY, Context, Module, RuntimeFailure

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "build/bin/tilewright"
MODELS = ROOT / "build/models"

# Whole models of which compiling and running is repeated: convolutions, large products, recurrent parts, byte inputs.
REPEATED = ["efficientnet_lite0", "magika", "mlp", "orientation", "wakeword"]

# The default is the machine with the processors that the process may use, which would differ.
FLAGS = ["--target", "host,cores=2"]

MOST_SECONDS = 5
SPARE_BYTES = 256e6


def tilewright(*arguments, **options):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=600, **options)


def small_model():
    """A convolution, a pooling and a product: kernels, parameters and a few instructions."""
    numbers = np.random.default_rng(5)
    weights = {"w": (4, 2, 3, 3), "fc": (16, 3)}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
         helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", "fc"], ["y"])], "small",
        [helper.make_tensor_value_info("x", 1, [1, 2, 4, 4])], [helper.make_tensor_value_info("y", 1, [1, 3])],
        [numpy_helper.from_array(numbers.uniform(-1, 1, shape).astype(np.float32), n) for n, shape in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class ModuleTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="tilewright-modules-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def compile(self, model, name="module.so", *flags, **options):
        path = self.folder / name
        done = tilewright("compile", model, "-o", path, "-q", *flags, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def small_module(self, name="module.so"):
        onnx.save(small_model(), self.folder / "small.onnx")
        return self.compile(self.folder / "small.onnx", name)


def in_child(work, *arguments):
    """The result of `work` in a process of its own, whose death is an error here."""
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        return pool.submit(work, *arguments).result()


def load_outcome(path, verify):
    """The id of the error, or "loaded"; what computes for too long is an error (the machine may have other work)."""
    begin = time.process_time()
    try:
        Module(path, verify).close()
        outcome = "loaded"
    except RuntimeFailure as failure:
        outcome = str(failure).split(":", 1)[0]
    assert time.process_time() - begin < MOST_SECONDS, f"{outcome} took more than {MOST_SECONDS} s"
    return outcome


def outcomes_of_changes(path, verify, flips):
    """Outcome by position and flip, and by how much the process grew."""
    outcomes = {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        for at in range(len(data)):
            for flip in flips:
                data[at] ^= flip
                outcomes[at, flip] = load_outcome(path, verify)
                data[at] ^= flip
    return outcomes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def outcomes_of_truncations(path):
    """Outcome by length. The file is gone afterwards."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = {}
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        outcomes[length] = load_outcome(path, False)
    return outcomes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


class DamageTest(ModuleTest):
    def assert_small(self, grown, size):
        self.assertLess(grown, 4 * size + SPARE_BYTES)

    def assert_ids(self, outcomes):
        self.assertEqual({o for o in outcomes if not o.startswith("TW5")}, set())

    def test_every_truncation_is_refused(self):
        path = self.small_module()
        size = path.stat().st_size
        outcomes, grown = in_child(outcomes_of_truncations, path)
        self.assertEqual(len(outcomes), size)
        self.assert_ids(outcomes.values())
        self.assert_small(grown, size)

    def test_every_changed_byte_is_refused_or_between_sections(self):
        path = self.small_module()
        original = path.read_bytes()
        outcomes, grown = in_child(outcomes_of_changes, path, True, (0x01, 0x80, 0xFF))
        self.assertEqual(path.read_bytes(), original)
        accepted = sorted({at for (at, _), outcome in outcomes.items() if outcome == "loaded"})
        self.assert_ids(o for o in outcomes.values() if o != "loaded")
        self.assert_small(grown, len(original))
        # Gaps are zeros up to where a section may begin, and reserved fields; most of the file is neither.
        self.assertEqual({original[at] for at in accepted}, {0})
        self.assertLess(sum(original[at] == 0 for at in accepted), sum(byte == 0 for byte in original))
        ends = [at + 1 for at in accepted if at + 1 not in set(accepted)]
        self.assertEqual([end for end in ends if end % 64 and end + 64 < len(original)], [])

    def test_parameters_are_verified_when_asked(self):
        path = self.small_module()
        original = path.read_bytes()
        outcomes, _ = in_child(outcomes_of_changes, path, False, (0x10,))
        unnoticed = [at for (at, _), outcome in outcomes.items() if outcome == "loaded" and original[at]]
        self.assertGreater(len(unnoticed), 4 * 16 * 3 // 2)  # most bytes of the weights, which are not zero
        damaged = bytearray(original)
        damaged[unnoticed[0]] ^= 0x10
        path.write_bytes(damaged)
        Module(path).close()
        with self.assertRaisesRegex(RuntimeFailure, "^TW5"):
            Module(path, verify=True)
        for command in ("run", "inspect"):
            self.assertEqual(tilewright(command, path).returncode, 0)
            self.assertIn("error[TW5", tilewright(command, path, "--verify").stderr)

    def test_the_command_says_so(self):
        path = self.small_module()
        original = path.read_bytes()
        for at in np.linspace(8, len(original) - 1, 12).astype(int):
            path.write_bytes(original[:at])
            for command in ("run", "inspect", "bench"):
                done = tilewright(command, path)
                self.assertEqual((done.returncode, "error[TW" in done.stderr), (1, True), f"{at}: {done.stderr}")


class ReproducibleTest(ModuleTest):
    def inputs_of(self, module):
        numbers = np.random.default_rng(1)
        arrays = []
        for _, dtype, shape in module.inputs():
            shape = [d if d > 0 else 3 for d in shape]
            arrays.append(numbers.standard_normal(shape).astype(dtype) if dtype.kind == "f"
                          else numbers.integers(0, 5, shape).astype(dtype))
        return arrays

    def check_model(self, name):
        model = MODELS / f"{name}.onnx"
        if not model.exists():
            self.fail(f"{model} is not there; run `make models`")
        first = self.compile(model, "first.so", "--no-cache", *FLAGS)
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        shutil.copy(model, elsewhere)
        one = min(os.sched_getaffinity(0))
        bound = self.compile(elsewhere / model.name, "second.so", "--no-cache", *FLAGS, cwd=elsewhere,
                             env=os.environ | {"TZ": "Asia/Tokyo"}, preexec_fn=lambda: os.sched_setaffinity(0, {one}))
        self.assertTrue(first.read_bytes() == bound.read_bytes(), "the module differs from compile to compile")
        cache = os.environ | {"TILEWRIGHT_CACHE_DIR": str(self.folder / "cache")}
        for turn in ("cold", "warm"):
            cached = self.compile(model, "cached.so", *FLAGS, env=cache)
            self.assertTrue(first.read_bytes() == cached.read_bytes(), f"the module differs with a {turn} cache")
        self.assertGreater(len(list((self.folder / "cache").iterdir())), 0)
        module = Module(first)
        inputs = self.inputs_of(module)
        results = []
        for threads in (1, 2, 2, 1):
            context = Context(module, threads)
            for _ in range(2):
                results.append([y.tobytes() for y in context.run(inputs)])
        self.assertTrue(all(r == results[0] for r in results), "results differ between runs or numbers of threads")


for name in REPEATED:
    setattr(ReproducibleTest, f"test_{name}", lambda self, name=name: self.check_model(name))


def run_in_fork(context, inputs, expected):
    """The exit status of a child that uses what its parent loaded: 0 where it computes the same."""
    child = os.fork()
    if child == 0:
        same = [y.tobytes() for y in context.run(inputs)] == expected
        os._exit(0 if same else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def threads_of_this_process():
    return len(os.listdir("/proc/self/task"))


def bind_to_one_processor():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def join(group):
    (group / "cgroup.procs").write_text(str(os.getpid()))


@contextlib.contextmanager
def one_processor_group():
    """A control group that may use one processor's time, however many there are: a container with that limit.
    unittest.SkipTest where this process may not make one, of either version."""
    for mount, limits in ((Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}),
                          (Path("/sys/fs/cgroup"), {"cpu.max": "100000 100000"})):
        group = mount / f"tilewright-modules-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for name, value in limits.items():
                (group / name).write_text(value)
        except OSError:
            group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    raise unittest.SkipTest("no control group can be made here; runtime_test reads made-up ones")


def on_one_processor(path, inputs, limit):
    """Threads that a context takes by default and that the process then has, after `limit`; and the outputs."""
    limit()
    context = Context(Module(path))
    outputs = context.run(inputs)
    return context.threads(), threads_of_this_process(), [y.tobytes() for y in outputs]


def sixteen_threads(path, inputs):
    """Results of sixteen threads that share a module, each with a context of its own, and the process's threads."""
    module = Module(path)

    def work(_):
        context = Context(module, 2)
        return {tuple(y.tobytes() for y in context.run(inputs)) for _ in range(8)}

    before = threads_of_this_process()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = set().union(*pool.map(work, range(16)))
        during = threads_of_this_process()
    return results, during - before


class ThreadsTest(ModuleTest):
    def setUp(self):
        super().setUp()
        os.environ.pop("TILEWRIGHT_NUM_THREADS", None)
        self.path = self.compile(MODELS / "mlp.onnx", "mlp.so")
        module = Module(self.path)
        numbers = np.random.default_rng(2)
        self.inputs = [numbers.standard_normal(shape).astype(dtype) for _, dtype, shape in module.inputs()]
        self.expected = [y.tobytes() for y in Context(module, 1).run(self.inputs)]

    def test_two_modules_in_one_process(self):
        other = Module(self.small_module("other.so"))
        x = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4)
        alone = Context(other, 1).run([x])[0].tobytes()
        contexts = Context(Module(self.path), 2), Context(other, 2)
        for _ in range(20):
            self.assertEqual([y.tobytes() for y in contexts[0].run(self.inputs)], self.expected)
            self.assertEqual(contexts[1].run([x])[0].tobytes(), alone)

    def test_one_module_from_sixteen_threads(self):
        results, started = in_child(sixteen_threads, self.path, self.inputs)
        self.assertEqual(results, {tuple(self.expected)})
        # The sixteen, and the one worker that contexts of two threads need together.
        self.assertLessEqual(started, 17)

    def test_fork_after_use(self):
        context = Context(Module(self.path), 2)
        self.assertEqual([y.tobytes() for y in context.run(self.inputs)], self.expected)
        for _ in range(3):
            self.assertEqual(run_in_fork(context, self.inputs, self.expected), 0)
        self.assertEqual([y.tobytes() for y in context.run(self.inputs)], self.expected)

    def check_one_processor(self, limit):
        threads, all_threads, outputs = in_child(on_one_processor, self.path, self.inputs, limit)
        self.assertEqual((threads, outputs), (1, self.expected))
        self.assertLessEqual(all_threads, 2)  # Python's process pool may have one of its own

    def test_bound_to_one_processor(self):
        self.check_one_processor(bind_to_one_processor)

    def test_container_of_one_processor(self):
        with one_processor_group() as group:
            self.check_one_processor(functools.partial(join, group))


class LargeDataTest(ModuleTest):
    def test_external_data_beyond_two_gigabytes(self):
        rows, columns, start = 600_000_000, 4, 1 << 31
        data = self.folder / "weights.bin"
        with open(data, "wb") as file:  # sparse: only its ends take room
            file.truncate(start + rows * 4)
            file.seek(start + (rows - columns) * 4)
            file.write(np.arange(1, columns + 1, dtype=np.float32).tobytes())
        tail = onnx.TensorProto(name="tail", data_type=1, dims=[columns], data_location=1)
        whole = onnx.TensorProto(name="whole", data_type=1, dims=[rows], data_location=1)
        for tensor, offset, count in ((tail, start + (rows - columns) * 4, columns), (whole, start, rows)):
            for key, value in (("location", data.name), ("offset", offset), ("length", count * 4)):
                tensor.external_data.add(key=key, value=str(value))
        graph = helper.make_graph([helper.make_node("Add", ["x", "tail"], ["y"])], "large",
                                  [helper.make_tensor_value_info("x", 1, [columns])],
                                  [helper.make_tensor_value_info("y", 1, [columns])], [tail, whole])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (self.folder / "large.onnx").write_bytes(model.SerializeToString())
        path = self.compile(self.folder / "large.onnx")
        result = Context(Module(path), 1).run([np.zeros(columns, np.float32)])[0]
        self.assertEqual(result.tolist(), [1, 2, 3, 4])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", help="tests whose name contains this")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    loader = unittest.TestLoader()
    if options.only:
        loader.testNamePatterns = [f"*{options.only}*"]
    result = unittest.TextTestRunner(verbosity=2 if options.verbose else 1).run(
        loader.loadTestsFromModule(sys.modules[__name__]))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    for needed in (COMMAND, LIBRARY):
        if not needed.exists():
            sys.exit(f"modules: {needed} is not there; build it first (make build)")
    sys.exit(main())
