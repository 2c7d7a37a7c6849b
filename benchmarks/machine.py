# SPDX-License-Identifier: Apache-2.0
"""What the machine is, and what it can do at this moment (peak.cc)."""

import json
import os
import pathlib
import platform
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PROBE = HERE.parent / "build" / "bench" / "peak"


def build_probe():
    source = HERE / "peak.cc"
    if not PROBE.exists() or PROBE.stat().st_mtime < source.stat().st_mtime:
        PROBE.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["clang++-19", "-std=c++20", "-O2", "-march=native", "-ffp-contract=fast", "-pthread",
                        source, "-o", PROBE], check=True)


def probe(threads):
    """FMA peak (GFLOP/s by thread count), spin barrier, cross-core and DRAM read rates, now."""
    return json.loads(subprocess.run([PROBE, "--threads", str(threads)], check=True, capture_output=True).stdout)


def describe():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines if ":" in line)}
    return {"processor": facts.get("model name", platform.machine()), "family": facts.get("cpu family"),
            "model": facts.get("model"), "processors": len(os.sched_getaffinity(0)),
            "load_before": os.getloadavg()[0]}
