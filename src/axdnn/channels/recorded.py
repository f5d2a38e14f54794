"""Which channels each part of a layer has, as text beside a result, and back."""

from __future__ import annotations

from collections.abc import Mapping

from axdnn.channels.calibration import ChannelCalibration
from axdnn.channels.splitting import Part
from axdnn.evaluation import CodingBank
from axdnn.records import RecordError

KEY = "channels of "


def recorded_channels(bank: CodingBank) -> dict[str, str]:
    """Return `channels of conv1.part0` -> `0 3 5` for each part of a split network; nothing of another one."""
    return {KEY + name: " ".join(map(str, part.channels)) for name, part in _parts(bank).items()}


def recorded_importance(provenance: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    """Return an importance of channels that splits layers as they were split, see `split_channels`.

    So a network is split again without measuring anything, on any machine alike.

    Args:
        provenance: of a result, with what `recorded_channels` gave.

    Raises:
        RecordError: it cannot be read.
    """
    parts: dict[str, dict[int, list[int]]] = {}
    try:
        for key, text in provenance.items():
            if key.startswith(KEY):
                layer, _, number = key.removeprefix(KEY).rpartition(".part")
                parts.setdefault(layer, {})[int(number.lstrip("_"))] = [int(channel) for channel in text.split()]
        found = {}
        for layer, members in parts.items():
            values = {channel: -float(i) for i, channels in members.items() for channel in channels}
            found[layer] = tuple(values[channel] for channel in range(len(values)))
    except (KeyError, ValueError) as error:
        raise RecordError(f"the channels of the parts of layers cannot be read: {error!r}") from error
    return found


def _parts(bank: CodingBank) -> Mapping[str, Part]:
    calibration = bank.calibration
    return calibration.split.parts if isinstance(calibration, ChannelCalibration) else {}
