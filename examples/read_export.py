"""Compute the network in an archive of `axdnn export --to npz` with NumPy alone; docs/export.md has the format."""

import importlib
import json

import numpy as np


def windows(x, s, fill):  # (b, c, *sizes) -> (b, c, *out_sizes, *kernel)
    n, reach = len(s["kernel"]), [d * (k - 1) + 1 for k, d in zip(s["kernel"], s["dilation"], strict=True)]
    borders = [(0, 0), (0, 0), *zip(s["pads"][:n], s["pads"][n:], strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(np.pad(x, borders, constant_values=fill), reach, range(2, 2 + n))
    return view[(slice(None), slice(None), *(slice(None, None, step) for step in (*s["stride"], *s["dilation"])))]


def layer(s, x, a):
    table, x_value, w_value = (np.int64(a[kind]) for kind in ("table", "a_values", "w_values"))
    w, groups, dims, patch = a["w"], s.get("groups", 1), a["w"].ndim - 1, x[..., None, None, :]
    if s["op"] == "conv":
        view = np.moveaxis(windows(x, s, s["zero"]), 1, dims)  # (b, *out_sizes, c, *kernel)
        patch = view.reshape(*view.shape[:dims], groups, 1, -1)
    rows = patch.astype(int) + 128 * (x.dtype == np.int8)
    columns = w.astype(int).reshape(groups, -1, w[0].size) + 128 * (w.dtype == np.int8)
    terms, sums = a.get("terms", 0 * w).reshape(columns.shape), 0
    for k in range(w[0].size):  # one term of every sum: 0 the table's entry, 1 the exact product, 2 nothing
        row, column, kind = rows[..., k], columns[..., k], terms[..., k]
        product = np.where(kind == 0, table[row, column], x_value[row] * w_value[column])
        sums = sums + np.where(kind == 2, 0, product - s["w_zero"] * x_value[row])
    sums = sums.reshape(*sums.shape[:-2], -1)
    return (np.moveaxis(sums, -1, 1) if s["op"] == "conv" else sums) + a["constant"]


STEPS = {  # those of attention, recurrent layers and selections are in read_export_more.py
    **dict.fromkeys(("conv", "linear"), layer),
    "quantise": lambda s, x, a: np.rint(np.float32(x) * a["unit"]).clip(s["low"], s["high"]) * s["step"] + s["zero"],
    "scale": lambda s, x, a: np.float32(x) * a["unit"],
    "clamp": lambda s, x, a: np.clip(x, s["low"], s["high"]),
    "dequantise": lambda s, x, a: (np.float32(x) - s["zero"]) * a["scale"],
    "add": lambda s, x, a, y: x + y,
    "affine": lambda s, x, a: x * a["scale"] + a["shift"],
    "pool_sum": lambda s, x, a: windows(np.int64(x) - s["zero"], s, 0).sum(tuple(range(-len(s["kernel"]), 0))),
    "max_pool": lambda s, x, a: windows(x, s, s["least"]).max(tuple(range(-len(s["kernel"]), 0))),
    "lookup": lambda s, x, a: a["table"][x.astype(int) - s["first"]],
    "reshape": lambda s, x, a: x.reshape(s["sizes"]),
    "transpose": lambda s, x, a: x.transpose(s["order"]),
    "concat": lambda s, x, a, *more: np.concatenate([x, *more], s["axis"]),
}


def run(path, *images):
    file = np.load(path, allow_pickle=False)
    graph = json.loads(str(file["graph"]))
    values = {name: np.asarray(x, np.float32) for name, x in zip(graph["inputs"], images, strict=True)}
    for s in graph["steps"]:
        table = ["table", "a_values", "w_values"] if "table" in s else []
        keys = s["arrays"] | {kind: f"{kind}.{s['table']}" for kind in table}
        a, (x, *more) = {name: file[key] for name, key in keys.items()}, [values[i] for i in s["inputs"]]
        rule = STEPS.get(s["op"]) or importlib.import_module("read_export_more").STEPS[s["op"]]
        values[s["output"]] = rule(s, x, a, *more).astype(s["dtype"])
    return [values[name] for name in graph["outputs"]]
