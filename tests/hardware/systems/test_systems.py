"""Systems of several cores: the laws of cost models, the mapping against enumeration, files and their faults."""

import itertools

import numpy as np
import pytest
import yaml

from axdnn.hardware import exact_assignment, list_machines, load_accelerator, load_machine, machine_faults
from axdnn.hardware.design_files import shipped_text
from axdnn.hardware.imc import load_imc_chip
from axdnn.hardware.mapping import given
from axdnn.hardware.systems import SystemChip, core_costs, shipped_system_text
from axdnn.multipliers import load_multiplier
from axdnn.records import InfeasibleError, InvalidInputError, UnknownNameError
from axdnn.testing import MachineLaws, law_network

EXACT = {"exact": load_multiplier("exact")}


class TestShipped(MachineLaws):
    """The NPU with macros."""

    def machine(self):
        return load_machine("npu_cim")


class TestTwoOfAKind(MachineLaws):
    """Two systolic arrays of different size behind one buffer."""

    def machine(self):
        large = load_accelerator("tpu_v4").replace(pods=1)
        return load_machine("npu_cim").replace(cores={"large": large, "small": large.replace(rows=16, columns=16)})


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_mapping_is_the_best_of_all(objective):
    chip, network = load_machine("npu_cim"), law_network()
    problem = core_costs(chip, network, exact_assignment(network), EXACT).problem
    report = chip.cost(network, objective=objective)
    best = np.inf
    for cores in itertools.product(range(2), repeat=len(network.layers)):
        if all(problem.allowed[i, c] for i, c in enumerate(cores)):
            one = given(problem, cores, objective)
            best = min(best, one.value if one.feasible else np.inf)
    value = {"energy": report.energy_j, "latency": report.latency_s, "edp": report.energy_j * report.latency_s}
    assert value[objective] == pytest.approx(best, rel=1e-9)


def test_what_a_core_costs_is_what_its_own_model_says():
    chip, network = load_machine("npu_cim"), law_network()
    costs = core_costs(chip, network, exact_assignment(network), EXACT)
    npu = load_accelerator("edge_16x16").cost(network)
    for i, layer in enumerate(npu.layers):
        assert costs.problem.latency_s[i, 0] == pytest.approx(layer.latency_s)
        assert costs.problem.energy_j[i, 0] == pytest.approx(layer.total_energy_j - layer.energy_j["static"])
    cim = load_imc_chip("sram_cim").cost(network)
    for i, layer in enumerate(cim.layers):
        dynamic = layer.total_energy_j - layer.energy_j["leakage"] - layer.energy_j["programming"]
        assert costs.problem.energy_j[i, 1] == pytest.approx(dynamic)


def test_one_core_alone_is_that_core_and_shared_power():
    npu = load_accelerator("edge_16x16")
    chip = load_machine("npu_cim").replace(cores={"npu": npu}, shared_static_w=0.0)
    found, alone = chip.cost(law_network()), npu.cost(law_network())
    assert found.energy_j == pytest.approx(alone.energy_j)
    assert found.latency_s == pytest.approx(alone.latency_s)
    assert {x.bound for x in found.layers} == {"npu"}


def test_a_pipeline_is_never_slower_than_a_series():
    chip, network = load_machine("npu_cim"), law_network()
    series, pipeline = chip.cost(network, objective="latency"), chip.cost(network, schedule="pipelined")
    period = float(pipeline.notes[0].split("every ")[1].split(" s")[0])
    assert period <= series.latency_s * (1 + 1e-3)


def test_a_layer_that_no_core_runs_is_an_answer():
    chip = load_machine("npu_cim").replace(cores={"cim": load_imc_chip("sram_cim")}, depthwise="illegal")
    with pytest.raises(InfeasibleError, match="depthwise"):
        chip.cost(law_network())
    with pytest.raises(UnknownNameError, match="schedule"):
        chip.cost(law_network(), schedule="parallel")
    with pytest.raises(InvalidInputError, match="at least one core"):
        chip.replace(cores={})


def test_files_and_their_faults(tmp_path):
    assert list_machines()["npu_cim"] == "system"
    data, mine = yaml.safe_load(shipped_system_text("npu_cim")), tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(data))
    assert machine_faults(mine) == []
    assert isinstance(load_machine(mine), SystemChip)
    data["cores"] = {"npu": "edge_16x17", "other": "npu_cim"}
    data["rules"]["depthwise"] = "bad"
    data["link"]["latency"]["value"] = -1
    data["link"]["width"] = 3
    del data["memory"]["dram"], data["static"]
    mine.write_text(yaml.safe_dump(data))
    said = ("cores.npu", "edge_16x16", "`cores.other`: must be a systolic or in-memory design",
            "`rules.depthwise` must be one of fine, poor, illegal", "`link.latency`.value must be",
            "unknown key `link.width`", "`memory.dram` is missing", "`static` is missing")  # fmt: skip
    faults = machine_faults(mine)
    assert len(faults) == 7
    assert all(any(words in fault for fault in faults) for words in said)
    with pytest.raises(InvalidInputError, match=r"link\.width"):
        load_machine(mine)


def written(path, **changes):
    path.write_text(yaml.safe_dump({**yaml.safe_load(shipped_system_text("npu_cim")), **changes}))
    return path


def test_cores_are_found_beside_the_file(tmp_path, monkeypatch):
    """As the chip of a bank is, whatever folder the command runs in."""
    (tmp_path / "chips").mkdir()
    npu = shipped_text("axdnn.hardware", "edge_16x16").replace("edge_16x16", "mine")
    (tmp_path / "chips" / "npu.yaml").write_text(npu)
    mine = written(tmp_path / "mine.yaml", cores={"npu": "chips/npu.yaml", "cim": "sram_cim"})
    absolute = written(tmp_path / "absolute.yaml", cores={"npu": str(tmp_path / "chips" / "npu.yaml")})
    for folder in (tmp_path, tmp_path / "chips"):
        monkeypatch.chdir(folder)
        assert {name: core.name for name, core in load_machine(mine).cores.items()} == {
            "npu": "mine",
            "cim": "sram_cim",
        }
        assert load_machine(absolute).cores["npu"].name == "mine"
    (fault,) = machine_faults(written(tmp_path / "lost.yaml", cores={"npu": "npu.yaml"}))
    assert f"`cores.npu`: cannot read the accelerator file {tmp_path / 'npu.yaml'}" in fault


@pytest.mark.parametrize("through", [[], ["second.yaml"], ["second.yaml", "third.yaml"]])
def test_a_system_that_names_itself_is_a_fault(tmp_path, through):
    """Itself, or in a ring of files: it is no core, and is not read as one."""
    ring = ["mine.yaml", *through]
    for name, core in zip(ring, [*through, "mine.yaml"], strict=True):
        written(tmp_path / name, cores={"npu": "edge_16x16", "other": core})
    mine, core = tmp_path / "mine.yaml", [*through, "mine.yaml"][0]
    (fault,) = machine_faults(mine)
    said = f"`cores.other`: must be a systolic or in-memory design, but '{tmp_path / core}' is of kind 'system'"
    assert fault == f"{mine}: {said}"
    with pytest.raises(InvalidInputError, match="is of kind 'system'"):
        load_machine(mine)


def test_names_that_a_core_cannot_have(tmp_path):
    """The areas of a report are by name, and those of the shared parts must not take the place of a core's."""
    cores = {"buffer": "edge_16x16", "links": "sram_cim", 3: "sram_cim", " ": "sram_cim", "npu": ["edge_16x16"]}
    faults = machine_faults(written(tmp_path / "mine.yaml", cores=cores))
    said = ("`cores.buffer`: the name of a core must not be buffer or links", "`cores.links`: the name of a core must",
            "`cores.3`: the name of a core must be a text, but got 3", "must be a text, but got ' '",
            "`cores.npu` must be the name of an accelerator or the path of its file, but got [")  # fmt: skip
    assert len(faults) == len(said)
    assert all(any(words in fault for fault in faults) for words in said)
    chip = load_machine("npu_cim")
    with pytest.raises(InvalidInputError, match="must not be buffer or links"):
        chip.replace(cores={"buffer": chip.cores["npu"]})
