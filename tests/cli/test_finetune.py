"""`axdnn generate --recover ...,finetune`: the network in the folder is the one judged, whatever kills the run."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axdnn.cli.finetune_options import FINETUNE_HELP, finetune_options
from axdnn.data import load_dataset
from axdnn.generation import TuningOptions
from axdnn.methods import TuningRequest, load_run
from axdnn.records import GenerationResult, load_record
from axdnn.retraining import FineTuning, ShiftAndMirror
from axdnn.testing import counted_images

Command = Callable[..., Any]
Server = Callable[..., tuple[int, dict[str, Any], str]]
PLAIN = (
    "generate", "--model", "lenet5", "--data", "mnist", "--multipliers", "mul8u_13QR", "--score", "none",
    "--evaluations", 6, "--search-images", 400, "--accept-images", 400, "--test-images", 400, "--objective",
    "multiplier", "--max-accuracy-loss", 2, "--quiet",
)  # fmt: skip
# No step of the conversion helps the coarse circuit, so that there is something for training to win back.
TRAINED = (
    *PLAIN, "--recover", "finetune",
    *(part for text in ("epochs=1", "images=2560", "rounds=2", "first=30", "shift=0", "rate=0.002")
      for part in ("--finetune", text)),
)  # fmt: skip
STEPS = 2 * 2 * 20  # of two trainings, each with two optimisers, 20 batches
KILLED = -signal.SIGKILL


def result_of(folder: Path, name: str = "result.json") -> GenerationResult:
    return load_record(GenerationResult, folder / name)


def test_options_are_read() -> None:
    steps = ["coding", "finetune"]
    assert finetune_options(None, ["coding"], None) is None
    assert finetune_options(None, steps, None) == TuningRequest()
    texts = [
        "epochs=5",
        "rate=1e-4",
        "batch = 64",
        "distillation=0.7",
        "rounds=1",
        "first=8",
        "bolder=1.5",
        "images=9",
        "alternate=true",
    ]
    settings = FineTuning(epochs=5, learning_rate=1e-4, batch_size=64, distillation=0.7)
    options = TuningOptions(rounds=1, first=8.0, bolder=1.5, alternate=True, fine_tuning=settings)
    assert finetune_options(texts, steps, None) == TuningRequest(options=options, images=9)
    moved = finetune_options(["shift=2", "mirror=TRUE"], steps, None)
    assert moved is not None
    assert moved.augment == ShiftAndMirror(2, mirror=True)


def test_the_help_names_every_option(axdnn: Command) -> None:
    for word in (
        "rounds=3",
        "epochs=3",
        "images",
        "rate=0.001",
        "distillation=0.5",
        "first=1.3",
        "shift",
        "alternate=false",
    ):
        assert word in FINETUNE_HELP
    assert "--finetune" in axdnn("generate", "--help").out


@pytest.mark.data
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--finetune", "epochs=1"), "--recover"),
        (("--recover", "finetune", "--finetune", "epoch=1"), "epochs"),
        (("--recover", "finetune", "--finetune", "epochs"), "KEY=VALUE"),
        (("--recover", "finetune", "--finetune", "epochs=x"), "a whole number"),
        (("--recover", "finetune", "--finetune", "rate=x"), "a number"),
        (("--recover", "finetune", "--finetune", "mirror=x"), "true or false"),
        (("--recover", "finetune", "--finetune", "epochs=1", "--finetune", "epochs=2"), "twice"),
        (("--recover", "finetune", "--finetune", "epochs=0"), "epochs > 0"),
        (("--recover", "finetune", "--finetune", "images=0"), "images"),
        (("--recover", "finetune", "--finetune", "images=50001"), "50000"),
        (("--recover", "finetune", "--finetune", "distillation=2"), "distillation"),
        (("--recover", "finetune", "--front", "1,2"), "leave --front out"),
        (("--recover", "finetune", "--accelerator", "xai_gen"), "exact rows"),
        (("--recover", "finetune", "--skip", "auto"), "skipped neurons are not trained"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_work(
    options: tuple[str, ...], says: str, axdnn_data: Command, tmp_path: Path
) -> None:
    done = axdnn_data(*PLAIN, "--out", tmp_path / "run", *options)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which a trained network is accepted, with the images it sent through networks."""
    from axdnn.cli.main import run as command

    folder = tmp_path_factory.mktemp("finetune") / "run"
    with pytest.MonkeyPatch.context() as patch, counted_images() as seen:
        patch.setenv("AXDNN_CACHE", str(cache))
        assert command([str(v) for v in (*TRAINED, "--out", folder)]) == 0
    (folder.parent / "seen").write_text(str(sum(seen)))
    return folder


@pytest.mark.data
def test_the_result_is_that_of_the_trained_network(run: Path) -> None:
    result, untrained = result_of(run), result_of(run, "untrained.json")
    training = result.training
    assert training is not None
    assert training.chosen
    assert untrained.training is None
    assert (training.epochs, training.images, training.training_images) == (1, 2560, len(training.rounds) * 2560)
    assert result.images == {**untrained.images, "fit": 2560}
    assert result.status == "met"
    assert "fine-tuning" in result.reason
    assert any("2 bolder assignments were fine-tuned, 1 x 2,560 training images" in note for note in result.notes)
    assert result.multiplier_energy_j < untrained.multiplier_energy_j
    assert result.multiplier_energy_j == result.cost.multiplier_energy_j == result.chosen.multiplier_energy_j
    assert result.energy_j == result.cost.energy_j == pytest.approx(sum(result.cost.energy_breakdown_j.values()))
    assert {layer.layer: layer.multiplier for layer in result.cost.layers} == result.assignment
    assert result.assignment == result.chosen.assignment.multipliers
    assert result.accuracy == result.chosen.accuracy["test"].accuracy
    assert result.baseline_accuracy == untrained.baseline_accuracy, "the exact network is not trained"
    assert 100 * result.chosen.accuracy["accept"].loss_bound <= 2
    assert training.untrained == untrained.chosen
    assert [one.evaluation for one in training.rounds if one.evaluation.accepted] == [result.chosen]
    assert result.visited == (*untrained.visited, *(one.evaluation for one in training.rounds))
    assert result.evaluations == untrained.evaluations + sum(
        1 + len({"search", "accept"} & one.evaluation.accuracy.keys()) for one in training.rounds
    )
    assert not (run / "checkpoints").exists()


@pytest.mark.data
def test_every_image_is_counted(run: Path) -> None:
    """Networks under training are modules of their own, which the count of captured ones does not see."""
    result = result_of(run)
    assert result.training is not None
    surplus = int((run.parent / "seen").read_text()) - (result.network_images - result.training.training_images)
    assert 0 <= surplus <= 16, "copies that check the capture"


@pytest.mark.data
def test_without_finetune_it_is_the_untrained_result(run: Path, axdnn_data: Command, tmp_path: Path) -> None:
    assert axdnn_data(*PLAIN, "--recover", "none", "--out", tmp_path / "plain").code == 0
    plain, untrained = (
        json.loads(file.read_text()) for file in (tmp_path / "plain/result.json", run / "untrained.json")
    )
    assert {**plain, "wall_s": 0} == {**untrained, "wall_s": 0}


@pytest.mark.data
def test_the_saved_network_is_the_one_that_was_judged(run: Path, axdnn_data: Command, tmp_path: Path) -> None:
    result = result_of(run)
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*")}
    for split in ("search", "accept", "test"):
        found = json.loads(axdnn_data("simulate", run, "--split", split, "--format", "json", "--quiet").out)
        judged = result.chosen.accuracy[split]
        assert (found["accuracy"], found["baseline_accuracy"]) == (judged.accuracy, judged.baseline_accuracy)
        assert (found["loss_bound"], found["images"]) == (judged.loss_bound, judged.images)
    assert {file: file.stat().st_mtime_ns for file in run.rglob("*")} == before
    images, built = load_dataset("mnist").tensors("test", 32)[0], load_run(run)
    wanted = built.model()(images)
    assert not torch.equal(wanted, built.evaluator.model(built.assignment)(images)), "the weights were trained"
    literal = built.model()
    literal.path = "reference"
    assert torch.equal(literal(images), wanted)
    assert axdnn_data("export", run, "--to", "pt2", "--out", tmp_path / "net.pt2", "--quiet").code == 0
    with torch.no_grad():
        assert torch.equal(torch.export.load(tmp_path / "net.pt2").module()(images), wanted)


@pytest.mark.data
def test_report_and_rerun_show_what_training_added(run: Path, axdnn_data: Command) -> None:
    done = axdnn_data("report", run)
    assert done.code == 0
    for said in ("What training added", "without training", "trained, 2", "1 x 2,560 images of split fit"):
        assert said in done.out
    assert "What training added" in (run / "report.html").read_text(encoding="utf-8")
    again = axdnn_data(*TRAINED, "--out", run)
    assert again.code == 0
    assert "finished already" in again.err
    assert "What training added" in again.out
    other = axdnn_data(*TRAINED[:-2], "--out", run)
    assert other.code == 2
    assert "another run" in other.err
    compared = axdnn_data("report", run, run.parent / "run", "--out", run.parent)
    assert compared.code == 0


@pytest.mark.data
def test_a_network_file_that_changed_is_refused(run: Path, axdnn_data: Command, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    file = tmp_path / "run" / "network.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    done = axdnn_data("simulate", tmp_path / "run", "--quiet")
    assert done.code == 2
    assert "has changed since the run" in done.err
    file.unlink()
    done = axdnn_data("export", tmp_path / "run", "--to", "npz", "--quiet")
    assert done.code == 2
    assert "network.safetensors cannot be read" in done.err


@pytest.mark.data
def test_a_bolder_choice_that_is_refused_leaves_the_untrained_one(axdnn_data: Command, tmp_path: Path) -> None:
    """A learning rate at which training breaks the networks, or diverges."""
    for rate in ("0.5", "1e30"):
        out = tmp_path / rate
        assert axdnn_data(*TRAINED[:-1], f"rate={rate}", "--out", out).code == 0
        result, untrained = result_of(out), result_of(out, "untrained.json")
        assert result.training is not None
        assert len(result.training.rounds) == 2
        assert not result.training.chosen
        assert (result.assignment, result.accuracy, result.chosen) == (
            untrained.assignment, untrained.accuracy, untrained.chosen)  # fmt: skip
        assert not (out / "network.safetensors").exists()
        assert "this is the choice without training" in " ".join(result.notes)
        assert json.loads(axdnn_data("simulate", out, "--format", "json").out)["accuracy"] == result.accuracy


Kill = tuple[tuple[str, str, int], int]
KILLS: tuple[Kill, ...] = (  # and the steps of optimisers that are done for good
    (("rename", r"^run/untrained\.json", 1), 0), (("chmod", r"checkpoints/", 1), 0),
    (("open", r"^run/checkpoints/", 2), 40), (("rename", r"^run/network\.safetensors", 1), 80),
    (("open", r"^run/\.result\.json", 1), 80), (("rmdir", r"^run/checkpoints", 1), 80),
    (("rename", r"^run/report\.html", 1), 80),
)  # fmt: skip


@pytest.mark.data
@pytest.mark.xdist_group("kill")
@pytest.mark.parametrize("kills", [KILLS[2:4], pytest.param(KILLS, marks=pytest.mark.slow)], ids=["few", "all"])
def test_killed_at_any_step_it_goes_on_to_the_same_end(
    kills: tuple[Kill, ...], server: Server, data_cache: Path, tmp_path: Path
) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name / "cache").mkdir(parents=True)
        (tmp_path / name / "cache" / "data").symlink_to((data_cache / "data").absolute())

    def command(name: str, **how: Any) -> tuple[int, dict[str, Any], str]:
        home = tmp_path / name
        return server(*TRAINED, "--out", home / "run", cache=home / "cache", watched=(home / "run",), **how)

    status, facts, log = command("whole")
    assert (status, facts["steps"]) == (0, STEPS), log
    done = 0
    for kill, after in kills:
        status, facts, log = command("killed", kill=kill)
        assert status == KILLED, (kill, log)
        assert facts["steps"] + done <= STEPS, "finished epochs are not trained again"
        assert len(list((tmp_path / "killed").rglob("*.part"))) <= 1
        done = after
    status, facts, log = command("killed")
    assert (status, facts["steps"]) == (0, 0), log
    files = [
        sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name / "run").rglob("*"))
        for name in ("whole", "killed")
    ]
    assert files[0] == files[1]
    for file in ("result.json", "untrained.json"):
        both = [json.loads((tmp_path / name / "run" / file).read_text()) for name in ("whole", "killed")]
        assert {**both[0], "wall_s": 0} == {**both[1], "wall_s": 0}
    assert (tmp_path / "whole/run/network.safetensors").read_bytes() == (
        tmp_path / "killed/run/network.safetensors"
    ).read_bytes()
