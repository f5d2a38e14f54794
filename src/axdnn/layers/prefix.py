"""Work that choices of multipliers share: a value is known by what computes it, and is computed once.

Two approximate networks of one model agree up to the first node where anything differs: a layer's circuit, codes,
scale, bias or what it leaves out, or the codes that a consumer asks for. The key of a node is a hash of its own content
and of the keys of what it reads, back to the images (a Merkle tree): equal keys mean equal values, to the last bit. A
run first goes backward from its result and asks only for what is not held, so that nothing is computed that a later
value makes needless. Calibration is shared the same way: the scale and bias regressed for a layer follow from its
content and the key of its input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from axdnn.layers.activations import ActivationCache
from axdnn.layers.digest import digest_of
from axdnn.layers.emission import Emission
from axdnn.layers.integer import ScaledSums
from axdnn.quant import PASSING_OPS, Node
from axdnn.records import InvalidInputError

if TYPE_CHECKING:
    from axdnn.layers.model import ApproxModel

BATCH = 500
Forms = Mapping[Emission, torch.Tensor]
Keys = Mapping[str, str]


class Recall:
    """What one run takes from a cache, what it computes, and what it leaves there.

    Args:
        cache: of this model.
        model: to be run.
        keys: of its nodes on the images of the run, see `node_keys`.
        images: how many.
        unfitted: layers whose input is wanted whatever is held, to calibrate them.
    """

    def __init__(
        self,
        cache: ActivationCache,
        model: ApproxModel,
        keys: Keys,
        images: int,
        unfitted: frozenset[str] = frozenset(),
    ) -> None:
        if model.nodes is not cache.calibration.model.nodes:
            raise InvalidInputError("a cache of activations must be of the model that is run, but it is of another one")
        self._cache, self._keys, self._images, self._unfitted = cache, keys, images, unfitted
        self._products = _products(model)
        self._found: dict[str, dict[Emission, torch.Tensor]] = {name: {} for name in model.nodes}
        self._missing: dict[str, list[Emission]] = {name: [] for name in model.nodes}
        self._lasting: set[tuple[str, Emission]] = set()
        self._ask(model)

    def _ask(self, model: ApproxModel) -> None:
        """Find, from the output backward, what is held, what has to be computed for the rest, what of it to keep."""
        asked: dict[str, dict[Emission, None]] = {name: {} for name in model.nodes}
        for node in reversed(model.nodes.values()):
            for form in asked[node.name]:
                value = self._cache.get((self._keys[node.name], form))
                if value is None:
                    self._missing[node.name].append(form)
                else:
                    self._found[node.name][form] = value
            made: list[Emission | None] = [*self._missing[node.name]]
            if node.op == "output" or node.name in self._unfitted:
                made.append(None)
            for source, form in [read for one in made for read in reads(model, node, one)]:
                asked[source][form] = None
                # What one operator only passes on is kept as what it becomes; branches that are joined, each by itself.
                joins = ("cat", "stack")
                if model.nodes[source].op not in joins and (node.op in joins or node.op not in PASSING_OPS):
                    self._lasting.add((source, form))

    def complete(self, node: Node, compute: Callable[[Node, Sequence[Emission]], Forms]) -> Forms:
        """Return the forms of a node's value that the run needs, from the cache or computed.

        Args:
            node: whose turn it is.
            compute: returns the given forms of its value.
        """
        name, forms = node.name, self._missing[node.name]
        runs = bool(forms) or name in self._unfitted
        made = compute(node, forms) if runs else {}
        if node.is_layer:
            (self._cache.computed if runs else self._cache.recalled)[node.layer_name] += self._images
        for form, value in made.items():
            if (name, form) in self._lasting:
                self._cache.put((self._keys[name], form), value, self._products[name] * self._images)
        return {**self._found[name], **made}


def reads(model: ApproxModel, node: Node, form: Emission | None) -> list[tuple[str, Emission]]:
    """Return what a node reads to make its value in a form: names of producers and forms of their values.

    Args:
        model: the network.
        node: of it.
        form: None will do unless the node passes codes on.
    """
    if node.is_layer:
        return list(zip(node.inputs, model.layer(node.layer_name).forms, strict=True))
    if node.op in ("output", "function"):
        return [(source, Emission(None)) for source in node.inputs]
    if node.op == "constant":  # reads nothing but the size of the batch
        return []
    if node.op in PASSING_OPS:
        assert form is not None
        same = form.clamped(node.attrs["min"], node.attrs["max"]) if node.op == "clamp" else form
        return [(source, same) for source in node.inputs]
    return [(source, Emission(model.operator_encodings[node.name, i])) for i, source in enumerate(node.inputs)]


def layer_contents(model: ApproxModel) -> dict[str, str]:
    """Return, for each layer, a hash of everything in it that decides its sums and their scale."""
    found = {}
    for name in model.layer_names:
        layer = model.layer(name)
        coding, terms = layer.coding, "" if layer.terms is None else digest_of(layer.terms)
        tensors = digest_of(coding.w_scale, layer.skipped, *layer.state_dict().values())
        found[name] = f"{layer.multiplier.id}{coding.encoding}{coding.w_encoding}{coding.w_zero}{tensors}{terms}"
    return found


def node_keys(model: ApproxModel, contents: Mapping[str, str], source: str) -> dict[str, str]:
    """Return a key for each node, the same for equal values whatever form they are handed on in.

    Args:
        model: the network.
        contents: of its layers, see `layer_contents`.
        source: tells the images from any others.
    """
    keys: dict[str, str] = {}
    for node in model.nodes.values():
        own = source if node.op == "input" else contents[node.layer_name] if node.is_layer else ""
        own += "".join(str(model.operator_encodings.get((node.name, i), "")) for i in range(len(node.inputs)))
        text = "\n".join([node.name, own, *(keys[i] for i in node.inputs)])
        keys[node.name] = hashlib.sha256(text.encode()).hexdigest()
    return keys


class Fits:
    """Scales and biases of one network that is being calibrated: known ones are set, the others are kept when fitted.

    Args:
        cache: of the calibration.
        model: freshly built, its scales and biases not yet regressed.
        in_order: whether each layer is fitted on what the layers before it make of the calibration images.
    """

    def __init__(self, cache: ActivationCache, model: ApproxModel, in_order: bool) -> None:
        contents = layer_contents(model)
        self._cache = cache
        self._keys = node_keys(model, contents, "calibration") if in_order else contents
        for name in model.layer_names:
            if self._keys[name] in cache.affine:
                layer = model.layer(name)
                layer.scale, layer.bias = (t.clone() for t in cache.affine[self._keys[name]])
        self.left = frozenset(name for name in model.layer_names if self._keys[name] not in cache.affine)

    def recall(self, model: ApproxModel, images: int, left: frozenset[str]) -> Recall:
        """Return what the run of an in-order calibration shares, layers in `left` being fitted by it."""
        return Recall(self._cache, model, self._keys, images, left)

    def keep(self, layer: ScaledSums) -> None:
        """Keep the scale and bias of a layer that was fitted."""
        self._cache.affine[self._keys[layer.node.name]] = (layer.scale.clone(), layer.bias.clone())


def outputs_of(
    models: Sequence[ApproxModel],
    images: torch.Tensor,
    cache: ActivationCache | None,
    batch: int = BATCH,
    source: str = "",
) -> Iterator[tuple[int, torch.Tensor]]:
    """Run several networks of one captured model; what they share is computed once.

    All of them run on one batch of images before the next, so that no more is held than what a later one of them reads.
    Networks with a common prefix should stand together, see `prefix_order`.

    Args:
        models: built on one calibration, that of the cache.
        images: `(n, ...)`.
        cache: of activations; it also has those of earlier runs. None to compute each network from the images on.
        batch: images at once.
        source: tells the images from any others; a hash of them if empty.

    Yields:
        (index of the model, its outputs on the next batch, not to be changed); each model's batches come in order.
    """
    if cache is None:
        yield from ((j, model.run(part)) for part in images.split(batch) for j, model in enumerate(models))
        return
    source = source or digest_of(images)
    contents = [layer_contents(model) for model in models]
    for i, part in enumerate(images.split(batch)):
        keys = [node_keys(m, c, f"{source}/{i}/{batch}") for m, c in zip(models, contents, strict=True)]
        if len(models) == 1:
            yield 0, models[0].run(part, recall=Recall(cache, models[0], keys[0], len(part)))
            continue
        slots = [[(k[name], form) for name, form in model.forms] for model, k in zip(models, keys, strict=True)]
        with cache.awaiting(slot for of_model in slots for slot in of_model):
            for j, model in enumerate(models):
                recall = Recall(cache, model, keys[j], len(part))
                cache.done(slots[j])
                yield j, model.run(part, recall=recall)


def prefix_order(choices: Sequence[Sequence[Hashable]]) -> list[int]:
    """Return an order in which those that begin alike stand together: a walk through the tree of prefixes.

    Args:
        choices: what each candidate chooses, layer by layer in the order of execution. Branches come in the order in
            which they first occur.
    """
    first: list[dict[Hashable, int]] = [{} for _ in range(max(map(len, choices), default=0))]
    ranks = [[first[i].setdefault(value, len(first[i])) for i, value in enumerate(choice)] for choice in choices]
    return sorted(range(len(choices)), key=lambda i: ranks[i])


def _products(model: ApproxModel) -> dict[str, int]:
    """Products of one image that a node's value costs once the layers before it have their input."""
    macs = {layer.name: layer.macs for layer in model.network.layers}
    found: dict[str, int] = {}
    for node in model.nodes.values():
        found[node.name] = macs[node.layer_name] if node.is_layer else sum(found[i] for i in node.inputs)
    return found
