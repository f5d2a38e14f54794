"""Scaled dot-product attention as two products of activations around a softmax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from axdnn.quant.functions import function_attrs
from axdnn.quant.fx_nodes import caller_path, dims_of
from axdnn.quant.layer_rules import add_product
from axdnn.quant.moves import Permute
from axdnn.quant.rejected import Rejected

if TYPE_CHECKING:
    from axdnn.quant.builder import Builder


def add_attention(builder: Builder, node: Any, a: dict[str, Any]) -> None:
    """Add the nodes of `scaled_dot_product_attention`; both products are layers, `...scores` and `...context`.

    Args:
        builder: receives the nodes.
        node: of the torch graph.
        a: call arguments.
    """
    if a["dropout_p"]:
        raise Rejected("attention with dropout that is active in eval mode")
    query, key, value = (builder.value(a[name]) for name in ("query", "key", "value"))
    sizes = dims_of(a["query"])
    if len(sizes) != len(dims_of(a["key"])) or sizes[1:-2] != dims_of(a["key"])[1:-2]:
        raise Rejected("attention whose queries and keys have different numbers of heads")
    mask = None if a["attn_mask"] is None else builder.tensor(a["attn_mask"])
    scale = 1.0 / math.sqrt(int(sizes[-1])) if a["scale"] is None else float(a["scale"])
    rank, path = len(sizes), caller_path(node) or node.name
    turn = {"apply": Permute((*range(rank - 2), rank - 1, rank - 2))}
    turned = builder.add(f"{node.name}_keys", "reshape", (key,), turn)
    scores = add_product(builder, f"{path}.scores", query, turned)
    weights = function_attrs("attention_weights", scale=scale, causal=bool(a["is_causal"]), mask=mask)
    soft = builder.add(f"{node.name}_weights", "function", (scores,), weights)
    builder.alias[node.name] = add_product(builder, f"{path}.context", soft, value)
