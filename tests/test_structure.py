"""The shape of the source tree: which package may import which, what loads torch, what a package exports."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import axdnn

SOURCE = Path(axdnn.__file__).parent
ROOT = Path(__file__).resolve().parents[1]
PACKAGES = tuple(sorted(p.parent.name for p in SOURCE.glob("*/__init__.py")))

# Package -> what it may import: everything below it. Packages at one height do not see each other.
_CHAIN = {"records": set(), "report": {"records"}, "multipliers": {"records"}}
_CHAIN["hardware"] = {"records", "multipliers"}
_CHAIN["kernels"] = {"records", "multipliers"}
_CHAIN["quant"] = {*_CHAIN["kernels"], "kernels"}
_CHAIN["layers"] = {*_CHAIN["quant"], "quant"}
_CHAIN["retraining"] = {*_CHAIN["layers"], "layers"}
_CHAIN["importance"] = {*_CHAIN["layers"], "layers", "hardware"}
_CHAIN["robustness"] = {*_CHAIN["importance"], "retraining"}  # gradients through integers
_CHAIN["evaluation"] = {*_CHAIN["robustness"], "importance", "robustness"}
_CHAIN["channels"] = {*_CHAIN["evaluation"], "evaluation"}
_CHAIN["generation"] = _CHAIN["search"] = {*_CHAIN["channels"], "channels"}
_CHAIN["export"] = {*_CHAIN["layers"], "layers"}
_CHAIN["data"] = {"records"}
_CHAIN["models"] = {*_CHAIN["quant"], "quant", "data"}
_CHAIN["nas"] = {*_CHAIN["generation"], "generation", "search", "data", "models"}
_CHAIN["methods"] = {*_CHAIN["nas"], "nas", "export", "report"}
_CHAIN["testing"] = {*_CHAIN["methods"], "methods"}
_CHAIN["benchmark"] = {*_CHAIN["methods"], "methods"}
_CHAIN["cli"] = {*_CHAIN["testing"], "testing", "benchmark"}
ALLOWED: dict[str, set[str]] = _CHAIN

TORCH_FREE = ("records", "report", "multipliers", "hardware", "search")
NO_EXPORTS = {"cli"}  # an entry point, nothing to import
MOST_LINES, MANY_LINES = 400, 250


def sources() -> tuple[Path, ...]:
    return tuple(sorted(SOURCE.rglob("*.py")))


def imported(path: Path) -> Iterator[str]:
    """Dotted names of every import of a file, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(path: Path) -> str:
    inside = path.relative_to(SOURCE).parts
    return inside[0] if len(inside) > 1 else ""


def seen_by(path: Path) -> set[str]:
    """Packages of axdnn that a file imports, its own left out; `""` is axdnn itself."""
    names = [name.split(".") for name in imported(path)]
    found = {name[1] if len(name) > 1 and name[1] in PACKAGES else "" for name in names if name[0] == "axdnn"}
    return found - {package_of(path)}


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_package_has_a_place() -> None:
    assert set(PACKAGES) <= set(ALLOWED), "a new package needs its place in this test and in ARCHITECTURE.md"
    assert not {"utils", "util", "helpers", "common", "misc"} & {p.stem for p in SOURCE.rglob("*")}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    allowed = ALLOWED[package] | ({""} if package in ("methods", "cli") else set())
    wrong = {
        f"{path.relative_to(SOURCE)} imports {name or 'axdnn'}"
        for path in sources()
        if package_of(path) == package
        for name in seen_by(path) - allowed
    }
    assert not wrong


def test_the_rules_say_what_the_design_says() -> None:
    assert ALLOWED["report"] == {"records"}
    for left in ("kernels", "quant", "layers"):
        assert "hardware" not in ALLOWED[left]
        assert left not in ALLOWED["hardware"]
    users = {name for name, below in ALLOWED.items() if below & {"data", "models"}} - {"models"}
    assert users == {"nas", "methods", "testing", "benchmark", "cli"}
    assert {name for name, below in ALLOWED.items() if "testing" in below} == {"cli"}
    for name, below in ALLOWED.items():
        assert name not in below
        assert all(ALLOWED[b] <= below for b in below), f"what {name} sees does not hold all that lies below it"


@pytest.mark.parametrize("package", [p for p in TORCH_FREE if p in PACKAGES])
def test_torch_free_packages_never_name_torch(package: str) -> None:
    heavy = {"torch", "torchvision", "captum", "safetensors"}
    wrong = {
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in sources()
        if package_of(path) == package
        for name in imported(path)
        if name.split(".")[0] in heavy
    }
    assert not wrong


def test_light_imports_load_no_torch() -> None:
    light = (
        "records",
        "report",
        "multipliers",
        "hardware",
        "data",
        "search",
        "search.loop",
        "search.worker",
        "cli.main",
    )
    code = f"import sys, axdnn, {', '.join(f'axdnn.{name}' for name in light)}\n"
    assert run_python(code + "print([m for m in ('torch', 'matplotlib') if m in sys.modules])") == "[]\n"


def test_optuna_is_loaded_when_a_search_begins() -> None:
    """It takes half a second and a database toolkit; the time is printed, not asserted."""
    code = (
        "import sys, time\nbegan = time.perf_counter()\nimport axdnn, axdnn.search, axdnn.cli.main\n"
        "from axdnn.search import Categorical, Space, crossover, mutate\nspent = time.perf_counter() - began\n"
        "print([m for m in ('optuna', 'sqlalchemy') if m in sys.modules])\nprint(f'{spent:.2f} s')"
    )
    loaded, spent = run_python(code).splitlines()
    print(f"import of axdnn, its search and its commands: {spent}")
    assert loaded == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["generate", "--help"], ["multipliers", "list"]])
def test_help_and_listings_load_no_torch(arguments: list[str]) -> None:
    code = f"import sys\nfrom axdnn.cli.main import run\ncode = run({arguments!r})\n"
    lines = run_python(code + "print(code, 'torch' in sys.modules, 'numpy' in sys.modules)").splitlines()
    assert lines[-1].startswith("0 False")
    if "--help" in arguments:
        assert lines[-1] == "0 False False", "help is quick only as long as it loads no numpy"


@pytest.mark.parametrize("package", [p for p in PACKAGES if p not in NO_EXPORTS])
def test_packages_export_what_they_list(package: str) -> None:
    module = importlib.import_module(f"axdnn.{package}")
    assert module.__doc__
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing


def test_late_names_resolve() -> None:
    assert set(axdnn._LATE) | {"__version__"} == set(axdnn.__all__)
    for name in axdnn.__all__:
        assert getattr(axdnn, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = axdnn.nothing_like_it
    assert set(axdnn._LATE.values()) <= {f"axdnn.{package}" for package in PACKAGES}


def test_files_stay_readable(record_property: pytest.FixtureRequest) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    long = {str(p.relative_to(SOURCE)): n for p, n in lengths.items() if n > MANY_LINES}
    print(f"over {MANY_LINES} lines: {long}")
    assert not {name: n for name, n in long.items() if n > MOST_LINES}


def tracked_files() -> list[Path]:
    """Files that are, or are about to be, under version control."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:  # not a checkout: all of the sources
        return [*sources(), *(ROOT / "tests").rglob("*.py")]
    return [path for path in (ROOT / name for name in done.stdout.split("\0") if name) if path.is_file()]


def test_no_script_hides_a_module_of_the_standard_library() -> None:
    """A script's folder comes first on the path: `benchmarks/profile.py` once broke torch in all its neighbours."""
    scripts = [p for folder in ("benchmarks", "tools", "examples") for p in (ROOT / folder).rglob("*.py")]
    assert scripts
    assert [p.name for p in scripts if p.stem in sys.stdlib_module_names] == []


def test_no_machine_in_the_files() -> None:
    """No path and no host name of the machine a file was written on."""
    slash, host = "/", "local" + "host"
    folders = "|".join(
        (f"{slash}work{slash}", f"{slash}root{slash}", rf"{slash}home{slash}\w", rf"{slash}Users{slash}\w")
    )
    hosts = (
        rf"\b{host}\b|\b127\.0\.0\.1\b|https?://[\w.-]+:\d+|https?://[^/\s]+\.(?:internal|local|lan|corp|intranet)\b"
    )
    pattern = re.compile(rf"(?<![\w.\]}}$*-])(?:{folders})|{hosts}")
    wrong = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{path.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text)]
    assert not wrong
