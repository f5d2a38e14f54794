"""`Task`: everything a worker needs to know of a search, and its plain form in the attributes of a study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from axdnn.records import Constraint, InvalidInputError, Objective, StorageError, require_finite, to_builtins
from axdnn.search.ladder import Ladder
from axdnn.search.named import Named, by_name, made, name_of
from axdnn.search.samplers import IndexedSampler, require_sampler, sampler_kind
from axdnn.search.slots import Candidate
from axdnn.search.space import Space, SpaceFields

if TYPE_CHECKING:
    from optuna import Study

VERSION = 1
HEADER, BUDGET = "axdnn", "axdnn:trials"
CHUNK = 30_000  # characters of one attribute: MySQL keeps 65,535 bytes
Evaluate = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Task:
    """What is searched, with what, and how candidates are judged.

    Attributes:
        space: with its hooks.
        evaluate: called with a candidate and a `Run`; returns figures by name.
        objectives: at least one.
        constraints: inequalities on figures.
        sampler: name, or name and options.
        seed: of all chance, 0 to 2**63 - 1.
        seeds: candidates evaluated first.
        guidance: of the sampler `guided`.
        ladder: fidelities and early stopping.
        timeout_s: most seconds of one evaluation.
        lease_s: seconds after which a silent worker counts as gone.
        retries: how often a candidate whose worker ended is tried again before it counts as failed.
    """

    space: Space
    evaluate: Evaluate | Named
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    sampler: str | Named = "guided"
    seed: int = 0
    seeds: tuple[Candidate, ...] = ()
    guidance: Callable[..., Any] | Named | None = None
    ladder: Ladder | None = None
    timeout_s: float | None = None
    lease_s: float = 60.0
    retries: int = 2

    def check(self) -> None:
        """Refuse what cannot work, before anything is stored.

        Raises:
            InvalidInputError: an option is out of range, or a seed is no candidate.
            UnknownNameError: there is no such sampler.
            InfeasibleError: the space has no valid candidate.
        """
        import numpy as np

        names = [objective.name for objective in self.objectives]
        if not names or len(set(names)) != len(names):
            raise InvalidInputError(f"a search must have objectives with different names, but got {names}")
        if not 0 <= self.seed < 2**63:
            raise InvalidInputError(f"0 <= seed < 2**63 must hold, but got seed={self.seed}")
        require_finite("lease_s", self.lease_s, 0.1)
        require_finite("retries", self.retries, 0)
        if self.timeout_s is not None:
            require_finite("timeout_s", self.timeout_s, 0.001)
        if self.guidance is not None and _sampler_name(self.sampler) != "guided":
            raise InvalidInputError(f"guidance needs the sampler 'guided', but got {self.sampler!r}")
        for candidate in self.seeds:
            self.space.require(candidate)
        require_sampler(self.sampler, self.space, self.seed)
        for function in (self.evaluate, self.guidance):
            if function is not None:
                made(function)
        self.space.sample(np.random.default_rng(self.seed))

    def make_sampler(self) -> IndexedSampler:
        """Return the sampler of a worker."""
        kind, options = sampler_kind(self.sampler)
        if self.guidance is not None:
            options["guidance"] = made(self.guidance)
        return IndexedSampler(kind, self.space, self.seed, options, self.seeds)

    @property
    def flat(self) -> bool:
        """Whether the sampler is asked for every field."""
        return sampler_kind(self.sampler)[0].flat

    def plain(self) -> dict[str, Any]:
        """Return the task as JSON data; functions by name, None where a function has none."""
        sampler = self.sampler if isinstance(self.sampler, Named) else Named(self.sampler)
        return {
            "space": to_builtins(SpaceFields(fields=self.space.fields)),
            "digest": self.space.digest,
            "objectives": to_builtins(self.objectives),
            "constraints": to_builtins(self.constraints),
            "sampler": sampler.plain(),
            "seed": self.seed,
            "seeds": [dict(candidate) for candidate in self.seeds],
            "evaluate": name_of(self.evaluate),
            "check": _hook(self.space.check),
            "repair": _hook(self.space.repair),
            "guidance": _hook(self.guidance),
            "ladder": to_builtins(self.ladder),
            "timeout_s": self.timeout_s,
            "lease_s": self.lease_s,
            "retries": self.retries,
        }


def shown_settings(plain: Mapping[str, Any]) -> dict[str, str]:
    """Return what a report shows of the plain form of a task, as text."""
    shown = {name: plain[name] for name in ("digest", "sampler", "seed", "evaluate", "guidance", "ladder")}
    shown["seeds"] = len(plain["seeds"])
    if not plain["sampler"]["settings"]:
        shown["sampler"] = plain["sampler"]["name"]
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in shown.items()}


def task_from(plain: Mapping[str, Any], hooks: bool = True) -> Task:
    """Return the task of a study.

    Args:
        plain: what `plain` returned.
        hooks: import the functions; without, the task describes and cannot run.

    Raises:
        StorageError: a function of the study has no name by which it could be found.
        InvalidInputError: a function cannot be imported here.
    """
    functions: dict[str, Any] = {}
    for role in ("evaluate", "check", "repair", "guidance") if hooks else ():
        name = plain[role]
        if name == "" or (role == "evaluate" and name is None):
            raise StorageError(
                f"the study's {role} must be a function of a module, or `Named`, so that other machines can import it; "
                "this one lives in the process that began the study"
            )
        functions[role] = by_name(name) if name else None
    fields = msgspec.convert(plain["space"], SpaceFields).fields
    check, repair = (made(functions[r]) if functions.get(r) else None for r in ("check", "repair"))
    return Task(
        space=Space(fields, check, repair),
        evaluate=functions.get("evaluate") or _describes_only,
        objectives=msgspec.convert(plain["objectives"], tuple[Objective, ...]),
        constraints=msgspec.convert(plain["constraints"], tuple[Constraint, ...]),
        sampler=Named(**plain["sampler"]),
        seed=plain["seed"],
        seeds=tuple(plain["seeds"]),
        guidance=functions.get("guidance"),
        ladder=msgspec.convert(plain["ladder"], Ladder) if plain["ladder"] else None,
        timeout_s=plain["timeout_s"],
        lease_s=plain["lease_s"],
        retries=plain["retries"],
    )


def _describes_only(*_: Any) -> Mapping[str, Any]:
    raise StorageError("this task was read to be described, not to be run")


def _hook(function: Callable[..., Any] | Named | None) -> dict[str, Any] | str | None:
    """Name of a hook; empty if there is one that has no name."""
    return None if function is None else name_of(function) or ""


def _sampler_name(sampler: str | Named) -> str:
    return sampler if isinstance(sampler, str) else sampler.name


def store(study: Study, task: Task) -> None:
    """Write a task into the attributes of a study, in pieces, the header last."""
    text = json.dumps(task.plain())
    pieces: Sequence[str] = [text[i : i + CHUNK] for i in range(0, len(text), CHUNK)]
    for i, piece in enumerate(pieces):
        study.set_user_attr(f"{HEADER}:{i}", piece)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    study.set_user_attr(HEADER, {"version": VERSION, "pieces": len(pieces), "digest": digest})


def stored(attributes: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the plain form of the task of a study from its attributes, or None if it has none.

    Raises:
        StorageError: it was written by a newer axdnn, or is damaged.
    """
    header = attributes.get(HEADER)
    if header is None:
        return None
    if header.get("version") != VERSION:
        raise StorageError(
            f"study {name!r} has version {header.get('version')}, but this axdnn reads version {VERSION}; upgrade axdnn"
        )
    text = "".join(attributes.get(f"{HEADER}:{i}", "") for i in range(header["pieces"]))
    if hashlib.sha256(text.encode()).hexdigest()[:16] != header["digest"]:
        raise StorageError(f"study {name!r} is damaged: its description does not match its digest")
    plain: dict[str, Any] = json.loads(text)
    return plain


def require_same(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Check that a study is resumed with what it was begun with; lease, retries and timeout may change.

    Raises:
        StorageError: naming what differs.
    """
    if old["digest"] != new["digest"]:
        raise StorageError(
            f"study {name!r} was begun with another search space (digest {old['digest']}, now {new['digest']}); "
            "choose another name, or the space it was begun with"
        )
    roles = (
        "objectives",
        "constraints",
        "sampler",
        "seed",
        "seeds",
        "evaluate",
        "check",
        "repair",
        "guidance",
        "ladder",
    )
    plain = json.loads(json.dumps({role: new[role] for role in roles}))  # tuples as lists, as they come back
    changed = [f"{role}: {_short(old[role])} there, {_short(plain[role])} now" for role in roles
               if old[role] != plain[role]]  # fmt: skip
    if changed:
        raise StorageError(f"study {name!r} was begun otherwise ({'; '.join(changed)}); choose another name")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
