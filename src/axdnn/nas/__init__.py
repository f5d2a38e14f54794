"""Networks as a search space: layer-by-layer layouts, their decoding, brief training, integers and price."""

from axdnn.nas.integer import IntegerCandidate
from axdnn.nas.layout import HEAD, HEAD_MULTIPLIER, Block, Layout, layer_name, layout_of
from axdnn.nas.limits import Hook, repaired, why_not
from axdnn.nas.network import LayeredNetwork, build_network, inherit, module_name
from axdnn.nas.options import OPERATORS, READOUTS, SpaceOptions
from axdnn.nas.palette import error_of, ladder_of
from axdnn.nas.shelf import CandidateFile, Shelf, Trained
from axdnn.nas.space import network_space
from axdnn.nas.training import Training, train_briefly

__all__ = [
    "HEAD", "HEAD_MULTIPLIER", "OPERATORS", "READOUTS", "Block", "CandidateFile", "Hook", "IntegerCandidate",
    "LayeredNetwork", "Layout", "Shelf", "SpaceOptions", "Trained", "Training", "build_network", "error_of", "inherit",
    "ladder_of", "layer_name", "layout_of", "module_name", "network_space", "repaired", "train_briefly", "why_not",
]  # fmt: skip
