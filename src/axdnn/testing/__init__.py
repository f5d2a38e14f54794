"""Conformance kits: classes of checks that plugin authors and axdnn's own tests both use. Needs pytest."""

from axdnn.testing.attacks import AttackLaws, law_images, law_victims
from axdnn.testing.counting import counted_images
from axdnn.testing.machines import MachineLaws, law_network
from axdnn.testing.scorers import ScorerLaws
from axdnn.testing.search_samplers import SamplerLaws
from axdnn.testing.search_spaces import SpaceLaws

__all__ = [
    "AttackLaws", "MachineLaws", "SamplerLaws", "ScorerLaws", "SpaceLaws", "counted_images", "law_images",
    "law_network", "law_victims",
]  # fmt: skip
