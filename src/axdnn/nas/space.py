"""`network_space`: layer-by-layer convolutional networks as a search space."""

from __future__ import annotations

from axdnn.nas.layout import HEAD_MULTIPLIER
from axdnn.nas.limits import Hook
from axdnn.nas.options import SpaceOptions
from axdnn.records import InvalidInputError
from axdnn.search import Categorical, Repeat, Space, When


def network_space(options: SpaceOptions) -> Space:
    """Return the space of the networks that options allow.

    A candidate has `layers` blocks with `operator`, `kernel`, `stride` (of a `conv`), `channels` (not of a `residual`,
    which keeps those before it), `skip` and `multiplier`, and the fields `readout` and `head_multiplier`. With a fixed
    topology only `skip`, `multiplier` and `head_multiplier` are left.

    Args:
        options: choices and limits.

    Raises:
        InvalidInputError: a fixed topology that is none, or breaks a limit whatever else is chosen.
    """
    multiplier = Categorical(name="multiplier", values=options.multipliers)
    skip = Categorical(name="skip", values=tuple(float(share) for share in options.skips))
    head = Categorical(name=HEAD_MULTIPLIER, values=options.multipliers)
    plain = options.as_dict()
    hooks = {"check": Hook("axdnn.nas.limits:checker", plain), "repair": Hook("axdnn.nas.limits:repairer", plain)}
    if options.topology:
        layers = len(options.topology)
        space = Space((Repeat(name="layers", least=layers, most=layers, fields=(skip, multiplier)), head), **hooks)
        _require_topology(space, options)
        return space
    block = (
        Categorical(name="operator", values=options.operators),
        Categorical(name="kernel", values=options.kernels),
        Categorical(name="stride", values=options.strides, when=_only(options, "conv")),
        Categorical(name="channels", values=options.channels, when=_only(options, "conv", "pool")),
        skip,
        multiplier,
    )
    fields = (
        Repeat(name="layers", least=options.least, most=options.most, fields=block),
        Categorical(name="readout", values=options.readouts),
        head,
    )
    return Space(fields, **hooks)


def _only(options: SpaceOptions, *operators: str) -> tuple[When, ...]:
    """Return the condition that the operator is one of these, as far as they are offered."""
    offered = tuple(name for name in operators if name in options.operators)
    return () if set(offered) == set(options.operators) else (When(field="operator", values=offered),)


def _require_topology(space: Space, options: SpaceOptions) -> None:
    """Refuse a topology that breaks a limit, at the choice of multipliers and shares that breaks fewest."""
    first = {slot.path: slot.domain.values[0] for slot in space.slots if isinstance(slot.domain, Categorical)}
    try:
        reason = space.why_invalid({**first, "layers": len(options.topology)})
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            "each layer of `topology` must have operator, kernel, stride (conv) and channels (conv, pool), "
            f"but: {error!r}"
        ) from error
    if reason:
        raise InvalidInputError(f"`topology` must keep the limits, but {reason}")
