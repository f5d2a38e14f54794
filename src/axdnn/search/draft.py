"""`DraftStorage`: a trial is proposed in memory and written whole, in one step, with its candidate and its lease.

Optuna's `ask` writes a running trial first and then each parameter: a worker killed in between leaves a trial without a
candidate, and a hundred fields are a hundred writes. Here all that sampling writes about a new trial stays in memory
until `commit`. Everything else goes straight to the storage beneath.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial


class DraftStorage(BaseStorage):
    """A storage that holds back new trials.

    The trial objects that Optuna makes of a draft stay good after `commit`: their numbers are translated.

    Args:
        beneath: the storage of the study.
    """

    def __init__(self, beneath: BaseStorage) -> None:
        self.beneath = beneath
        self._drafts: dict[int, FrozenTrial] = {}
        self._studies: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._next = -1
        self._view: list[FrozenTrial] | None = None

    @contextlib.contextmanager
    def still(self, study_id: int) -> Iterator[None]:
        """Read the trials once and answer from that within: behind the gate nothing that matters there changes."""
        self._view = self.beneath.get_all_trials(study_id, deepcopy=False)
        try:
            yield
        finally:
            self._view = None

    def commit(
        self,
        trial_id: int,
        user_attrs: Mapping[str, Any],
        state: TrialState = TrialState.RUNNING,
        values: Sequence[float] | None = None,
    ) -> int:
        """Write a draft as one new trial and return its real number of identity.

        Args:
            trial_id: of the draft; of a trial that waited in the storage it writes the attributes alone.
            user_attrs: JSON data.
            state: running, or finished.
            values: of a complete trial.
        """
        draft = self._drafts.pop(trial_id, None)
        if draft is None:
            for key, value in user_attrs.items():
                self.beneath.set_trial_user_attr(trial_id, key, value)
            if state != TrialState.RUNNING:
                self.beneath.set_trial_state_values(trial_id, state, values)
            return trial_id
        whole = create_trial(
            state=TrialState.RUNNING if state == TrialState.RUNNING else state,
            values=list(values) if values is not None else None,
            params=draft.params,
            distributions=draft.distributions,
            user_attrs={**draft.user_attrs, **user_attrs},
            system_attrs=draft.system_attrs,
        )
        whole.datetime_start = draft.datetime_start
        real = self.beneath.create_new_trial(self._studies.pop(trial_id), whole)
        self._written[trial_id] = real
        return real

    def forget(self, trial_id: int) -> None:
        """Drop a draft, or what is remembered of a written one."""
        self._drafts.pop(trial_id, None)
        self._studies.pop(trial_id, None)
        self._written.pop(trial_id, None)

    def real(self, trial_id: int) -> int:
        """Return the identity of a trial in the storage beneath."""
        return self._written.get(trial_id, trial_id)

    # What a draft holds back.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin a draft, or write a template."""
        if template_trial is not None:
            return self.beneath.create_new_trial(study_id, template_trial)
        trial_id, self._next = self._next, self._next - 1
        number = len(self.get_all_trials(study_id, deepcopy=False))
        self._studies[trial_id] = study_id
        self._drafts[trial_id] = FrozenTrial(
            number=number, state=TrialState.RUNNING, value=None, datetime_start=datetime.datetime.now(),
            datetime_complete=None, params={}, distributions={}, user_attrs={}, system_attrs={},
            intermediate_values={}, trial_id=trial_id,
        )  # fmt: skip
        return trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter."""
        draft = self._drafts.get(trial_id)
        if draft is None:
            self.beneath.set_trial_param(self.real(trial_id), param_name, param_value_internal, distribution)
            return
        draft.distributions = {**draft.distributions, param_name: distribution}
        draft.params = {**draft.params, param_name: distribution.to_external_repr(param_value_internal)}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute."""
        draft = self._drafts.get(trial_id)
        if draft is None:
            self.beneath.set_trial_user_attr(self.real(trial_id), key, value)
        else:
            draft.set_user_attr(key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute."""
        draft = self._drafts.get(trial_id)
        if draft is None:
            self.beneath.set_trial_system_attr(self.real(trial_id), key, value)
        else:
            draft.system_attrs = {**draft.system_attrs, key: value}

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial or a draft."""
        draft = self._drafts.get(trial_id)
        return draft if draft is not None else self.beneath.get_trial(self.real(trial_id))

    # What goes beneath.

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Set state and values."""
        return self.beneath.set_trial_state_values(self.real(trial_id), state, values)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Set an intermediate value."""
        self.beneath.set_trial_intermediate_value(self.real(trial_id), step, intermediate_value)

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Make a study."""
        return self.beneath.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self.beneath.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study."""
        self.beneath.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a study."""
        self.beneath.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Find a study."""
        return self.beneath.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self.beneath.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the directions of a study."""
        return self.beneath.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the user attributes of a study."""
        return self.beneath.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the system attributes of a study."""
        return self.beneath.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[Any]:
        """Return all studies."""
        return self.beneath.get_all_studies()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that are written."""
        if self._view is not None and not deepcopy:
            return [trial for trial in self._view if states is None or trial.state in states]
        return self.beneath.get_all_trials(study_id, deepcopy, states)

    def remove_session(self) -> None:
        """End a session of a database."""
        self.beneath.remove_session()
