"""The laws of cost models as tests: subclass `MachineLaws` and say how a machine is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from axdnn.hardware import Machine, batched
from axdnn.records import Assignment, CostReport, InfeasibleError, InvalidInputError, Layer, Multiplier, Network


def _layer(name: str, m: int, k: int, n: int, groups: int = 1, inputs: int | None = None) -> Layer:
    return Layer(
        name=name, kind="conv2d", m=m, k=k, n=n, groups=groups, input_words=inputs or groups * m * k,
        output_words=groups * m * n, in_shape=(1,), out_shape=(1,),
    )  # fmt: skip


def law_network() -> Network:
    """Return a network with a large, a small, a grouped, a depthwise and a fully connected layer."""
    layers = (
        _layer("stem", 784, 27, 16, inputs=2352), _layer("body", 196, 144, 32, inputs=3136),
        _layer("grouped", 196, 72, 16, groups=2, inputs=6272),
        msgspec.structs.replace(_layer("depthwise", 196, 9, 1, groups=32, inputs=6272), kernel=(3, 3)),
        _layer("head", 1, 512, 10),
    )  # fmt: skip
    return Network(name="laws", layers=layers, peak_activation_words=12000)


class MachineLaws:
    """What every machine must hold. Override `machine`, and `assignment` and `multipliers` if it needs more than exact.

    `options` may give the machine's own options of `cost`, to hold the laws under them.
    `tolerance` is that of sums of energies, relative.
    """

    tolerance = 1e-9

    def machine(self) -> Machine:
        """Return the machine under test."""
        raise NotImplementedError

    def assignment(self, network: Network) -> Assignment | None:
        """Return the assignment to price; None = exact."""
        return None

    def multipliers(self) -> Mapping[str, Multiplier]:
        """Return the multipliers of the assignment."""
        return {}

    def options(self) -> Mapping[str, Any]:
        """Return further options of `cost`."""
        return {}

    def price(self, network: Network, pods: Mapping[str, int] | None = None) -> CostReport:
        """Price one network; with `pods` on these pods of each kind."""
        assignment = self.assignment(network)
        if assignment is not None and pods:
            assignment = msgspec.structs.replace(assignment, pods=dict(pods))
        found = self.machine().cost(network, assignment, multipliers=self.multipliers(), **self.options())
        assert isinstance(found, CostReport)
        return found

    def test_it_is_a_machine(self) -> None:
        """The interface is there, and every source says something."""
        machine = self.machine()
        assert isinstance(machine, Machine)
        assert machine.name
        assert machine.description
        assert machine.sources
        assert all(text.strip() for text in machine.sources.values())

    def test_a_report_names_what_was_priced(self) -> None:
        """Network, machine, and every layer in order."""
        network = law_network()
        report = self.price(network)
        assert (report.network, report.accelerator) == (network.name, self.machine().name)
        assert tuple(layer.layer for layer in report.layers) == network.layer_names
        assert [layer.macs for layer in report.layers] == [layer.macs for layer in network.layers]
        assert report.sources

    def test_breakdowns_sum_to_totals(self) -> None:
        """Energy by layer and component, with operators where the totals contain them; area and memory by component."""
        report = self.price(law_network())
        assert sum(report.energy_breakdown_j.values()) == pytest.approx(report.energy_j, rel=self.tolerance)
        parts = (*report.layers, *(report.operators if report.operators_included else ()))
        assert sum(x.total_energy_j for x in parts) == pytest.approx(report.energy_j, rel=self.tolerance)
        assert sum(report.area_breakdown_m2.values()) == pytest.approx(report.area_m2, rel=self.tolerance)
        assert sum(report.memory_breakdown_bytes.values()) == report.memory_bytes
        components = {frozenset(layer.energy_j) for layer in report.layers}
        assert len(components) == 1, "every layer has the same components"

    def test_figures_are_finite_and_not_negative(self) -> None:
        """No negative energy, stall or utilisation, no NaN."""
        report = self.price(law_network())
        for value in (report.energy_j, report.latency_s, report.area_m2):
            assert math.isfinite(value)
            assert value > 0
        for layer in report.layers:
            assert layer.latency_s > 0
            assert 0 < layer.utilisation <= 1 + 1e-9
            assert all(math.isfinite(e) and e >= 0 for e in layer.energy_j.values())

    def test_prices_do_not_depend_on_company(self) -> None:
        """Several networks at once cost what each costs alone; names do not matter."""
        network = law_network()
        other = msgspec.structs.replace(network, name="other", layers=network.layers[:2])
        given = [self.assignment(n) for n in (network, other)]
        one = None if None in given else [a for a in given if a is not None]
        both = self.machine().cost([network, other], one, multipliers=self.multipliers(), **self.options())
        assert isinstance(both, tuple)
        assert both == (self.price(network), self.price(other))

    def test_more_work_never_costs_less(self) -> None:
        """More rows, columns or terms of a layer: no less energy, and no less time on the same pods.

        Pods are shared out for least energy, so another layer may get more of them.
        """
        network = law_network()
        before = self.price(network)
        body = network.layers[1]
        for field in ("m", "k", "n"):
            grown = {field: 2 * getattr(body, field), "input_words": 2 * body.input_words}
            larger = msgspec.structs.replace(body, **grown, output_words=2 * body.output_words)
            layers = (network.layers[0], larger, *network.layers[2:])
            more = msgspec.structs.replace(network, layers=layers)
            assert self.price(more).energy_j >= before.energy_j, field
            assert self.price(more, before.pods).latency_s >= before.latency_s * (1 - 1e-12), field

    def test_a_batch_is_no_cheaper_than_one_and_no_dearer_than_many(self) -> None:
        """A batch of four (whose activations fit where those of one do): between one inference and four."""
        network = law_network()
        one = self.price(network)
        four = self.price(batched(network, 4))
        assert one.energy_j < four.energy_j <= 4 * one.energy_j * (1 + 1e-9)
        assert one.latency_s < four.latency_s <= 4 * one.latency_s * (1 + 1e-9)

    def test_what_cannot_be_priced_is_refused(self) -> None:
        """A network without layers is an error that says so."""
        with pytest.raises((InvalidInputError, InfeasibleError), match=r"layer"):
            self.price(Network(name="empty", layers=()))
