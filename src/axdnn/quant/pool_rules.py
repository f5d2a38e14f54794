"""Rules for pooling of one to three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axdnn.quant.functions import function_attrs
from axdnn.quant.fx_nodes import dims_of
from axdnn.quant.lower import adaptive_avg_attrs, avg_pool_attrs, max_pool_attrs
from axdnn.quant.moves import Reshape
from axdnn.quant.rejected import Rejected

if TYPE_CHECKING:
    from axdnn.quant.builder import Builder

POOLS = {f"{kind}_pool{n}d" for kind in ("max", "avg", "adaptive_avg") for n in (1, 2, 3)}
LOWEST = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "output_size": 1}


def add_pool(builder: Builder, node: Any, name: str, a: dict[str, Any]) -> None:
    """Add a pooling; of one dimension as that of two over one row, the largest of a box axis by axis."""
    kind, n = name.removesuffix("d")[:-1].removesuffix("_pool"), int(name[-2])
    source, sizes = builder.value(a["self"]), tuple(dims_of(a["self"])[2:])
    if n == 2:
        builder.result(node, f"{'max' if kind == 'max' else 'avg'}_pool2d", (source,), _pool2d(kind, a, sizes))
        return
    channels = int(dims_of(a["self"])[1])
    if n == 1:
        flat = builder.add(f"{node.name}_row", "reshape", (source,), {"apply": Reshape((-1, channels, 1, *sizes))})
        wide = {key: (low, *_ints(a[key])) for key, low in LOWEST.items() if _given(a, key)}
        pooled = builder.add(f"{node.name}_pool", f"{'max' if kind == 'max' else 'avg'}_pool2d", (flat,),
                             _pool2d(kind, {**a, **wide}, (1, *sizes)))  # fmt: skip
        builder.result(node, "reshape", (pooled,), {"apply": Reshape((-1, channels, int(dims_of(node)[2])))})
    elif kind == "max":
        _max_pool3d(builder, node, a, source)
    else:
        _avg_pool3d(builder, node, kind, a, source)


def _given(a: dict[str, Any], key: str) -> bool:
    return key in a and a[key] is not None and a[key] != []


def _ints(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(int(v) for v in value)


def _pool2d(kind: str, a: dict[str, Any], sizes: tuple[Any, ...]) -> dict[str, Any]:
    if kind == "max":
        return max_pool_attrs(a)
    return avg_pool_attrs(a) if kind == "avg" else adaptive_avg_attrs(a, (int(sizes[0]), int(sizes[1])))


def _max_pool3d(builder: Builder, node: Any, a: dict[str, Any], source: str) -> None:
    channels, depth, height, width = (int(s) for s in dims_of(a["self"])[1:])
    out_d, out_h, out_w = (int(s) for s in dims_of(node)[2:])
    each = {key: _three(a[key]) for key in ("kernel_size", "stride", "padding", "dilation") if _given(a, key)}
    planes = {key: value[1:] for key, value in each.items()}
    lines = {key: (value[0], LOWEST[key]) for key, value in each.items()}
    flat = builder.add(f"{node.name}_planes", "reshape", (source,),
                       {"apply": Reshape((-1, channels * depth, height, width))})  # fmt: skip
    pooled = builder.add(f"{node.name}_pool", "max_pool2d", (flat,), max_pool_attrs({**a, "stride": [], **planes}))
    tall = builder.add(f"{node.name}_lines", "reshape", (pooled,),
                       {"apply": Reshape((-1, channels, depth, out_h * out_w))})  # fmt: skip
    done = builder.add(f"{node.name}_depth", "max_pool2d", (tall,), max_pool_attrs({**a, "stride": [], **lines}))
    builder.result(node, "reshape", (done,), {"apply": Reshape((-1, channels, out_d, out_h, out_w))})


def _avg_pool3d(builder: Builder, node: Any, kind: str, a: dict[str, Any], source: str) -> None:
    if kind == "adaptive_avg":
        if _three(a["output_size"]) != (1, 1, 1):
            raise Rejected("adaptive average pooling of three dimensions to anything but one value")
        builder.result(node, "function", (source,), function_attrs("mean", dim=(2, 3, 4), keepdim=True))
        return
    if a["divisor_override"]:
        raise Rejected("average pooling with divisor_override")
    kernel = _three(a["kernel_size"])
    attrs = function_attrs(
        "avg_pool3d", kernel_size=kernel, stride=_three(a["stride"]) if a["stride"] else kernel,
        padding=_three(a["padding"]), ceil_mode=bool(a["ceil_mode"]), count_include_pad=bool(a["count_include_pad"]),
    )  # fmt: skip
    builder.result(node, "function", (source,), attrs)


def _three(value: Any) -> tuple[int, ...]:
    values = _ints(value)
    return values * 3 if len(values) == 1 else values
