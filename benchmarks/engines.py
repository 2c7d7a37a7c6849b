# SPDX-License-Identifier: Apache-2.0
"""The engines that compare.py compares. Each loads one model for a number of threads, takes its inputs once,
runs as often as asked and gives its outputs; all compute in float32, or in `precision` ("bf16") where they can:
"tilewright_f32" and onnxruntime do not. compile() is work done once ahead of
deployment, on all processors, into the folder `modules`; load() is what a deployed program does, on the
processors of the benchmark. Imports happen there, so that their memory counts. close() frees the model."""

import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = ROOT / "build" / "bin" / "tilewright"
RUNTIME = ROOT / "build" / "lib" / "libtilewright_runtime.so"


class Tilewright:
    """Compiles with the command (its cache off), then runs the module with the deployed runtime alone."""

    module = None
    precision = "f32"

    @staticmethod
    def available():
        return COMMAND.exists() and RUNTIME.exists()

    def compile(self, model, modules):
        precise = self.precision == "f32"
        self.path = modules / (f"{model.stem}.so" if precise else f"{model.stem}_{self.precision}.so")
        modules.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        done = subprocess.run([COMMAND, "compile", model, "-o", self.path, "--no-cache", "--precision", self.precision],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"tilewright compile ended with status {done.returncode}")
        return time.perf_counter() - begin

    def load(self, model, threads):
        import tilewright_runtime  # beside this file

        self.module = tilewright_runtime.Module(RUNTIME, self.path, threads)
        self.run = self.module.run

    def set_inputs(self, inputs):
        for name, array in inputs.items():
            self.module.set_input(name, array)

    def outputs(self):
        return {name: self.module.output(name) for name in self.module.outputs}

    def close(self):
        if self.module:
            self.module.close()


class TilewrightF32(Tilewright):
    """The same in float32, whatever the others are asked for."""

    def compile(self, model, modules):
        self.precision = "f32"
        return super().compile(model, modules)


class Peer:
    """An engine that does all its work when it loads a model."""

    precision = "f32"

    @staticmethod
    def available():
        return True

    def compile(self, model, modules):
        return None

    def close(self):
        self.__dict__.clear()


class OnnxRuntime(Peer):
    """One session, all graph optimisations, its own thread pool's defaults; inputs and outputs stay bound."""

    def load(self, model, threads):
        import onnxruntime

        self.library = onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def set_inputs(self, inputs):
        self.binding = self.session.io_binding()
        for name, array in inputs.items():
            self.binding.bind_ortvalue_input(name, self.library.OrtValue.ortvalue_from_numpy(array))
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name)
        self.run = lambda: self.session.run_with_iobinding(self.binding)

    def outputs(self):
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.binding.copy_outputs_to_cpu()))


class OpenVino(Peer):
    """Compiled for latency: one stream, the same number of threads, the precision asked for."""

    def load(self, model, threads):
        import openvino

        self.library = openvino
        core = openvino.Core()
        compiled = core.compile_model(str(model), "CPU", {
            "INFERENCE_PRECISION_HINT": self.precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY"})
        self.request = compiled.create_infer_request()
        self.ports = compiled.inputs
        self.names = [output.get_any_name() for output in compiled.outputs]

    def set_inputs(self, inputs):
        self.arrays = inputs  # the tensors below share their memory
        for port in self.ports:
            array = next(inputs[name] for name in port.get_names() if name in inputs)
            self.request.set_tensor(port, self.library.Tensor(array, shared_memory=True))
        self.run = lambda: self.request.infer(share_outputs=True)

    def outputs(self):
        return {name: self.request.get_output_tensor(i).data.copy() for i, name in enumerate(self.names)}


ENGINES = {"tilewright": Tilewright, "tilewright_f32": TilewrightF32, "onnxruntime": OnnxRuntime,
           "openvino": OpenVino}
COMPARED = [name for name in ENGINES if name != "tilewright_f32"]
