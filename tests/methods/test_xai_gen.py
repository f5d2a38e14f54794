"""What the composition checks before it works, and the splits it hands out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import axdnn.hardware
from axdnn.data import Dataset
from axdnn.generation import PaperOptions, Request
from axdnn.methods import splits_of, xai_gen
from axdnn.methods.run_folder import RunFolder
from axdnn.methods.xai_gen import CALIBRATION_IMAGES, settings_of
from axdnn.multipliers import load_multiplier
from axdnn.records import CheckpointError, InvalidInputError, OutputFolderError, UnknownNameError


@pytest.fixture
def dataset() -> Dataset:
    """A small data set in which each image carries its own number."""
    images = np.zeros((4000, 1, 4, 4), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(4000), 256)
    labels = np.arange(4000) % 10
    return Dataset(
        name="numbers", train_images=images, train_labels=labels, test_images=images[:100], test_labels=labels[:100],
        classes=tuple("0123456789"), source="made here", sha256="",
    )  # fmt: skip


def numbers(images: object) -> set[int]:
    codes = (np.asarray(images) * 255).round().astype(int)
    return set((codes[:, 0, 0, 0] * 256 + codes[:, 0, 0, 1]).tolist())


def test_splits_do_not_share_images(dataset: Dataset) -> None:
    calibration, splits = splits_of(dataset, 0)
    sets = [numbers(calibration), numbers(splits["search"].images), numbers(splits["accept"].images)]
    assert len(set.union(*sets)) == sum(map(len, sets))
    assert (len(splits["search"]), len(splits["accept"]), len(splits["test"])) == (400, 400, 100)
    assert len(calibration) == CALIBRATION_IMAGES
    assert [name for name, split in splits.items() if name != split.name] == []


def test_the_seed_draws_calibration_images_only(dataset: Dataset) -> None:
    (first, one), (again, _), (other, two) = splits_of(dataset, 0), splits_of(dataset, 0), splits_of(dataset, 1)
    assert numbers(first) == numbers(again) != numbers(other)
    assert (first == again).all()
    for name, split in one.items():
        assert (split.images == two[name].images).all()


def test_fewer_images_are_the_first_ones(dataset: Dataset) -> None:
    (calibration, whole), (same, few) = splits_of(dataset, 0), splits_of(dataset, 0, {"search": 30, "test": 7})
    assert (calibration == same).all()
    assert {name: len(split) for name, split in few.items()} == {"search": 30, "accept": 400, "test": 7}
    for name, split in few.items():
        assert (split.images == whole[name].images[: len(split)]).all()
        assert (split.labels == whole[name].labels[: len(split)]).all()


@pytest.mark.parametrize("images", [{"search": 0}, {"accept": 401}, {"test": 101}, {"search": -1}])
def test_more_images_than_there_are(images: dict[str, int], dataset: Dataset) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(images))):
        splits_of(dataset, 0, images)
    with pytest.raises(UnknownNameError, match="search"):
        splits_of(dataset, 0, {"serch": 3})


def test_names_are_checked_before_anything_is_done(tmp_path: Path) -> None:
    for model, data, near in (("lenet", "mnist", "lenet5"), ("lenet5", "mnits", "mnist")):
        with pytest.raises(UnknownNameError, match=near):
            xai_gen(model, data, Request(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_run_folder_needs_names(tmp_path: Path) -> None:
    request = Request(multipliers=(load_multiplier("exact"),))
    with pytest.raises(InvalidInputError, match="named by text"):
        xai_gen("lenet5", "mnist", request, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_settings_change_with_everything_that_changes_the_result(tmp_path: Path) -> None:
    base = settings_of("lenet5", "mnist", Request(), None)
    assert all(isinstance(value, str) for value in base.values())
    changes = ("max_accuracy_loss", 2.0), ("multipliers", "exact"), ("accelerator", "edge_16x16"), ("seed", 1)
    changes += ("strategy", "greedy"), ("score", "none"), ("evaluations", 5), ("objective", "multiplier")
    for key, value in changes:
        changed = settings_of("lenet5", "mnist", Request(**{key: value}), None)
        assert {k for k in base if base[k] != changed[k]} == {key}
    assert settings_of("lenet5", "mnist", Request(max_accuracy_loss=1), None) == base


def test_an_accelerator_file_is_known_by_its_content(tmp_path: Path) -> None:
    shipped = (Path(axdnn.hardware.__file__).parent / "designs" / "edge_16x16.yaml").read_text(encoding="utf-8")
    one, same, other = (tmp_path / name for name in ("one.yaml", "same.yaml", "other.yaml"))
    for path, text in ((one, shipped), (same, shipped), (other, shipped + "# changed")):
        path.write_text(text, encoding="utf-8")
    keys = [settings_of("lenet5", "mnist", Request(accelerator=str(path)), None) for path in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0]["accelerator"].startswith("edge_16x16 sha256:")


def test_weights_are_known_by_their_content(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    for path, content in ((one, b"1"), (same, b"1"), (other, b"2")):
        path.write_bytes(content)
    keys = [settings_of("lenet5", "mnist", Request(), path) for path in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    with pytest.raises(CheckpointError, match="absent"):
        settings_of("lenet5", "mnist", Request(), tmp_path / "absent")


def test_a_users_model_is_known_by_its_text_its_file_and_its_input(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("def net(): ...")
    spec, request = f"{file}:net", Request()
    base = settings_of(spec, "mnist", request, None)
    assert base["model"].startswith(f"{spec} sha256:")
    others = [
        settings_of(f"{file}:other", "mnist", request, None),
        settings_of(spec, "mnist", request, None, mean=(0.5,)),
        settings_of(spec, "mnist", request, None, mean=(0.5, 0.5)),
        settings_of(spec, "mnist", request, None, std=(0.5,)),
        *(settings_of(spec, "mnist", request, None, images={name: 100}) for name in ("search", "accept", "test")),
    ]
    file.write_text("def net(): pass")
    others.append(settings_of(spec, "mnist", request, None))
    assert len({str(sorted(settings.items())) for settings in [base, *others]}) == 1 + len(others)
    assert settings_of("lenet5", "mnist", request, None)["model"] == "lenet5"
    with pytest.raises(InvalidInputError, match="absent"):
        settings_of(f"{tmp_path / 'absent.py'}:net", "mnist", request, None)


def test_options_of_the_paper_are_another_run(tmp_path: Path) -> None:
    """Equal options are one text, whatever kind of number they were given as; any other option is another run."""

    def settings(**options: Any) -> dict[str, str]:
        return settings_of("lenet5", "mnist", Request(strategy="paper", paper=PaperOptions(**options)), None)

    base = settings(skip=0.5, threshold=1.0)
    same = [{"skip": np.float64(0.5)}, {"skip": 0.5, "threshold": 1}, {"step": 0.05, "skip": 0.5}]
    assert all(settings(**options) == base for options in same)
    assert settings(max_energy_j=1, skip=0.5) == settings(max_energy_j=np.float32(1.0), skip=0.5)
    changes: dict[str, Any] = {
        "units": "layers", "order": "descending", "stop": "both", "threshold": 1.5, "step": 0.1, "skip": 0.4,
        "skip_rule": "equal", "remove": True, "multipliers": False, "retries": 2, "sweeps": 2, "max_energy_j": 1e-6,
    }  # fmt: skip
    assert set(changes) == {field.name for field in dataclasses.fields(PaperOptions)}
    with RunFolder(tmp_path / "out", base):
        pass
    RunFolder(tmp_path / "out", settings(skip=0.5)).check()
    for key, value in changes.items():
        other = settings(**{"skip": 0.5, key: value})
        assert {k for k in base if base[k] != other[k]} == {"paper"}
        with pytest.raises(OutputFolderError, match=key):
            RunFolder(tmp_path / "out", other).check()


def test_settings_hold_every_field_of_the_request() -> None:
    base = settings_of("lenet5", "mnist", Request(), None)
    assert {field.name for field in dataclasses.fields(Request)} <= set(base)
    assert base["axdnn"] == axdnn.__version__
    assert settings_of("lenet5", "mnist", Request(accept_tries=3), None) != base
