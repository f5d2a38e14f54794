"""The programme against exhaustive search."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from axdnn.generation import Problem, Programme

CASES = 60
GAP = 0.005  # largest excess over the optimum that is allowed, and only in 5 % of the cases


def exhaustive(p: Problem) -> np.ndarray:
    return np.array(list(itertools.product(range(len(p.multipliers)), repeat=len(p.layers))))


def drawn(make: Callable[..., Problem], case: int) -> tuple[Problem, np.random.Generator]:
    rng = np.random.default_rng(1000 + case)
    return make(case, int(rng.integers(2, 5)), int(rng.integers(2, 6)), int(rng.integers(1, 5))), rng


def excess(found: np.ndarray | None, values: np.ndarray, every: np.ndarray) -> float:
    """By how much the value of a choice exceeds the least one."""
    if found is None:
        assert not np.isfinite(values).any(), "there is a choice, but none was found"
        return 0.0
    value = float(values[(every == found).all(axis=1)][0])
    assert np.isfinite(value), "what was found is forbidden or breaks the limit"
    return value / float(values.min()) - 1 if values.min() > 0 else value


@pytest.mark.parametrize("quick", [False, True])
def test_cheapest_is_the_optimum(problem: Callable[..., Problem], quick: bool) -> None:
    gaps = []
    for case in range(CASES):
        p, rng = drawn(problem, case)
        programme, every = Programme(p, p.damage), exhaustive(p)
        damage, energy = programme.damage_of(every), p.energy_j(every)
        for choice in every[rng.integers(0, len(every), 3)]:
            programme.forbid(choice)
            energy[(every == choice).all(axis=1)] = np.inf
        most = float(np.quantile(damage, rng.uniform()))
        energy[damage > most] = np.inf
        gaps.append(excess(programme.cheapest(most, quick=quick), energy, every))
    assert max(gaps) <= (0.05 if quick else GAP)
    assert np.mean(np.array(gaps) > 1e-9) <= (0.2 if quick else 0.05)


def test_safest_is_the_optimum(problem: Callable[..., Problem]) -> None:
    gaps = []
    for case in range(CASES):
        p, rng = drawn(problem, case)
        programme, every = Programme(p, p.damage), exhaustive(p)
        damage, energy = programme.damage_of(every), p.energy_j(every)
        most = float(np.quantile(energy[np.isfinite(energy)], rng.uniform(0.01, 1)))
        damage[~(energy < most)] = np.inf
        for choice in every[rng.integers(0, len(every), 3)]:
            programme.forbid(choice)
            damage[(every == choice).all(axis=1)] = np.inf
        gaps.append(excess(programme.safest(most), damage, every))
    assert np.mean(np.array(gaps) > 1e-9) <= 0.05


def test_the_optimum_on_real_prices(real_problem: Problem) -> None:
    p = real_problem
    programme, every = Programme(p, p.damage), exhaustive(p)
    damage, energy = programme.damage_of(every), p.energy_j(every)
    for most in (0.003, 0.02, 0.1, 0.5):
        values = np.where(damage <= most, energy, np.inf)
        assert excess(programme.cheapest(most), values, every) < 1e-9
        values = np.where(energy < values.min() * 1.0005, damage, np.inf)
        assert excess(programme.safest(float(energy[damage <= most].min()) * 1.0005), values, every) < 1e-9


def test_forbidding_one_by_one_lists_the_choices_in_order(problem: Callable[..., Problem]) -> None:
    p = problem(5, layers=2, kinds=3, pods=3)
    programme, every = Programme(p, p.damage), exhaustive(p)
    found = []
    while (choice := programme.cheapest(np.inf)) is not None:
        found.append(float(p.energy_j(choice)[0]))
        programme.forbid(choice)
    assert found == pytest.approx(sorted(p.energy_j(every)))


def test_what_cannot_be_met(problem: Callable[..., Problem]) -> None:
    p = problem(6, layers=3, kinds=4, pods=2)
    programme = Programme(p, p.damage)
    assert programme.cheapest(0.0) is None
    assert programme.cheapest(-1.0) is None
    assert programme.safest(0.0) is None
    least = float(p.energy_j(exhaustive(p)).min())
    assert programme.safest(least) is None  # below, not at
    assert programme.safest(least * (1 + 1e-9)) is not None


def test_starts_do_no_harm_and_results_repeat(
    problem: Callable[..., Problem], capfd: pytest.CaptureFixture[str]
) -> None:
    p = problem(7, layers=4, kinds=5, pods=4)
    rng = np.random.default_rng(0)
    most = 0.3 * float(p.damage.max())
    plain = Programme(p, p.damage).cheapest(most)
    again = Programme(p, p.damage).cheapest(most)
    started = Programme(p, p.damage).cheapest(most, rng.integers(0, 5, (6, 4)))
    assert plain is not None
    assert started is not None
    assert np.array_equal(plain, again)
    assert p.energy_j(started)[0] <= p.energy_j(plain)[0] * (1 + 1e-9)
    assert capfd.readouterr().out == ""


def test_what_a_solver_prints_by_itself_is_no_output_of_ours() -> None:
    """Written by C code to file descriptor 1, buffered or not; Python's own output before and after stays, in order."""
    code = (
        "import ctypes, os\n"
        "from axdnn.generation.programme import silent_output\n"
        "print('before')\n"
        "with silent_output():\n"
        "    ctypes.CDLL(None).printf(b'solver says\\n')\n"
        "    os.write(1, b'at once\\n')\n"
        "print('after')\n"
        "with silent_output():\n"
        "    pass\n"
        "os.close(1)\n"
        "with silent_output():\n"
        "    pass\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.stdout == "before\nafter\n", (done.stdout, done.stderr)
