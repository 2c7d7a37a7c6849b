# SPDX-License-Identifier: Apache-2.0
"""One engine in a process of its own, so that memory and threads are its alone.

compare.py or operators.py sends a JSON object a line and gets one back: {"do": "load", ...}, {"do": "turn", ...},
{"do": "finish", ...}. Between its turns the process is stopped, spinning threads and all.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np

import engines


def memory_mb(field):
    """VmRSS (now) or VmHWM (highest so far) of this process."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def turn(run, seconds):
    """Latencies in ms: runs for about `seconds`, at least three times, after a fifth of that untimed."""
    clock, warm = time.perf_counter_ns, time.perf_counter_ns() + int(seconds * 2e8)
    run()
    while clock() < warm:
        run()
    times, end = [], clock() + int(seconds * 1e9)
    while len(times) < 3 or clock() < end:
        begin = clock()
        run()
        times.append((clock() - begin) / 1e6)
    return {"min_ms": min(times), "median_ms": float(np.median(times)), "runs": len(times)}


class Worker:
    def __init__(self, engine):
        self.kind, self.engine = engines.ENGINES[engine], None
        self.all_processors = os.sched_getaffinity(0)
        self.bare_mb = memory_mb("VmRSS")

    def load(self, request):
        if self.engine:
            self.engine.close()
        os.sched_setaffinity(0, self.all_processors)
        self.engine = self.kind()
        self.engine.precision = request.get("precision", "f32")
        model, inputs = pathlib.Path(request["model"]), dict(np.load(request["inputs"]))
        compile_s = self.engine.compile(model, pathlib.Path(request["modules"]))
        os.sched_setaffinity(0, request["processors"])
        begin = time.perf_counter()
        self.engine.load(model, len(request["processors"]))
        loaded = time.perf_counter()
        self.engine.set_inputs(inputs)
        ready = time.perf_counter()
        self.engine.run()
        return {"compile_s": compile_s, "load_ms": (loaded - begin) * 1e3,
                "first_ms": (time.perf_counter() - ready) * 1e3}

    def turn(self, request):
        return turn(self.engine.run, request["seconds"])

    def finish(self, request):
        self.engine.run()
        np.savez(request["outputs"], **self.engine.outputs())
        return {"peak_rss_mb": memory_mb("VmHWM") - self.bare_mb}


def main():
    # Libraries may print: keep the channel to compare.py apart from standard output.
    channel = open(int(sys.argv[2]), "w", buffering=1)
    worker = Worker(sys.argv[1])
    channel.write("{}\n")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(worker, request["do"])(request)
        except Exception as error:  # whatever an engine throws is its result
            reply = {"error": f"{type(error).__name__}: {error}"}
        channel.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
