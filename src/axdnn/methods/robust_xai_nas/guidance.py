"""What explanations do in robust XAI-NAS: they bias which layer is changed and how, and they choose where to begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from axdnn.methods.robust_xai_nas.importance import Explained, load_explained, shapes_of
from axdnn.nas import HEAD, HEAD_MULTIPLIER, Layout, SpaceOptions, layer_name, layout_of, module_name, repaired
from axdnn.records import Scalar
from axdnn.search import Guidance

STRONGEST = 4.0  # a layer is changed at most so many times as often as one of mean importance, and at least 1 / so many
STRENGTHS = (1 / 3, 2 / 3)  # of the seeds after the exact one, as shares of the ladder
Candidate = Mapping[str, Scalar]


def guide(networks: str, space: Mapping[str, Any]) -> Callable[[Candidate], Guidance]:
    """Return the guidance of a search; named, so that every worker makes its own.

    Args:
        networks: folder of explanations.
        space: `SpaceOptions.as_dict()`.
    """
    options, folder = SpaceOptions.from_dict(space), Path(networks)
    held: dict[str, Explained] = {}

    def guidance(candidate: Candidate) -> Guidance:
        layout = layout_of(candidate, options)
        for path in sorted(folder.glob("*.json")):
            if path.stem not in held:
                found = load_explained(path)
                if found is not None:
                    held[path.stem] = found
        known = nearest(layout, held.values())
        return Guidance() if known is None else guidance_of(layout, known, options)

    return guidance


def nearest(layout: Layout, known: Any) -> Explained | None:
    """Return the explanation of a layout, else of the network with most equal blocks, or None if there is none.

    A child of two parents was never trained, so it goes by what it has most of.
    """
    shapes = shapes_of(layout)

    def likeness(found: Explained) -> tuple[bool, int, int, str]:
        equal = sum(a == b for a, b in zip(shapes, found.shapes, strict=False))
        return found.topology == layout.topology, equal, -abs(len(shapes) - len(found.shapes)), found.topology

    return max(known, key=likeness, default=None)


def importance_of(layout: Layout, known: Explained) -> tuple[list[float], float]:
    """Return the importance of each block, 1 for those that the explained network lacks, and of the linear layer."""
    blocks = [known.importance.get(module_name(layer_name(i)), 1.0) for i in range(len(layout.blocks))]
    return blocks, known.importance.get(HEAD, 1.0)


def guidance_of(layout: Layout, known: Explained, options: SpaceOptions) -> Guidance:
    """Return the bias of mutation that importance suggests.

    A layer of little importance z (mean 1) is changed more often in multiplier and skipped share, as 1 / z, and in
    shape as z is far from 1 either way. Which way: a share 1 / (1 + z) of the changes goes to a coarser multiplier,
    more skipping, fewer channels and a smaller window, the rest to the contrary; near values are likelier, halving by
    step.
    """
    weights: dict[str, float] = {}
    preferences: dict[str, dict[Scalar, float]] = {}
    blocks, head = importance_of(layout, known)

    def add(path: str, values: Sequence[Scalar], now: Scalar, z: float, weight: float) -> None:
        weights[path] = weight
        if now in values:
            preferences[path] = leaning(values, now, 1.0 / (1.0 + z))

    for i, (block, z) in enumerate(zip(layout.blocks, blocks, strict=True)):
        ease, far = _bounded(1.0 / max(z, 1e-9)), _bounded(max(z, 1.0 / max(z, 1e-9)))
        add(f"layers/{i}/multiplier", options.multipliers, block.multiplier, z, ease)
        add(f"layers/{i}/skip", tuple(sorted(options.skips)), block.skip, z, ease)
        if not options.topology:
            add(f"layers/{i}/channels", _falling(options.channels), block.channels, z, far)
            add(f"layers/{i}/kernel", _falling(options.kernels), block.kernel, z, far)
    add(HEAD_MULTIPLIER, options.multipliers, layout.head_multiplier, head, _bounded(1.0 / max(head, 1e-9)))
    return Guidance(weights, preferences)


def leaning(values: Sequence[Scalar], now: Scalar, share: float) -> dict[Scalar, float]:
    """Return how likely each other value is: `share` for those after `now` together, the rest for those before.

    Where there is nothing on one side, all goes to the other.
    """
    place = list(values).index(now)
    found: dict[Scalar, float] = {}
    for side, chance in ((range(place + 1, len(values)), share), (range(place - 1, -1, -1), 1.0 - share)):
        total = sum(0.5**step for step in range(len(side)))
        for step, index in enumerate(side):
            found[values[index]] = max(chance, 1e-6) * 0.5**step / total
    return found


def seeds_of(options: SpaceOptions, base: Candidate, known: Explained | None) -> list[dict[str, Scalar]]:
    """Return where a search begins: the base network with exact multipliers, then approximated ever more.

    Args:
        options: of the space.
        base: the base network, exact and whole.
        known: its explanation: the least important layers get the coarsest multipliers and, at the larger strength, the
            less important half of them the smallest skipped share. None: all layers get the rung that is the mean of
            that, and nothing is skipped.
    """
    if len(options.multipliers) == 1:
        return [dict(base)]
    layout = layout_of(base, options)
    last = len(options.multipliers) - 1
    count = len(layout.blocks) + 1
    order = list(range(count))
    if known is not None:
        blocks, head = importance_of(layout, known)
        values = [*blocks, head]
        order = sorted(range(count), key=lambda i: values[i])
    seeds = [dict(base)]
    for strength in STRENGTHS:
        seed = dict(base)
        for rank, i in enumerate(order):
            ease = 0.5 if known is None else 1.0 - rank / (count - 1)
            path = f"layers/{i}/multiplier" if i < len(layout.blocks) else HEAD_MULTIPLIER
            seed[path] = options.multipliers[round(strength * last * ease)]
            skips = sorted(share for share in options.skips if share > 0)
            if known is not None and strength > 0.5 and ease > 0.5 and skips and i < len(layout.blocks):
                seed[f"layers/{i}/skip"] = skips[0]
        seeds.append(repaired(seed, options))
    return [seed for i, seed in enumerate(seeds) if seed not in seeds[:i]]


def base_candidate(options: SpaceOptions, topology: Sequence[Mapping[str, Scalar]], readout: str) -> dict[str, Scalar]:
    """Return the base network as a candidate, exact and whole, mended where the space does not offer its fields."""
    exact = options.multipliers[0]
    candidate: dict[str, Scalar] = {"layers": len(topology), HEAD_MULTIPLIER: exact}
    for i, block in enumerate(topology):
        candidate |= {f"layers/{i}/skip": 0.0, f"layers/{i}/multiplier": exact}
        if not options.topology:
            own = {"operator": block["operator"], "kernel": block["kernel"], "channels": block["channels"]}
            if block["operator"] == "conv":
                own["stride"] = block["stride"]
            candidate |= {f"layers/{i}/{name}": value for name, value in own.items()}
    return candidate if options.topology else {**candidate, "readout": readout}


def _bounded(value: float) -> float:
    return min(max(value, 1.0 / STRONGEST), STRONGEST)


def _falling(values: Sequence[Scalar]) -> tuple[Scalar, ...]:
    return tuple(sorted(values, reverse=True))
