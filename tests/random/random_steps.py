# SPDX-License-Identifier: Apache-2.0
"""What random graphs grow by: each function appends a node or a few to a GraphMaker, or raises Unfit."""

import numpy as np
from random_graph import CLOSE, INTEGERS, FLOATS, Unfit, far_from, far_from_multiples, has_gaps, is_float

# Operators of one float, with a condition on the argument.
UNARY = {
    "Relu": None, "Sigmoid": None, "Tanh": None, "Abs": None, "Neg": None, "Erf": None, "Softplus": None,
    "Softsign": None, "Elu": None, "Selu": None, "HardSigmoid": None, "HardSwish": None, "Identity": None, "Mish": None,
    "Celu": None, "LeakyRelu": None, "Sin": None, "Cos": None, "Atan": None, "Asinh": None, "Gelu": None,
    "Exp": lambda a: a.max() < 4, "Log": lambda a: a.min() > 0.1, "Sqrt": lambda a: a.min() > 0.05,
    "Reciprocal": lambda a: np.abs(a).min() > 0.1, "Sign": lambda a: far_from(a, 0),
    "ThresholdedRelu": lambda a: far_from(a, 1), "Shrink": lambda a: far_from(a, 0.5, -0.5),
    "Floor": lambda a: far_from_multiples(a, 0), "Ceil": lambda a: far_from_multiples(a, 0),
    "Round": lambda a: far_from_multiples(a, 0.5), "Acosh": lambda a: a.min() > 1.1,
    "Tan": lambda a: np.abs(a).max() < 1.2, "Sinh": lambda a: np.abs(a).max() < 3,
    "Asin": lambda a: np.abs(a).max() < 0.9, "Atanh": lambda a: np.abs(a).max() < 0.9,
}


def require(condition):
    if not condition:
        raise Unfit


def unary(g):
    op = g.random.choice(list(UNARY))
    require(op != "Gelu" or g.opset >= 20)
    condition = UNARY[op]
    g.emit(op, [g.pick(lambda a: is_float(a) and a.size > 0 and (condition is None or condition(a.astype(np.float64))))])


def unary_of_integers(g):
    g.emit(g.random.choice(["Abs", "Neg", "Sign", "Relu", "BitwiseNot"]),
           [g.pick(lambda a: a.dtype.type in INTEGERS and a.size > 0 and a.min() > -128)])


def clip(g):
    x = g.pick(lambda a: a.dtype.type in (*FLOATS, *INTEGERS))
    dtype = g.values[x].dtype
    low, high = (g.new(np.asarray(v, dtype), constant=g.chance(70)) for v in sorted(g.random.sample(range(0, 7), 2)))
    g.emit("Clip", [x, *g.random.choice([(low, high), (low,), ("", high)])])


def binary(g):
    op = g.random.choice(["Add", "Add", "Sub", "Mul", "Mul", "Div", "Min", "Max", "Pow", "Mod"])
    x = g.pick(lambda a: a.dtype.type in (*FLOATS, *INTEGERS))
    y = g.partner(x)
    if g.chance(50):
        x, y = y, x
    a, b = g.values[x], g.values[y]
    require(op not in ("Div", "Mod") or (np.abs(b) > 0.2).all())
    require(op not in ("Add", "Sub", "Mul", "Pow", "Div") or is_float(a) or a.dtype.itemsize > 1)
    if op == "Mod":
        require(not is_float(a))
        require(np.issubdtype(b.dtype, np.signedinteger) or g.chance(50))
    if op == "Pow":
        require((a > 0.1).all() and (np.abs(b) < 3).all() and (is_float(a) or (b >= 0).all()))
    g.emit(op, [x, y])


def variadic(g):
    x = g.pick(is_float)
    arguments = [x] + [g.partner(x) for _ in range(1 + g.below(2))]
    g.emit(g.random.choice(["Sum", "Mean", "Max", "Min"]), arguments)


def compare(g):
    op = g.random.choice(["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"])
    x = g.pick(lambda a: a.dtype.type in (*FLOATS, *INTEGERS))
    y = g.partner(x)
    a, b = g.values[x], g.values[y]
    require(not is_float(a) or far_from(a.astype(np.float64) - b.astype(np.float64), 0))
    g.emit(op, [x, y])


def logic(g):
    x = g.pick(lambda a: a.dtype == np.bool_)
    if g.chance(25):
        g.emit("Not", [x])
    else:
        g.emit(g.random.choice(["And", "Or", "Xor"]), [x, g.partner(x)])


def bits(g):
    x = g.pick(lambda a: a.dtype.type in INTEGERS)
    g.emit(g.random.choice(["BitwiseAnd", "BitwiseOr", "BitwiseXor"]), [x, g.partner(x)])


def where(g):
    x = g.pick(lambda a: a.dtype != np.bool_)
    y = g.partner(x)
    shape = np.broadcast_shapes(g.values[x].shape, g.values[y].shape)

    def fits(c):
        try:
            return c.dtype == np.bool_ and np.broadcast_shapes(c.shape, shape) == shape
        except ValueError:
            return False

    try:
        condition = g.pick(fits, 0)
    except Unfit:
        condition = g.fresh(np.bool_, tuple(1 if g.chance(30) else d for d in shape))
    g.emit("Where", [condition, x, y])


def prelu(g):
    x = g.pick(lambda a: is_float(a) and a.ndim > 0)
    shape = g.values[x].shape
    g.emit("PRelu", [x, g.fresh(g.values[x].dtype.type, shape[g.below(len(shape)):])])


def cast(g):
    x = g.pick()
    a = g.values[x]
    kinds = {np.float32: 1, np.uint8: 2, np.int8: 3, np.int32: 6, np.int64: 7, np.bool_: 9}
    if g.wild:
        kinds |= {np.float16: 10, np.float64: 11}
    to = g.random.choice(list(kinds))
    if np.issubdtype(to, np.integer) and a.dtype != np.bool_:
        limits = np.iinfo(to)
        require(limits.min <= a.min() and a.max() <= limits.max and (not is_float(a) or far_from_multiples(a, 0)))
    require(to != np.bool_ or far_from(a, 0))
    g.emit("Cast", [x], to=kinds[to])


def axes_of(g, a):
    return sorted(g.random.sample(range(a.ndim), 1 + g.below(a.ndim)))


def reduce(g):
    op = g.random.choice(["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare", "LogSum"])
    x = g.pick(lambda a: is_float(a) or (a.dtype.type in (np.int32, np.int64) and op in ("Sum", "Max", "Min", "Mean")))
    a = g.values[x]
    require(op != "LogSum" or a.min() > 0.1)
    require(op != "L2" or np.abs(a).min() > 0.01)
    require(op != "Prod" or a.size < 200)
    require(a.ndim > 0)
    arguments = [x]
    if g.chance(85):
        arguments.append(g.constant([i - a.ndim if g.chance(30) else i for i in axes_of(g, a)]))
    g.emit("Reduce" + op, arguments, keepdims=g.below(2))


def arg_reduce(g):
    x = g.pick(lambda a: a.dtype.type in (np.float32, np.int32, np.float64))
    axis = g.axis(g.values[x])
    require(has_gaps(g.values[x], axis))
    g.emit(g.random.choice(["ArgMax", "ArgMin"]), [x], axis=axis, keepdims=g.below(2))


def top_k(g):
    x = g.pick(lambda a: a.dtype.type in (np.float32, np.int64, np.float64))
    axis = g.axis(g.values[x])
    require(has_gaps(g.values[x], axis))
    g.emit("TopK", [x, g.constant([1 + g.below(g.values[x].shape[axis])])], 2, axis=axis, largest=g.below(2))


def cum_sum(g):
    x = g.pick(lambda a: a.dtype.type in (np.float32, np.int64, np.int32))
    axis = g.new(np.asarray(g.axis(g.values[x]), np.int64), constant=True)
    g.emit("CumSum", [x, axis], exclusive=g.below(2), reverse=g.below(2))


def transpose(g):
    x = g.pick(lambda a: a.ndim > 1)
    perm = list(range(g.values[x].ndim))
    g.random.shuffle(perm)
    g.emit("Transpose", [x], perm=perm)


def reshape(g):
    x = g.pick()
    rest, shape = g.values[x].size, []
    while rest > 1 and len(shape) < 4:
        d = g.random.choice([d for d in range(1, rest + 1) if rest % d == 0])
        shape.append(d)
        rest //= d
    shape.append(rest)
    g.random.shuffle(shape)
    if g.chance(50):
        shape[g.below(len(shape))] = -1
    g.emit("Reshape", [x, g.constant(shape)])


def flatten(g):
    x = g.pick(lambda a: a.ndim > 0)
    g.emit("Flatten", [x], axis=g.below(g.values[x].ndim + 1))


def squeeze(g):
    x = g.pick(lambda a: 1 in a.shape)
    ones = [i for i, d in enumerate(g.values[x].shape) if d == 1]
    g.emit("Squeeze", [x, g.constant(g.random.sample(ones, 1 + g.below(len(ones))))])


def unsqueeze(g):
    x = g.pick(lambda a: a.ndim < 5)
    g.emit("Unsqueeze", [x, g.constant([g.below(g.values[x].ndim + 1)])])


def concat(g):
    x = g.pick(lambda a: a.ndim > 0)
    a, axis = g.values[x], g.axis(g.values[x], negative=False)
    rest = lambda b: b.shape[:axis] + b.shape[axis + 1:]
    arguments = [x]
    for _ in range(1 + g.below(2)):
        try:
            y = g.pick(lambda b: b.dtype == a.dtype and b.ndim == a.ndim and rest(b) == rest(a), 20)
        except Unfit:
            y = g.fresh(a.dtype.type, a.shape[:axis] + (1 + g.below(4),) + a.shape[axis + 1:])
        arguments.insert(g.below(len(arguments) + 1), y)
    g.emit("Concat", arguments, axis=axis)


def split(g):
    x = g.pick(lambda a: a.ndim > 0 and max(a.shape) > 1)
    a = g.values[x]
    axis = g.random.choice([i for i, d in enumerate(a.shape) if d > 1])
    at = 1 + g.below(a.shape[axis] - 1)
    g.emit("Split", [x, g.constant([at, a.shape[axis] - at])], 2, axis=axis)


def slice_(g):
    x = g.pick(lambda a: a.ndim > 0)
    a = g.values[x]
    axes = axes_of(g, a)
    starts, ends, steps = [], [], []
    for d in (a.shape[i] for i in axes):
        step = g.random.choice([1, 1, 1, 2, 3, -1, -2])
        first, last = sorted((g.below(d), g.below(d)))
        if step > 0:
            starts.append(first - d if g.chance(30) else first)
            ends.append(g.random.choice([last + 1, 2**31 if g.chance(30) else d]))
        else:
            starts.append(g.random.choice([last, 10**9 if g.chance(30) else last]))
            ends.append(first - 1 - d if g.chance(50) else -(2**31))
        steps.append(step)
    g.emit("Slice", [x, *map(g.constant, (starts, ends, axes, steps))])


def gather(g):
    x = g.pick(lambda a: a.ndim > 0)
    axis = g.axis(g.values[x])
    extent = g.values[x].shape[axis]
    indices = g.numbers.integers(-extent, extent, g.shape(g.below(3))).astype(g.random.choice([np.int64, np.int32]))
    g.emit("Gather", [x, g.new(np.asarray(indices))], axis=axis)


def gather_elements(g):
    x = g.pick(lambda a: a.ndim > 0)
    a, axis = g.values[x], g.axis(g.values[x])
    shape = [1 + g.below(d) for d in a.shape]
    g.emit("GatherElements", [x, g.new(g.numbers.integers(-a.shape[axis], a.shape[axis], shape))], axis=axis)


def gather_nd(g):
    x = g.pick(lambda a: a.ndim > 0)
    a = g.values[x]
    depth, count = 1 + g.below(a.ndim), 1 + g.below(4)
    g.emit("GatherND", [x, g.new(g.numbers.integers(0, a.shape[:depth], (count, depth)))])


def scatter_elements(g):
    x = g.pick(lambda a: a.ndim > 0 and a.dtype == np.float32)
    a, axis = g.values[x], g.axis(g.values[x], negative=False)
    shape = list(a.shape)
    shape[axis] = 1 + g.below(shape[axis])
    order = np.argsort(g.numbers.random(a.shape), axis=axis)  # no index twice
    indices = np.take(order, range(shape[axis]), axis=axis).astype(np.int64)
    reduction = g.random.choice(["none", "none", "add", "mul", "max", "min"])
    g.emit("ScatterElements", [x, g.new(indices), g.fresh(np.float32, shape)], axis=axis, reduction=reduction)


def scatter_nd(g):
    x = g.pick(lambda a: a.ndim > 0 and a.dtype == np.float32)
    a = g.values[x]
    rows = g.random.sample(range(a.shape[0]), 1 + g.below(a.shape[0]))
    indices = g.new(np.asarray(rows, np.int64)[:, None])
    g.emit("ScatterND", [x, indices, g.fresh(np.float32, (len(rows), *a.shape[1:]))],
           reduction=g.random.choice(["none", "add"]))


def expand(g):
    x = g.pick(lambda a: 1 in a.shape or a.ndim < 3)
    shape = [g.random.choice([2, 3, 5]) if d == 1 and g.chance(70) else d for d in g.values[x].shape]
    g.emit("Expand", [x, g.constant(([2] if g.chance(30) else []) + shape)])


def tile(g):
    x = g.pick(lambda a: a.ndim > 0)
    g.emit("Tile", [x, g.constant([g.random.choice([1, 1, 2, 3]) for _ in g.values[x].shape])])


def pad(g):
    x = g.pick(lambda a: a.ndim > 0 and is_float(a))
    a = g.values[x]
    mode = g.random.choice(["constant", "constant", "edge", "reflect"])
    most = [min(2, d - 1) if mode == "reflect" else 2 for d in a.shape]
    amounts = [g.below(m + 1) for m in most * 2]
    arguments = [x, g.constant(amounts)]
    if mode == "constant" and g.chance(50):
        arguments.append(g.new(np.asarray(0.5, a.dtype), constant=True))
    g.emit("Pad", arguments, mode=mode)


def depth_space(g):
    if g.chance(50):
        x = g.pick(lambda a: a.ndim == 4 and a.shape[1] % 4 == 0 and a.dtype == np.float32)
        g.emit("DepthToSpace", [x], blocksize=2, mode=g.random.choice(["DCR", "CRD"]))
    else:
        x = g.pick(lambda a: a.ndim == 4 and a.shape[2] % 2 == 0 and a.shape[3] % 2 == 0 and a.dtype == np.float32)
        g.emit("SpaceToDepth", [x], blocksize=2)


def trilu(g):
    x = g.pick(lambda a: a.ndim > 1 and a.dtype.type in (np.float32, np.int64, np.float64))
    k = g.new(np.asarray(g.below(5) - 2, np.int64), constant=True)
    g.emit("Trilu", [x, k], upper=g.below(2))


def one_hot(g):
    x = g.pick(lambda a: a.dtype == np.int64 and a.ndim < 3)
    depth, ends = g.new(np.asarray(6, np.int64), True), g.new(np.asarray([-1, 2], np.float32), True)
    g.emit("OneHot", [x, depth, ends], axis=-1)


def shape_arithmetic(g):
    """A reshape to what is computed from a shape."""
    x = g.pick(lambda a: a.ndim > 1)
    shape, = g.emit("Shape", [x])
    first, = g.emit("Gather", [shape, g.constant([0])], axis=0)
    target, = g.emit("Concat", [first, g.constant([-1])], axis=0)
    g.emit("Reshape", [x, target])


def mat_mul(g):
    x = g.pick(lambda a: a.dtype.type in (np.float32, np.float64, np.int32) and a.ndim > 0)
    a = g.values[x]
    if g.chance(20) and a.ndim > 1:
        y = g.fresh(a.dtype.type, (a.shape[-1],))
    elif g.chance(50) and a.ndim > 2:
        batch = [1 if g.chance(30) else d for d in a.shape[:-2]]
        y = g.fresh(a.dtype.type, (*batch, a.shape[-1], g.shape(1)[0]))
    else:
        y = g.fresh(a.dtype.type, (a.shape[-1], g.shape(1)[0]))
    g.emit("MatMul", [x, y])


def gemm(g):
    x = g.pick(lambda a: a.dtype.type in (np.float32, np.float64) and a.ndim == 2)
    a = g.values[x]
    trans_a, trans_b, n = g.below(2), g.below(2), g.shape(1)[0]
    m, k = a.shape[::-1] if trans_a else a.shape
    arguments = [x, g.fresh(a.dtype.type, (n, k) if trans_b else (k, n))]
    if g.chance(70):
        arguments.append(g.fresh(a.dtype.type, g.random.choice([(n,), (m, n), (1, n), (m, 1), (1,), ()])))
    g.emit("Gemm", arguments, transA=trans_a, transB=trans_b, alpha=g.random.choice([1.0, 0.5]),
           beta=g.random.choice([1.0, 0.5]))


def spatial_attributes(g, rank, kernel):
    strides = [1 + g.below(2) for _ in range(rank)]
    dilations = [g.random.choice([1, 1, 2]) for _ in range(rank)]
    if g.chance(20):
        return dict(strides=strides, auto_pad=g.random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    return dict(strides=strides, dilations=dilations, pads=[g.below(k) for k in kernel * 2])


def image(g, types=(np.float32,)):
    return g.pick(lambda a: a.dtype.type in types and 3 <= a.ndim <= 5 and min(a.shape[2:]) > 1, 25)


def conv(g):
    x = image(g, (np.float32, np.float64) if g.chance(20) else (np.float32,))
    a = g.values[x]
    rank, c = a.ndim - 2, a.shape[1]
    groups = g.random.choice([d for d in range(1, c + 1) if c % d == 0] if g.chance(40) else [1])
    filters = groups * (1 + g.below(4)) if groups > 1 else g.random.choice([1, 3, 8, 16])
    kernel = [1 + g.below(3) for _ in range(rank)]
    arguments = [x, g.fresh(a.dtype.type, (filters, c // groups, *kernel))]
    if g.chance(60):
        arguments.append(g.fresh(a.dtype.type, (filters,)))
    y, = g.emit("Conv", arguments, group=groups, kernel_shape=kernel, **spatial_attributes(g, rank, kernel))
    if g.chance(30):
        batch_norm(g, y)
    elif g.chance(40):
        g.emit(g.random.choice(["Relu", "Sigmoid", "HardSwish"]), [y])


def conv_transpose(g):
    x = image(g)
    a = g.values[x]
    rank, c = a.ndim - 2, a.shape[1]
    groups = g.random.choice([1, 1, c])
    kernel = [1 + g.below(3) for _ in range(rank)]
    strides = [1 + g.below(2) for _ in range(rank)]
    arguments = [x, g.fresh(np.float32, (c, 1 + g.below(4), *kernel))]
    g.emit("ConvTranspose", arguments, group=groups, kernel_shape=kernel, strides=strides,
           pads=[g.below(k) for k in kernel * 2], output_padding=[g.below(s) for s in strides])


def pool(g):
    x = image(g)
    rank = g.values[x].ndim - 2
    op = g.random.choice(["MaxPool", "AveragePool", "LpPool"])
    kernel = [1 + g.below(3) for _ in range(rank)]
    attributes = spatial_attributes(g, rank, kernel)
    if "auto_pad" not in attributes and op != "LpPool":
        attributes["ceil_mode"] = g.below(2)
    if op == "AveragePool":
        attributes["count_include_pad"] = g.below(2)
    if op == "AveragePool" and g.opset < 19:
        attributes.pop("dilations", None)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, attributes.get("dilations", [1] * rank))]
    pads = attributes.get("pads", [0] * (2 * rank))
    # onnxruntime rounds toward zero where a window is larger than the image with its border.
    require(all(r <= d + b + e for r, d, b, e in zip(reach, g.values[x].shape[2:], pads, pads[rank:])))
    g.emit(op, [x], kernel_shape=kernel, **attributes)


def global_pool(g):
    g.emit(g.random.choice(["GlobalAveragePool", "GlobalMaxPool"]), [image(g)])


def resize(g):
    x = g.pick(lambda a: a.ndim == 4 and a.dtype == np.float32)
    mode = g.random.choice(["nearest", "linear", "cubic"])
    transform = g.random.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
    scales = g.new(np.asarray([1, 1, *g.random.choices([1, 2, 3], k=2)], np.float32), constant=True)
    attributes = dict(nearest_mode="floor") if mode == "nearest" else {}
    require(mode != "nearest" or transform == "asymmetric")  # elsewhere rounding decides
    g.emit("Resize", [x, "", scales], mode=mode, coordinate_transformation_mode=transform, **attributes)


def batch_norm(g, x=None):
    x = x or image(g)
    c = g.values[x].shape[1]
    dtype = g.values[x].dtype.type
    variance = g.new(np.asarray(g.numbers.uniform(0.5, 2, c), dtype), constant=True)
    g.emit("BatchNormalization", [x, *(g.new(g.array(dtype, (c,)), True) for _ in range(3)), variance], epsilon=1e-3)


def layer_norm(g):
    x = g.pick(lambda a: a.dtype == np.float32 and a.ndim > 1)
    a, axis = g.values[x], 1 + g.below(g.values[x].ndim - 1)
    spread = a.reshape(int(np.prod(a.shape[:axis])), -1).std(axis=1).min()
    require(spread > 0.1)
    arguments = [x, g.fresh(np.float32, a.shape[axis:])]
    if g.chance(60):
        arguments.append(g.fresh(np.float32, a.shape[axis:]))
    g.emit("LayerNormalization", arguments, axis=axis)


def instance_norm(g):
    x = image(g)
    a = g.values[x]
    require(a.reshape(*a.shape[:2], -1).std(axis=2).min() > 0.1)
    g.emit("InstanceNormalization", [x, g.fresh(np.float32, a.shape[1:2]), g.fresh(np.float32, a.shape[1:2])])


def softmax(g):
    x = g.pick(lambda a: is_float(a) and a.ndim > 0)
    g.emit(g.random.choice(["Softmax", "LogSoftmax"]), [x], axis=g.axis(g.values[x]))


def lrn(g):
    g.emit("LRN", [g.pick(lambda a: a.ndim == 4 and a.dtype == np.float32)], size=g.random.choice([1, 3, 5]))


def einsum(g):
    x = g.pick(lambda a: a.ndim == 3 and a.dtype == np.float32)
    b, i, j = g.values[x].shape
    equation, shape = g.random.choice([("bij,bjk->bik", (b, j, 3)), ("bij,jk->bki", (j, 4)), ("bij,bij->b", (b, i, j)),
                                       ("bij,kj->ibk", (5, j))])
    g.emit("Einsum", [x, g.fresh(np.float32, shape)], equation=equation)


def recurrent(g):
    x = g.pick(lambda a: a.ndim == 3 and a.dtype == np.float32, 40)
    steps, batch, width = g.values[x].shape
    require(steps <= 8)
    op, gates = g.random.choice([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    hidden, direction = g.random.choice([1, 3, 8]), g.random.choice(["forward", "reverse", "bidirectional"])
    ways = 2 if direction == "bidirectional" else 1
    fresh = lambda *shape: g.new(g.array(np.float32, (ways, *shape)) / 2, constant=True)
    arguments = [x, fresh(gates * hidden, width), fresh(gates * hidden, hidden)]
    if g.chance(60):
        arguments.append(fresh(2 * gates * hidden))
    g.emit(op, arguments, 2, hidden_size=hidden, direction=direction)


def residual(g):
    """x + f(x), and a gate on it."""
    x = g.pick(lambda a: a.dtype == np.float32)
    y, = g.emit(g.random.choice(["Tanh", "Sigmoid", "Relu"]), [x])
    z, = g.emit("Add", [x, y])
    if g.chance(50):
        g.emit("Mul", [z, y])


STEPS = (
    [unary] * 6 + [binary] * 6 + [unary_of_integers, clip, variadic, compare, logic, bits, where, prelu, cast, cast]
    + [reduce] * 4 + [arg_reduce, top_k, cum_sum] + [transpose] * 3 + [reshape] * 3
    + [flatten, squeeze, unsqueeze, concat, concat, split, split, slice_, slice_, slice_, gather, gather, gather_elements]
    + [gather_nd, scatter_elements, scatter_nd, expand, tile, pad, pad, depth_space, trilu, one_hot, shape_arithmetic]
    + [mat_mul] * 4 + [gemm] * 2 + [conv] * 5 + [conv_transpose, pool, pool, pool, global_pool, resize, batch_norm]
    + [layer_norm, instance_norm, softmax, softmax, lrn, einsum, recurrent, residual, residual])
