"""The laws of search spaces as tests: subclass `SpaceLaws` and say how a space is made."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import optuna

from axdnn.records import Scalar
from axdnn.search import (
    Guidance,
    Space,
    crossover,
    distributions,
    from_params,
    from_unit,
    mutate,
    suggest,
    to_unit,
)

MOST = 20_000  # candidates that are enumerated


class SpaceLaws:
    """Subclass as `TestMySpace` and define `make_space`; pytest collects the checks."""

    def make_space(self) -> Space:
        """Return the space under test, hooks included."""
        raise NotImplementedError

    def draws(self, space: Space, number: int = 200) -> Iterator[dict[str, Scalar]]:
        """Yield some valid candidates."""
        rng = np.random.default_rng(0)
        for _ in range(number):
            yield space.sample(rng)

    def test_the_size_is_what_enumeration_finds(self) -> None:
        """Exact where it can be counted; every candidate once."""
        space = self.make_space()
        if space.size > MOST:  # too large, or continuous
            return
        plain = Space(space.fields)
        keys = [plain.key(candidate) for candidate in plain.all()]
        assert len(keys) == len(set(keys)) == space.size
        assert sum(1 for _ in space.all()) <= space.size
        assert {space.key(candidate) for candidate in self.draws(space)} <= {space.key(c) for c in space.all()}

    def test_draws_are_valid_and_follow_the_seed(self) -> None:
        """Same seed, same candidates; all of them fit."""
        space = self.make_space()
        drawn = list(self.draws(space))
        assert not [reason for reason in map(space.why_invalid, drawn) if reason]
        assert drawn == list(self.draws(self.make_space()))
        assert all(space.exact(candidate) == candidate for candidate in drawn)

    def test_mutation_changes_a_valid_candidate_into_another(self) -> None:
        """One field or several; the parent is left alone."""
        space, rng = self.make_space(), np.random.default_rng(1)
        if space.size == 1:
            return
        for fields in (1, 3):
            for candidate in self.draws(space, 50):
                before = dict(candidate)
                child = mutate(space, candidate, rng, fields)
                assert child != candidate
                assert not space.why_invalid(child)
                assert candidate == before

    def test_mutation_follows_its_guidance(self) -> None:
        """Fields of weight 0 stay, unless they cease to exist or something depends on the change."""
        space, rng = self.make_space(), np.random.default_rng(2)
        for candidate in self.draws(space, 30):
            movable = [path for path in candidate if space.by_path[path].domain.count > 1]
            if space.repair is not None or space.check is not None or not movable:
                continue
            chosen = movable[int(rng.integers(len(movable)))]
            child = mutate(space, candidate, rng, 1, Guidance({path: float(path == chosen) for path in candidate}))
            assert child[chosen] != candidate[chosen]
            assert all(child[path] == candidate[path] for path in candidate if path in child and path != chosen)

    def test_a_child_has_the_values_of_its_parents(self) -> None:
        """Wherever a parent has the field, unless the child was mended by a hook."""
        space, rng = self.make_space(), np.random.default_rng(3)
        drawn = list(self.draws(space, 60))
        for first, second in zip(drawn[::2], drawn[1::2], strict=True):
            child = crossover(space, first, second, rng)
            assert not space.why_invalid(child)
            if space.repair is None and space.check is None:
                parents = [[p[path] for p in (first, second) if path in p] for path in child]
                assert all(not has or child[path] in has for path, has in zip(child, parents, strict=True))

    def test_vectors_and_parameters_come_back(self) -> None:
        """Unit cube and Optuna's parameters hold all of a candidate."""
        space = self.make_space()
        names = list(distributions(space))
        for candidate in self.draws(space, 50):
            vector = to_unit(space, candidate)
            assert vector.shape == (len(space.slots),)
            assert vector.min() >= 0.0
            assert vector.max() <= 1.0
            back = from_unit(space, vector)
            assert list(back) == list(candidate)
            assert all(_close(value, back[path]) for path, value in candidate.items())
            assert from_params(space, candidate) == candidate
            assert set(candidate) <= set(names)

    def test_optuna_asks_for_candidates_of_the_space(self) -> None:
        """Define-by-run, with fields that exist or with all of them."""
        space = self.make_space()
        for flat in (False, True):
            study = _study()
            for _ in range(20):
                trial = study.ask()
                asked = suggest(space, trial, flat)
                assert not Space(space.fields).why_invalid(asked)
                assert from_params(space, trial.params) == asked
                study.tell(trial, 0.0)

    def test_the_saved_form_is_the_same_space(self) -> None:
        """JSON and digest, and the nested form of candidates."""
        space = self.make_space()
        back = Space.from_json(space.to_json(), space.check, space.repair)
        assert back == space
        assert back.digest == space.digest
        for candidate in self.draws(space, 20):
            assert back.key(candidate) == space.key(candidate)
            assert space.flat(space.nested(candidate)) == candidate

    def test_what_does_not_fit_is_named_and_mended(self) -> None:
        """A missing field, an unknown one, a value of another kind."""
        space, rng = self.make_space(), np.random.default_rng(4)
        for candidate in self.draws(space, 20):
            first = next(iter(candidate))
            without = {path: value for path, value in candidate.items() if path != first}
            assert first in space.why_invalid(without)
            assert "no_such_field" in space.why_invalid({**candidate, "no_such_field": 1})
            broken: dict[str, Scalar] = {**candidate, first: "no such value"}
            assert first in space.why_invalid(broken)
            for wrong in (without, {**candidate, "no_such_field": 1}, broken):
                assert not Space(space.fields).why_invalid(space.complete(wrong, rng))


def _close(one: Scalar, other: Scalar) -> bool:
    return one == other or (isinstance(one, float) and isinstance(other, float) and math.isclose(one, other))


def _study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
