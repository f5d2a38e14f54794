"""A multiplier for each group of output channels: layers split by channels, their calibration and codings."""

from axdnn.channels.bank import ChannelBank, coding_bank, cut_coding, described, noise_of
from axdnn.channels.calibration import ChannelCalibration, cut_sample
from axdnn.channels.recorded import recorded_channels, recorded_importance
from axdnn.channels.splitting import Part, SplitModel, require_groups, split_channels

__all__ = [
    "ChannelBank", "ChannelCalibration", "Part", "SplitModel", "coding_bank", "cut_coding", "cut_sample", "described",
    "noise_of", "recorded_channels", "recorded_importance", "require_groups", "split_channels",
]  # fmt: skip
