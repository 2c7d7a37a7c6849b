#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Tilewright with onnxruntime and openvino: same models, inputs and threads, in one run.

Virtual machines change speed from minute to minute. So the engines take short turns, in an order
that rotates, over several rounds; each round asks the machine anew what it can do; and the ratio
that counts is the median over the rounds of our best latency by the best peer's best in that round.
Each engine lives in a process of its own, which is stopped while others have their turn.

Runs in .venv-bench (scripts/setup bench), on a machine that does nothing else.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile

import numpy as np

import engines
import flops
import machine
import turns

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "models"))
import model_inputs  # noqa: E402

MODULES = ROOT / "build" / "bench"  # stay there, for a look at what was measured


def measure(model, names, processors, options, folder):
    """All rounds of one model on the given processors; the result is what --json writes."""
    inputs = folder / "inputs.npz"
    np.savez(inputs, **model_inputs.seeded_inputs(model)[0])
    result = {"model": model.stem, "threads": len(processors), "flops": flops.count(model),
              "peak": "dot_u8s8_gops" if flops.by_bytes(model) else "fma_gflops",
              "precision": options.precision,
              "rounds": [], "engines": {name: {} for name in names}}
    with contextlib.ExitStack() as stack:
        workers = [turns.EngineProcess(name) for name in names]
        for worker in workers:
            stack.callback(worker.close)
            facts = worker.ask(do="load", model=str(model), inputs=str(inputs), processors=processors,
                               modules=str(MODULES), precision=options.precision)
            result["engines"][worker.engine].update(facts or {})
        for index in range(options.rounds):
            replies = {"machine": machine.probe(len(processors))}
            for worker in turns.in_turn(workers, index):
                replies[worker.engine] = worker.ask(do="turn", seconds=options.seconds)
            result["rounds"].append(replies)
        outputs = {}
        for worker in workers:
            path = folder / f"{worker.engine}.npz"
            result["engines"][worker.engine].update(worker.ask(do="finish", outputs=str(path)) or {})
            if worker.error:
                result["engines"][worker.engine]["error"] = worker.error
            else:
                outputs[worker.engine] = dict(np.load(path))
    summarise(result, outputs)
    return result


def peak_of(result, facts):
    """The peak of the model's kind of arithmetic; of float32 where the machine has none for bytes."""
    return facts.get(result["peak"], facts["fma_gflops"])[str(result["threads"])]


def summarise(result, outputs):
    """Adds each engine's figures over the rounds, and the ratio to the best peer."""
    rounds = result["rounds"]
    for name, facts in result["engines"].items():
        measured = [(r[name], peak_of(result, r["machine"])) for r in rounds if r.get(name)]
        if not measured or "error" in facts:
            continue
        facts["min_ms"] = min(turn["min_ms"] for turn, _ in measured)
        facts["median_ms"] = statistics.median(turn["median_ms"] for turn, _ in measured)
        facts["peak_share"] = statistics.median(
            result["flops"] / (turn["min_ms"] * 1e6) / peak for turn, peak in measured)
        if "onnxruntime" in outputs and name != "onnxruntime":
            facts["largest_error"] = turns.largest_error(outputs[name], outputs["onnxruntime"])
    turns.add_ratio(result)


def show(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def span(rounds, read):
    """The range over the rounds of one figure of the machine."""
    values = [read(r["machine"]) for r in rounds if read(r["machine"]) is not None]
    return f"{min(values):.0f}-{max(values):.0f}" if values else "-"


def print_result(result):
    rounds, threads = result["rounds"], str(result["threads"])
    print(f"\n{result['model']}, {threads} thread{'s' if threads != '1' else ''}, {result['flops'] / 1e9:.2f} GFLOP; "
          f"peak {span(rounds, lambda m: peak_of(result, m))} GFLOP/s, "
          f"barrier {span(rounds, lambda m: m.get('barrier_ns'))} ns, "
          f"cross-core {span(rounds, lambda m: m.get('cross_core_read_gbs'))} GB/s, "
          f"DRAM {span(rounds, lambda m: m['dram_read_gbs'])} GB/s")
    print(f"  {'':12} {'min ms':>9} {'median':>9} {'of peak':>8} {'compile s':>10} {'load ms':>8} {'first ms':>9} "
          f"{'memory MB':>10} {'error':>8}")
    ours = result["engines"].get(turns.OURS, {}).get("min_ms")
    precise = result["engines"].get("tilewright_f32", {}).get("min_ms")
    for name, facts in result["engines"].items():
        if "error" in facts:
            print(f"  {name:12} failed: {facts['error'].splitlines()[0]}")
            continue
        error = facts.get("largest_error")
        print(f"  {name:12} {facts['min_ms']:9.3f} {facts['median_ms']:9.3f} {facts['peak_share']:8.1%} "
              f"{show(facts['compile_s'], 2):>10} {facts['load_ms']:8.1f} {facts['first_ms']:9.2f} "
              f"{facts['peak_rss_mb']:10.0f} {'-' if error is None else f'{error:.0e}':>8}")
    if ours and precise:
        print(f"  ratio to our own f32 {ours / precise:.3f}")
    if "ratio" in result:
        print(f"  ratio to the best peer {result['ratio']:.3f} "
              f"(rounds {min(result['ratios']):.3f} to {max(result['ratios']):.3f})", flush=True)


def plot(results, path):
    """Latency of each engine by the best peer's, a group of bars per model and thread count."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(results[0]["engines"])
    figure, axes = plt.subplots(figsize=(2 + 0.9 * len(results), 4.5), layout="constrained")
    width = 0.8 / len(names)
    for position, name in enumerate(names):
        bars = []
        for result in results:
            best = min((facts["min_ms"] for peer, facts in result["engines"].items()
                        if not peer.startswith(turns.OURS) and "min_ms" in facts), default=float("nan"))
            bars.append(result["engines"][name].get("min_ms", float("nan")) / best)
        axes.bar([i + (position - (len(names) - 1) / 2) * width for i in range(len(results))], bars, width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(results)), [f"{r['model']}\n{r['threads']}T" for r in results], rotation=45, ha="right")
    axes.set_ylabel("least latency / best peer's")
    axes.legend()
    figure.savefig(path)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", metavar="MODEL",
                        help="names in build/models, or paths of ONNX files (default: all of build/models)")
    parser.add_argument("--engines", nargs="+", choices=engines.ENGINES, help="default: all, tilewright_f32 only "
                        "with a --precision")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32",
                        help="asked of engines that have it (tilewright, openvino); tilewright_f32 stays with float32")
    parser.add_argument("--threads", nargs="+", type=int, default=[len(os.sched_getaffinity(0))], metavar="N")
    parser.add_argument("--rounds", type=int, help="rounds per model (default 7)")
    parser.add_argument("--seconds", type=float, help="length of a turn (default 0.5)")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 0.2 s, for a rough idea")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE", help="draw the ratios (.png, .svg, .pdf)")
    options = parser.parse_args()
    if not options.engines:
        options.engines = engines.COMPARED if options.precision == "f32" else list(engines.ENGINES)
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (0.2 if options.quick else 0.5)

    folder = ROOT / "build" / "models"
    paths = [pathlib.Path(name) if name.endswith(".onnx") else folder / f"{name}.onnx" for name in options.models or []]
    options.models = paths or sorted(folder.glob("*.onnx"))
    missing = [str(path) for path in options.models if not path.exists()]
    if missing or not options.models:
        parser.error(f"no such models: {', '.join(missing) or folder}; `make models` makes them")
    if max(options.threads) > len(os.sched_getaffinity(0)) or min(options.threads) < 1:
        parser.error(f"--threads: this process may use {len(os.sched_getaffinity(0))} processors")
    unavailable = [name for name in options.engines if not engines.ENGINES[name].available()]
    if unavailable:
        parser.error(f"not built: {', '.join(unavailable)}; run `make build`, or leave it out with --engines")
    return options


def main():
    options = parse_options()
    machine.build_probe()
    facts = machine.describe()
    print(f"{facts['processor']} (family {facts['family']} model {facts['model']}), {facts['processors']} processors, "
          f"load before: {facts['load_before']:.2f}", flush=True)
    processors = sorted(os.sched_getaffinity(0))
    results = []
    with tempfile.TemporaryDirectory(prefix="tilewright-compare-") as folder:
        for model in options.models:
            for threads in options.threads:
                results.append(measure(model, options.engines, processors[:threads], options, pathlib.Path(folder)))
                print_result(results[-1])
                if options.json:
                    options.json.write_text(json.dumps({"machine": facts, "results": results}, indent=1))
    if options.plot:
        plot(results, options.plot)
    failed = [f"{r['model']} ({name})" for r in results for name, e in r["engines"].items() if "error" in e]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
