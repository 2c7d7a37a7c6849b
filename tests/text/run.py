#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the text form of the IR to whole models, through the tilewright command.

- After import and after fusion, the text of every model in build/models reads back: compiling it up to the
  same point writes the same text, byte for byte, and the same constants beside it.
- Of smaller models, the module compiled from either text is the one that is compiled from the model file.
- A failing compile writes a reproducer that fails in the same way, and the flags around passes know names.

Runs in .venv-test or any other Python; `make models` puts the models into build/models.
"""

import argparse
import filecmp
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND = ROOT / "build" / "bin" / "tilewright"
MODELS = ROOT / "build" / "models"

# Modules are compared for models below this size, so that the suite stays short.
COMPARED_BYTES = 20e6

# A kernel whose schedule asks for what cannot be done: a register is indexed by a variable.
FAILING_KERNEL = """
primfunc @dynamic(out: f32[8]) outputs(1) scheduled {
  block "root" {
    alloc acc: f32[8] scope "register"
    for i in 0..8 {
      block "fill" (v: spatial 0..8 = i) {
        writes acc[v]
        acc[v] = 1f32
      }
    }
    for j in 0..8 {
      block "copy" (v: spatial 0..8 = j) {
        reads acc[v]
        writes out[v]
        out[v] = acc[v]
      }
    }
  }
}
"""

# No shape of an input tells what n and m are.
FAILING_GRAPH = """
symbol n in [1, 64]
symbol m
graph @main(%x: f32[n + m, 8]) -> ("y") {
  %w: f32[8] = constant [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
  %y: f32[n + m, 8] "last" = Mul(%x, %w)
  return %y
}
"""

GRAPH = FAILING_GRAPH.replace("symbol n in [1, 64]\nsymbol m\n", "").replace("[n + m, 8]", "[2, 8]")


def tilewright(*arguments):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=600)


class TextTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def run_well(self, *arguments):
        done = tilewright(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return done.stdout

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


class ModelsTest(TextTest):
    def round_trip(self, model, phase):
        first, again = self.folder / "first.tw", self.folder / "again.tw"
        self.run_well("compile", model, "--stop-after", phase, "--emit", "graph", "-o", first)
        # What is written goes on with the next pass, so that it is there at once.
        start = "BindParameters" if phase == "import" else "LowerFunctions"
        self.assertIn(f'start_at = "{start}"', first.read_text())
        self.run_well("compile", first, "--stop-after", phase, "--emit", "graph", "-o", again)
        self.assertEqual(first.read_text(), again.read_text().replace("again.tw.data", "first.tw.data"))
        first_data, again_data = (pathlib.Path(f"{path}.data") for path in (first, again))
        self.assertEqual(first_data.exists(), again_data.exists())
        if first_data.exists():
            self.assertTrue(filecmp.cmp(first_data, again_data, shallow=False))
        if model.stat().st_size > COMPARED_BYTES:
            return
        (self.folder / "a").mkdir(exist_ok=True)
        (self.folder / "b").mkdir(exist_ok=True)
        whole, rest = self.folder / "a" / "m.so", self.folder / "b" / "m.so"
        for source, module in ((model, whole), (first, rest)):
            self.run_well("compile", source, "-o", module, "-q")
        outputs = []
        for module in (whole, rest):
            out = module.with_suffix(".out")
            self.run_well("run", module, "--output-dir", out)
            outputs.append({path.name: path.read_bytes() for path in out.iterdir()})
        self.assertEqual(*outputs)


def add_model_tests():
    models = sorted(MODELS.glob("*.onnx"))
    if not models:
        raise SystemExit(f"no models in {MODELS}; run `make models`")
    for model in models:
        for phase in ("import", "fuse"):
            test = lambda self, model=model, phase=phase: self.round_trip(model, phase)
            setattr(ModelsTest, f"test_{model.stem}_{phase}", test)


class ReproducerTest(TextTest):
    def fails_again(self, text, error, start):
        source, reproducer = self.write("source.tw", text), self.folder / "failed.tw"
        first = tilewright("compile", source, "--reproducer", reproducer)
        self.assertEqual(first.returncode, 1, first.stderr)
        self.assertIn(error, first.stderr)
        self.assertIn(f"tilewright compile {reproducer}", first.stderr)
        self.assertIn(f'start_at = "{start}"', reproducer.read_text())
        again = tilewright("compile", reproducer)
        self.assertEqual(again.returncode, 1)
        self.assertEqual(again.stderr, first.stderr.split("\n", 1)[1])

    def test_of_a_kernel(self):
        self.fails_again(FAILING_KERNEL, "error[TW1301]", "PromoteRegisters")

    def test_of_a_graph(self):
        self.fails_again(FAILING_GRAPH, "error[TW3101]", "LowerFunctions")

    def test_is_for_the_users_errors_only_when_asked(self):
        done = tilewright("compile", self.write("source.tw", FAILING_KERNEL))
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("to run it again", done.stderr)


class FlagsTest(TextTest):
    def test_every_pass_prints_and_stops(self):
        model = self.write("graph.tw", GRAPH)
        passes = ("BindParameters", "FuseOps", "LowerFunctions", "Schedule", "VectorizeLoops", "GenerateCode")
        for name in passes:
            out = self.run_well("compile", model, "--print-after", name, "--stop-after", name)
            self.assertTrue(out.startswith(f"# after {name}\n"), out)
            expected = "define" if name == "GenerateCode" else "graph" if name in passes[:2] else "primfunc"
            self.assertIn(expected, out)
        out = self.run_well("compile", model, "--print-after", "SimplifyFunc")
        self.assertEqual(out.count("# after SimplifyFunc"), 4)
        out = self.run_well("compile", model, "--print-after", "fuse")
        self.assertIn("# after fuse\n", out)

    def test_unknown_names_are_refused_with_the_list(self):
        model = self.write("graph.tw", GRAPH)
        for flag in ("--print-after", "--stop-after"):
            done = tilewright("compile", model, flag, "Fuze")
            self.assertEqual(done.returncode, 2)
            self.assertIn("there is no 'Fuze'", done.stderr)
            for name in ("fuse", "FuseOps", "SimplifyFunc.2", "PlaceWorkspaces"):
                self.assertIn(name, done.stderr)

    def test_kernels_compile_alone(self):
        model = self.write("graph.tw", GRAPH)
        kernel = self.write("kernel.tw", self.run_well("compile", model, "--emit", "tir"))
        assembly = self.run_well("compile", kernel, "--emit", "asm")
        self.assertEqual(assembly, self.run_well("compile", model, "--emit", "asm"))
        done = tilewright("run", kernel)
        self.assertEqual((done.returncode, "TW4008" in done.stderr), (1, True), done.stderr)
        done = tilewright("compile", kernel, "-o", self.folder / "kernel.so")
        self.assertEqual((done.returncode, "TW4003" in done.stderr), (1, True), done.stderr)

    def test_a_text_runs(self):
        model = self.write("graph.tw", GRAPH)
        self.assertIn("y: f32[2, 8]", self.run_well("run", model))
        self.assertIn("operators: Mul 1\n", self.run_well("inspect", model))

    def test_dumps_are_numbered(self):
        self.run_well("compile", self.write("graph.tw", GRAPH), "--dump-dir", self.folder / "dump")
        names = sorted(path.name for path in (self.folder / "dump").iterdir())
        self.assertEqual([int(name[:2]) for name in names], list(range(1, len(names) + 1)))
        self.assertEqual(len({name[3:] for name in names}), len(names))

    def test_times_list_every_pass(self):
        out = self.run_well("compile", self.write("graph.tw", GRAPH), "--times")
        for name in ("BindParameters", "Schedule", "SimplifyFunc.3", "GenerateCode", "PrepareConstants"):
            self.assertIn(f"  {name}\n", out)

    def test_flags_that_do_not_fit(self):
        model = self.write("graph.tw", GRAPH)
        for flags in (["--dim", "n=2"], ["--emit", "graph", "--stop-after", "schedule"],
                      ["--emit", "tir", "--stop-after", "fuse"]):
            done = tilewright("compile", model, *flags)
            self.assertEqual((done.returncode, "TW4002" in done.stderr), (1, True), done.stderr)

    def test_unknown_dimensions_are_named(self):
        model = MODELS / "magika.onnx"
        done = tilewright("compile", model, "-o", self.folder / "m.so", "--dim", "nothing=3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("TW2019", done.stderr)
        self.assertIn("no symbolic dimension 'nothing'", done.stderr)

    def test_labels_that_cannot_be_read(self):
        done = tilewright("run", self.write("graph.tw", GRAPH), "--labels", self.folder / "missing")
        self.assertEqual((done.returncode, "TW1007" in done.stderr), (1, True), done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", help="tests whose name contains this")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if not COMMAND.exists():
        raise SystemExit(f"{COMMAND} is not built; run `make build`")
    add_model_tests()
    loader = unittest.TestLoader()
    if options.only:
        loader.testNamePatterns = [f"*{options.only}*"]
    suite = loader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2 if options.verbose else 1).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
