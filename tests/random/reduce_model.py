# SPDX-License-Identifier: Apache-2.0
"""Makes a failing model smaller, as long as it fails."""

import numpy as np
import onnx
from onnx import helper


def cut(model, values, nodes, outputs):
    """The part of `nodes` that the results named in `outputs` need; what no node makes becomes an input."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.insert(0, node)
            needed |= set(filter(None, node.input))
    made = {o for node in kept for o in node.output}
    constants = {t.name for t in model.graph.initializer}

    def info(name, shape):
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values[name].dtype), shape)

    old = {i.name: i for i in model.graph.input}
    inputs = [old[n] if n in old else info(n, values[n].shape)
              for n in values if n in needed and n not in made and n not in constants]
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    graph = helper.make_graph(kept, model.graph.name, inputs, [info(n, None) for n in outputs],
                              [t for t in model.graph.initializer if t.name in needed])
    smaller.graph.CopyFrom(graph)
    return smaller


def reduce_model(model, values, fails):
    """The smallest model found by dropping outputs and nodes; `fails` tells whether a model still fails.

    `values` holds the array of every tensor: what a dropped node made is given as an input.
    """
    results = [o for node in model.graph.node for o in node.output if o in values]
    for name in results:  # in order of definition: the first that is wrong shows the cause best
        smaller = cut(model, values, list(model.graph.node), [name])
        if fails(smaller):
            model = smaller
            break
    progress = True
    while progress:
        progress = False
        nodes = list(model.graph.node)
        outputs = [o.name for o in model.graph.output]
        for node in nodes:
            if set(node.output) & set(outputs):
                continue
            smaller = cut(model, values, [n for n in nodes if n is not node], outputs)
            if fails(smaller):
                model, progress = smaller, True
                break
    return model


def describe(model, values):
    """The model as a few lines of text."""
    lines = []
    for kind, names in (("input", [i.name for i in model.graph.input]), ("constant", [t.name for t in model.graph.initializer])):
        for name in names:
            a = values[name]
            contents = f" = {a.tolist()}" if a.size <= 8 else ""
            lines.append(f"{kind} {name}: {a.dtype}{list(a.shape)}{contents}")
    for node in model.graph.node:
        attributes = " ".join(f"{a.name}={helper.get_attribute_value(a)}" for a in node.attribute)
        results = ", ".join(f"{o}: {values[o].dtype}{list(values[o].shape)}" for o in node.output)
        lines.append(f"{results} = {node.op_type}({', '.join(node.input)}) {attributes}")
    lines.append("outputs " + ", ".join(o.name for o in model.graph.output))
    return "\n".join("    " + line for line in lines)
