# SPDX-License-Identifier: Apache-2.0
"""Engines that take turns: each in a process of its own (worker.py), which is stopped while others run."""

import json
import os
import pathlib
import select
import signal
import statistics
import subprocess
import sys

import numpy as np

OURS = "tilewright"


class EngineProcess:
    """A worker process that runs only between a request and its reply. It may be used for one model after
    another. A request that takes longer than `limit` seconds ends the process, with all it started."""

    def __init__(self, engine, limit=None):
        self.engine, self.limit = engine, limit
        self.error, self.ended = None, False
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("worker.py")), engine, str(write_end)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[write_end],
            text=True, start_new_session=True)
        os.close(write_end)
        self.replies = os.fdopen(read_end)
        self._reply()

    def _answers_in_time(self):
        # In slices, so that a pause of this whole program counts as one of them.
        slices = range(int(4 * self.limit)) if self.limit else iter(int, 1)
        return any(select.select([self.replies], [], [], 0.25)[0] for _ in slices)

    def _reply(self):
        line = ""
        if self._answers_in_time():
            line = self.replies.readline()
            if not line:
                self.error = f"the process ended with status {self.process.wait()}"
        else:
            self.error = f"no answer after {self.limit} s"
        if not line:
            self.ended = True
            return None
        self.process.send_signal(signal.SIGSTOP)
        reply = json.loads(line)
        self.error = reply.get("error")
        return None if self.error else reply

    def ask(self, **request):
        """The reply, or None once the engine has failed; a new model gives it a new chance."""
        if self.ended or (self.error and request["do"] != "load"):
            return None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._reply()

    def close(self):
        # All of its session: what it started for itself may still run.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()
        self.replies.close()


def in_turn(workers, index):
    """The workers in the order of round `index`."""
    first = index % len(workers)
    return workers[first:] + workers[:first]


def ratios_to_best_peer(rounds):
    """Of each round, given as replies by engine: our least latency by the least of the best peer."""
    ratios = []
    for turns in rounds:
        peers = [turn["min_ms"] for name, turn in turns.items()
                 if not name.startswith(OURS) and name != "machine" and turn]
        if turns.get(OURS) and peers:
            ratios.append(turns[OURS]["min_ms"] / min(peers))
    return ratios


def add_ratio(result):
    """Adds the ratio that counts, the median over the rounds, to a result with rounds."""
    ratios = ratios_to_best_peer(result["rounds"])
    if ratios:
        result["ratio"], result["ratios"] = statistics.median(ratios), ratios


def largest_error(outputs, reference):
    """The largest error of any output, relative to that output's largest magnitude."""
    errors = [np.abs(outputs[name].astype(np.float64) - value).max() / max(np.abs(value).max(), 1e-30)
              for name, value in reference.items() if value.size]
    return float(max(errors))
