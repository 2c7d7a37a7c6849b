#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Tilewright with onnxruntime and openvino on single operators drawn at random (operator_cases.py).

For each case the engines take short turns, in an order that rotates, over several rounds; its ratio is the
median over the rounds of our least latency by the best peer's least in that round. Cases that the best peer
does in less than 50 us, where what is measured is the call, are reported apart. Each answer is compared with
onnxruntime's. An engine that crashes or hangs fails one case.

Runs in .venv-bench (scripts/setup bench), on a machine that does nothing else.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

import numpy as np
import onnx

import engines
import machine
import operator_cases
import turns

SHORT_MS = 0.05
MOST_ERROR = 1e-4  # of the output's largest magnitude


class Pool:
    """One process per engine, replaced when it has ended."""

    def __init__(self, options):
        self.limit = options.timeout
        self.workers = [turns.EngineProcess(name, self.limit) for name in options.engines]

    def ready(self):
        for index, worker in enumerate(self.workers):
            if worker.ended:
                worker.close()
                self.workers[index] = turns.EngineProcess(worker.engine, self.limit)
        return self.workers

    def close(self):
        for worker in self.workers:
            worker.close()


def measure(case, pool, processors, options, folder):
    """All rounds of one case; the result is what --json writes."""
    result = {"number": case.number, "class": case.kind, "label": case.label, "flops": case.draw.flops,
              "bytes": 4 * case.draw.elements(), "machine": machine.probe(len(processors)), "rounds": [], "engines": {}}
    model, inputs = folder / f"case_{case.number}.onnx", folder / "inputs.npz"
    onnx.save(case.draw.model(), model)
    np.savez(inputs, **{name: case.draw.random.standard_normal(shape, np.float32)
                        for name, shape in case.draw.inputs.items()})
    workers, outputs = pool.ready(), {}
    for worker in workers:
        facts = worker.ask(do="load", model=str(model), inputs=str(inputs), processors=processors, modules=str(folder))
        result["engines"][worker.engine] = facts or {}
    for index in range(options.rounds):
        result["rounds"].append({worker.engine: worker.ask(do="turn", seconds=options.seconds)
                                 for worker in turns.in_turn(workers, index)})
    for worker in workers:
        path, facts = folder / f"{worker.engine}.npz", result["engines"][worker.engine]
        facts.update(worker.ask(do="finish", outputs=str(path)) or {})
        if worker.error:
            facts["error"] = worker.error
        else:
            outputs[worker.engine] = dict(np.load(path))
    summarise(result, outputs)
    for path in folder.iterdir():
        if not options.keep or path.suffix == ".npz":
            path.unlink()
    return result


def summarise(result, outputs):
    """Adds each engine's figures and the ratio; a wrong answer of ours is an error."""
    for name, facts in result["engines"].items():
        measured = [turn[name]["min_ms"] for turn in result["rounds"] if turn.get(name)]
        if measured:
            facts["min_ms"] = min(measured)
        if name in outputs and "onnxruntime" in outputs:
            facts["largest_error"] = turns.largest_error(outputs[name], outputs["onnxruntime"])
            if not facts["largest_error"] <= MOST_ERROR and name == turns.OURS:
                facts["error"] = f"answers differ by {facts['largest_error']:.1e} of the largest"
    turns.add_ratio(result)
    peers = [facts["min_ms"] for name, facts in result["engines"].items() if name != turns.OURS and "min_ms" in facts]
    result["short"] = bool(peers) and min(peers) < SHORT_MS


def print_case(result):
    times = " ".join(f"{facts['min_ms']:9.4f}" if "min_ms" in facts else f"{'failed':>9}"
                     for facts in result["engines"].values())
    ratio = f"{result['ratio']:6.2f}" if "ratio" in result else f"{'-':>6}"
    peak = result["machine"]["fma_gflops"].values()
    print(f"{result['number']:4} {result['class']:15} {ratio} {times}  {max(peak):4.0f} "
          f"{result['machine']['dram_read_gbs']:3.0f}  {result['label']}", flush=True)
    for name, facts in result["engines"].items():
        if "error" in facts:
            print(f"     {name}: {facts['error'].splitlines()[0]}", flush=True)


def describe(results):
    """Median and greatest ratio of some results, and how many are above 1.5."""
    ratios = [r["ratio"] for r in results]
    return (f"{len(ratios):4} cases, median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}, "
            f"{sum(ratio > 1.5 for ratio in ratios)} above 1.5")


def print_summary(results):
    compared = [r for r in results if "ratio" in r]
    counted, short = [r for r in compared if not r["short"]], [r for r in compared if r["short"]]
    for title, group in (("all of 50 us and more", counted), ("shorter", short)):
        if group:
            print(f"\n{title + ':':24} {describe(group)}")
    print()
    for name in operator_cases.NAMES:
        group = [r for r in counted if r["class"] == name]
        if group:
            print(f"{name + ':':24} {describe(group)}")
    print("\nworst:")
    for r in sorted(counted, key=lambda r: -r["ratio"])[:10]:
        print(f"  {r['ratio']:.2f} ({min(r['ratios']):.2f}-{max(r['ratios']):.2f})"
              f"  {r['class']} {r['number']}: {r['label']}")
    failed = [f"{r['number']} ({name})" for r in results for name, facts in r["engines"].items() if "error" in facts]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True, help="what the cases are drawn from")
    parser.add_argument("--cases", type=int, default=300, metavar="N", help="how many (default 300)")
    parser.add_argument("--case", type=int, nargs="+", metavar="NUMBER", help="only these of the seed's cases")
    parser.add_argument("--only", nargs="+", choices=operator_cases.NAMES, metavar="CLASS",
                        help=f"only those of the cases that are of these classes: {', '.join(operator_cases.NAMES)}")
    parser.add_argument("--engines", nargs="+", choices=engines.ENGINES, default=engines.COMPARED)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--rounds", type=int, help="rounds per case (default 5)")
    parser.add_argument("--seconds", type=float, help="length of a turn (default 0.05)")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 0.02 s, for a rough idea")
    parser.add_argument("--timeout", type=float, default=60, metavar="S",
                        help="for one answer of an engine (default 60)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="leave models and modules there")
    parser.add_argument("--list", action="store_true", help="print the cases, run nothing")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (0.02 if options.quick else 0.05)
    if not 1 <= options.threads <= len(os.sched_getaffinity(0)):
        parser.error(f"--threads: this process may use {len(os.sched_getaffinity(0))} processors")
    unavailable = [name for name in options.engines if not engines.ENGINES[name].available()]
    if unavailable and not options.list:
        parser.error(f"not built: {', '.join(unavailable)}; run `make build`, or leave it out with --engines")
    return options


def run(options, folder):
    machine.build_probe()
    facts = machine.describe()
    print(f"{facts['processor']} (family {facts['family']} model {facts['model']}), "
          f"load before: {facts['load_before']:.2f}; seed {options.seed}, {options.threads} threads, "
          f"{options.rounds} rounds of {options.seconds} s; least latencies in ms, GFLOP/s, GB/s")
    print(f"{'case':4} {'class':15} {'ratio':>6} {' '.join(f'{name[:9]:>9}' for name in options.engines)}"
          "  peak DRAM", flush=True)
    processors = sorted(os.sched_getaffinity(0))[: options.threads]
    pool, results = Pool(options), []
    try:
        for number in options.case or range(options.cases):
            case = operator_cases.draw_case(options.seed, number)
            if options.only and case.kind not in options.only:
                continue
            results.append(measure(case, pool, processors, options, folder))
            print_case(results[-1])
            if options.json:
                options.json.write_text(json.dumps({"machine": facts, "seed": options.seed, "threads": options.threads,
                                                    "results": results}, indent=1))
    finally:
        pool.close()
    print_summary(results)
    return results


def main():
    options = parse_options()
    if options.list:
        for number in options.case or range(options.cases):
            case = operator_cases.draw_case(options.seed, number)
            if not options.only or case.kind in options.only:
                print(f"{number:4} {case.kind:15} {case.draw.flops / 1e9:7.3f} GFLOP "
                      f"{case.draw.elements() * 4e-6:7.2f} MB  {case.label}")
        return 0
    with tempfile.TemporaryDirectory(prefix="tilewright-operators-") as folder:
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
        results = run(options, options.keep or pathlib.Path(folder))
    return 1 if any("error" in e for r in results for e in r["engines"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
