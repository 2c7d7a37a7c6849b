# SPDX-License-Identifier: Apache-2.0
"""Memory of compiled models while they run, against what they cannot do without.

The least that a model needs is its initialisers, its inputs and outputs, and the largest set of intermediate values
that live at the same time (the lower bound of the memory plan). A line per model: what the process took at most above
one that runs an operator on one number, as a multiple of initialisers * 1.5 + the others (to be at most 1), and the
plan as a multiple of its bound (at most 1.1). Inputs and outputs of sizes that are open count as nothing.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
TILEWRIGHT = ROOT / "build" / "bin" / "tilewright"
GROWTH = 1.5  # of initialisers, which kernels may keep in a longer form
PLAN = 1.1


def tilewright(*arguments):
    return subprocess.run([TILEWRIGHT, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def trivial(folder):
    """A model that is all but nothing: what is left is the process itself."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "trivial", value[:1], value[1:])
    path = folder / "trivial.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def initialiser_bytes(path):
    def of_graph(graph):
        total = sum(tensor_bytes(t) for t in graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                total += tensor_bytes(attribute.t) if attribute.type == onnx.AttributeProto.TENSOR else 0
                total += of_graph(attribute.g) if attribute.type == onnx.AttributeProto.GRAPH else 0
        return total

    def tensor_bytes(tensor):
        elements = 1
        for extent in tensor.dims:
            elements *= extent
        return elements * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize

    return of_graph(onnx.load(path, load_external_data=False).graph)


def tensor_type_bytes(text):
    """Of "f32[1, 3, 224, 224]"; 0 where an extent is a symbol."""
    dtype, extents = re.fullmatch(r"[a-z]+([0-9]*)\[(.*)\]", text).groups()
    elements = 1
    for extent in filter(None, extents.split(", ")):
        elements *= int(extent) if extent.isdigit() else 0
    return elements * max(1, int(dtype or 8) // 8)


def measure(path, folder, threads, flags):
    """Bytes that the process had at most, and what `inspect` says of the plan."""
    module = folder / (path.stem + ".so")
    tilewright("compile", path, "-o", module, "-q", *flags)
    about = json.loads(tilewright("inspect", module, "--json"))
    bench = json.loads(tilewright("bench", module, "--json", "--threads", threads, "--seconds", 0.1))
    module.unlink()
    return bench["peak_rss_mb"] * 1e6, about


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=pathlib.Path, help="ONNX files (default: all of build/models)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flag", action="append", default=[], help="of `tilewright compile` (repeatable)")
    parser.add_argument("--json", type=pathlib.Path, help="write what was measured")
    args = parser.parse_args()
    models = args.models or sorted((ROOT / "build" / "models").glob("*.onnx"))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        base, _ = measure(trivial(folder), folder, args.threads, args.flag)
        print(f"the process itself: {base / 1e6:.1f} MB\n")
        columns = ("Model", "Initialisers MB", "Parameters MB", "In, out MB", "Bound MB", "Plan / bound", "Peak MB",
                   "Peak / allowed")
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
        for model in models:
            try:
                peak, about = measure(model, folder, args.threads, args.flag)
            except subprocess.CalledProcessError as e:
                print(f"{model.stem}: {e.stderr.strip()}", file=sys.stderr)
                continue
            memory = about["memory"]
            row = {"model": model.stem, "initialisers": initialiser_bytes(model),
                   "parameters": about["parameters"]["bytes"], "arena": memory["arena_bytes"],
                   "bound": memory.get("lower_bound_bytes", 0), "peak": peak - base,
                   "ends": sum(tensor_type_bytes(t["type"]) for t in about["inputs"] + about["outputs"])}
            allowed = GROWTH * row["initialisers"] + row["bound"] + row["ends"]
            row["plan_ratio"] = row["arena"] / row["bound"] if row["bound"] else None
            row["peak_ratio"] = row["peak"] / allowed if allowed else None
            rows.append(row)
            sizes = [f"{row[key] / 1e6:.2f}" for key in ("initialisers", "parameters", "ends", "bound")]
            plan = f"{row['plan_ratio']:.2f}" if row["plan_ratio"] else "–"
            cells = [row["model"], *sizes, plan, f"{row['peak'] / 1e6:.1f}", f"{row['peak_ratio']:.2f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    over = [r["model"] for r in rows if r["peak_ratio"] > 1 or (r["plan_ratio"] or 0) > PLAN]
    print(f"\nbeyond what is allowed: {', '.join(over) or 'none'}")
    if args.json:
        args.json.write_text(json.dumps({"base": base, "models": rows}, indent=1))


if __name__ == "__main__":
    main()
