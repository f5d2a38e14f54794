"""Steps of an archive that only networks beyond convolutions have, for `read_export`; docs/export.md has the format."""

import numpy as np


def matmul(s, x, a, y):
    table, x_value, y_value = (np.int64(a[kind]) for kind in ("table", "a_values", "w_values"))
    (rows, columns), sums = (v.astype(int) + 128 * (v.dtype == np.int8) for v in (x, y)), 0
    for k in range(x.shape[-1]):
        row, column = rows[..., k, None], columns[..., k, None, :]
        exact = "terms" in a and a["terms"][k] == 1
        sums = sums + (x_value[row] * y_value[column] if exact else table[row, column])
        sums = sums - s["w_zero"] * x_value[row] - s["zero"] * y_value[column]
    return sums + a["constant"]


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def softmax(x, axis=-1):
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def log_softmax(s, x):
    lower = x - x.max(s["dim"], keepdims=True)
    return lower - np.log(np.exp(lower).sum(s["dim"], keepdims=True))


def attention_weights(s, x, mask=None):
    x = x * s["scale"] + (np.triu(np.full(x.shape[-2:], -np.inf), 1) if s["causal"] else 0)
    return softmax(x if mask is None else x + (np.where(mask, 0, -np.inf) if mask.dtype == bool else mask))


def norm(x, axes, eps, weight=1, bias=0):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps) * weight + bias


def group_norm(s, x, **a):
    grouped = norm(x.reshape(len(x), s["num_groups"], -1), 2, s["eps"]).reshape(x.shape)
    channels = {name: v.reshape(-1, *[1] * (x.ndim - 2)) for name, v in a.items()}
    return grouped * channels.get("weight", 1) + channels.get("bias", 0)


def rms_norm(s, x, weight=1):
    axes = tuple(range(-len(s["normalized_shape"]), 0))
    return x / np.sqrt((x * x).mean(axes, keepdims=True) + s.get("eps", np.finfo(np.float64).eps)) * weight


def avg_pool3d(s, x):
    def sums(values):  # of windows, the border adds nothing
        places = zip(values.shape[2:], s["shape"][2:], s["kernel_size"], s["stride"], strict=True)
        ends = [(0, max(0, (out - 1) * step + k - size)) for size, out, k, step in places]
        padded = np.pad(values, [(0, 0), (0, 0), *ends])
        view = np.lib.stride_tricks.sliding_window_view(padded, s["kernel_size"], (2, 3, 4))
        apart = view[(slice(None), slice(None), *(slice(None, None, step) for step in s["stride"]))]
        return apart[:, :, : s["shape"][2], : s["shape"][3], : s["shape"][4]].sum((-3, -2, -1))

    border = [(0, 0), (0, 0), *((p, p) for p in s["padding"])]
    counted = np.pad(np.ones_like(x), border, constant_values=float(s["count_include_pad"]))
    return sums(np.pad(x, border)) / sums(counted)


def lstm_cell(s, x, y, c):
    i, f, g, o = np.split(x + y, 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return np.stack([sigmoid(o) * np.tanh(c), c])


def gru_cell(s, x, y, h):
    (r, z, n), (r_h, z_h, n_h) = np.split(x, 3, -1), np.split(y, 3, -1)
    z = sigmoid(z + z_h)
    return (1 - z) * np.tanh(n + sigmoid(r + r_h) * n_h) + z * h


FUNCTIONS = {
    "affine": lambda s, x, scale, shift: x * scale + shift,
    "amax": lambda s, x: x.max(tuple(s["dim"]), keepdims=s["keepdim"]),
    "attention_weights": attention_weights,
    "avg_pool3d": avg_pool3d,
    "combine": lambda s, x, y: s["first"] * x + s["second"] * y,
    "div": lambda s, x, y: x / y,
    "embedding": lambda s, x, weight: weight[x.astype(int)],
    "group_norm": group_norm,
    "gru_cell": gru_cell,
    "layer_norm": lambda s, x, **a: norm(x, tuple(range(-len(s["normalized_shape"]), 0)), s["eps"], **a),
    "log_softmax": log_softmax,
    "lstm_cell": lstm_cell,
    "maximum": lambda s, x, y: np.maximum(x, y),
    "mean": lambda s, x: x.mean(tuple(s["dim"]), keepdims=s["keepdim"]),
    "minimum": lambda s, x, y: np.minimum(x, y),
    "mul": lambda s, x, y: x * y,
    "rms_norm": rms_norm,
    "rnn_relu_cell": lambda s, x, y: np.maximum(x + y, 0),
    "rnn_tanh_cell": lambda s, x, y: np.tanh(x + y),
    "softmax": lambda s, x: softmax(x, s["dim"]),
    "sum": lambda s, x: x.sum(tuple(s["dim"]), keepdims=s["keepdim"]),
}


def function(s, x, a, *more):
    a = {name: v.astype(float) if v.dtype.kind == "f" else v for name, v in a.items()}
    return FUNCTIONS[s["function"]](s, *map(np.float64, (x, *more)), **a)


STEPS = {
    "matmul": matmul,
    "function": function,
    "take": lambda s, x, a: x.take(a["index"], s["axis"]),
    "pad": lambda s, x, a: np.pad(x, list(zip(s["before"], s["after"], strict=True)), constant_values=s["value"]),
    "constant": lambda s, x, a: a["value"].repeat(len(x), s["axis"]),
}
