"""The settings as they stand: the environment's, and above them what the owner has changed from the chat.

An override is one value of the ledger a setting, so that it outlives a restart; what the environment said at that time
is kept with it. Whoever obeys a setting asks the book each time, so that a change counts from the next decision on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from core.domain.events import ProfileContradicted, SettingsDiffer
from core.domain.records import AuditRecord
from core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from core.settings.editable import CHANGEABLE, CHOSEN, attribute_of
from core.settings.load import in_words
from core.settings.profiles import PROFILE_NAMES, ProfileName
from core.settings.rows import text_of
from core.settings.table import Settings, SettingsError
from core.strategy.policy import Policy

_LOG = logging.getLogger(__name__)
_KEY = "setting:"
_HISTORY = "settings_history"
_COUNT = "settings_changes"
_AGAINST = "profile_contradicted"
_REMEMBERED = 20


class Source(StrEnum):
    """From the strongest to the weakest."""

    CHAT = "chat"
    ENV = "env"
    PROFILE = "profile"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Override:
    """`value` and `env` as they would be written in .env; `env` is what stood there when the owner chose."""

    value: str
    by: str
    at: str
    env: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change, or its undoing: both values as they would be written in .env. `number` counts the changes."""

    number: int
    name: str
    before: str
    after: str
    by: str


class SettingsBook:
    """Read from any thread; changed in the writer's, between two decisions."""

    def __init__(self, environment: Settings, ledger: UnitOfWorkFactory, clock: Clock) -> None:
        self.environment = environment
        self._ledger = ledger
        self._clock = clock
        self._overrides: dict[str, Override] = {}
        self._current = environment
        self._policy = environment, environment.policy()
        with ledger() as work:
            stored = _read_all(work)
        for name, override in stored.items():
            self._take(name, override)

    def _take(self, name: str, override: Override) -> None:
        """A choice that this version of the table no longer allows does not keep the engine from starting."""
        wanted = {**self._overrides, name: override}
        try:
            self._current = self._with(wanted)
        except SettingsError as refusal:
            _LOG.warning("what was chosen in the chat does not count any more: %s", refusal)
        else:
            self._overrides = wanted

    @property
    def current(self) -> Settings:
        return self._current

    def policy(self) -> Policy:
        # A tick asks for it some thirty times.
        settings, policy = self._policy
        if settings is not self._current:
            settings = self._current
            policy = settings.policy()
            self._policy = settings, policy
        return policy

    def value(self, name: str) -> str:
        """The value in force, as it would be written in .env."""
        return _written(self._current, name)

    def env_value(self, name: str) -> str | None:
        """What the environment says; None where it says nothing and the default holds."""
        is_given = attribute_of(name) in self.environment.model_fields_set
        return _written(self.environment, name) if is_given else None

    def override(self, name: str) -> Override | None:
        return self._overrides.get(name)

    def source(self, name: str) -> Source:
        """Where the value in force comes from."""
        if name in self._overrides:
            return Source.CHAT
        if attribute_of(name) in self.environment.model_fields_set:
            return Source.ENV
        is_profile = name in PROFILE_NAMES and self._current.profile is not ProfileName.MISSION
        return Source.PROFILE if is_profile else Source.DEFAULT

    def in_profile(self, name: ProfileName) -> Mapping[str, str]:
        """What the settings of a profile would be if it were chosen: the owner's own values stay above it."""
        chosen = Override(name.value, "", "", "")
        settings = self._with({**self._overrides, CHOSEN: chosen})
        return {each: _written(settings, each) for each in PROFILE_NAMES}

    def change(self, values: Mapping[str, str], by: str) -> list[Change]:
        """Sets all of `values`, or none: raises SettingsError with every problem at once. Returns what has changed.

        An empty value is off where a rule can be off. A value that is in force already changes nothing.
        """
        strange = [name for name in values if name not in CHANGEABLE]
        if strange:
            raise SettingsError(f"{', '.join(strange)}: set in the environment alone, not from here")
        wanted = {
            **self._overrides,
            **{
                name: Override(text, by, self._clock.now().isoformat(), self._env(name))
                for name, text in values.items()
            },
        }
        after = self._with(wanted)
        changed = {name: wanted[name] for name in values if _written(after, name) != self.value(name)}
        return self._write({**changed}, by) if changed else []

    def back_to_env(self, name: str, by: str) -> list[Change]:
        """Forgets what the owner chose for one setting."""
        return self._write({name: None}, by) if name in self._overrides else []

    def undo(self, number: int, by: str) -> list[Change]:
        """Takes back the newest change, if it is still that of `number`: a button of an older one changes nothing."""
        with self._ledger() as work:
            history = _history(work)
        if not history or history[-1]["number"] != number:
            return []
        newest = history[-1]
        former = Override(**newest["former"]) if newest["former"] else None
        return self._write({newest["name"]: former}, by, undoes=True)

    def last_change(self) -> Change | None:
        """The newest change that can be undone."""
        with self._ledger() as work:
            history = _history(work)
        if not history:
            return None
        newest = history[-1]
        return Change(newest["number"], newest["name"], newest["before"], newest["after"], newest["by"])

    def against_profile(self, profile: ProfileName | None = None) -> tuple[tuple[str, str, str], ...]:
        """(name, the environment's value, the profile's) where the environment says otherwise than `profile`, by
        default the one in force. Nobody chose the mission's numbers who did not name them."""
        chosen = profile or self._current.profile
        if profile is None and self.source(CHOSEN) is Source.DEFAULT:
            return ()
        pure = Settings.model_validate({CHOSEN: chosen})
        own = [name for name in PROFILE_NAMES if self.source(name) is Source.ENV]
        other = [
            name for name in own if getattr(pure, attribute_of(name)) != getattr(self._current, attribute_of(name))
        ]
        return tuple((name, self.value(name), _written(pure, name)) for name in other)

    def tell_contradictions(self, work: UnitOfWork) -> ProfileContradicted | None:
        """What the environment says otherwise than the chosen profile, told once for each such list, in the caller's
        transaction. The environment's value counts."""
        found = self.against_profile()
        told = json.dumps([self._current.profile, found]) if found else None
        if told == work.value(_AGAINST):
            return None
        work.set_value(_AGAINST, told)
        return ProfileContradicted(self._current.profile.value, found) if found else None

    def tell_differences(self, work: UnitOfWork) -> SettingsDiffer | None:
        """What the environment says otherwise since the owner chose: told once, in the caller's transaction.

        The owner's choice stays.
        """
        moved = {name: kept for name, kept in self._overrides.items() if kept.env != self._env(name)}
        if not moved:
            return None
        for name, kept in moved.items():
            self._overrides[name] = Override(kept.value, kept.by, kept.at, self._env(name))
            work.set_value(_KEY + name, json.dumps(asdict(self._overrides[name])))
        return SettingsDiffer(tuple((name, kept.value, kept.env, self._env(name)) for name, kept in moved.items()))

    def _write(self, wanted: Mapping[str, Override | None], by: str, *, undoes: bool = False) -> list[Change]:
        """Commits first, then lets it count."""
        overrides = {name: each for name, each in {**self._overrides, **wanted}.items() if each is not None}
        after, now, changes = self._with(overrides), self._clock.now(), list[Change]()
        with self._ledger() as work:
            history = _history(work)
            number = int(work.value(_COUNT) or 0)
            history = history[:-1] if undoes else history
            for name, override in wanted.items():
                number += 1
                change = Change(number, name, self.value(name), _written(after, name), by)
                changes.append(change)
                former = self._overrides.get(name)
                if not undoes:
                    history.append({**asdict(change), "former": asdict(former) if former else None})
                work.set_value(_KEY + name, json.dumps(asdict(override)) if override is not None else None)
                told = f"{change.before or 'off'} -> {change.after or 'off'}"
                work.audit(AuditRecord(now, by, f"{'undo ' if undoes else ''}setting {name}", told))
            work.set_value(_COUNT, str(number))
            work.set_value(_HISTORY, json.dumps(history[-_REMEMBERED:]))
            work.commit("settings")
        self._overrides, self._current = overrides, after
        return changes

    def _with(self, overrides: Mapping[str, Override]) -> Settings:
        """The whole table checked with the owner's values in it."""
        given = {name: override.value for name, override in overrides.items()}
        fields: dict[str, Any] = {
            attribute: getattr(self.environment, attribute) for attribute in _set_in(self.environment)
        }
        for name, text in given.items():
            fields[attribute_of(name)] = None if not text and CHANGEABLE[name].can_be_off else text
        try:
            return Settings.model_validate(fields)
        except ValidationError as error:
            known = {attribute_of(name): name for name in CHANGEABLE}
            problems = []
            for details in error.errors(include_url=False, include_context=False):
                name = str(details["loc"][0])
                details["loc"] = (known.get(name, name), *details["loc"][1:])
                problems.append(in_words(details, given))
            raise SettingsError("\n".join(problems)) from None

    def _env(self, name: str) -> str:
        return _written(self.environment, name)


def _set_in(settings: Settings) -> set[str]:
    return set(settings.model_fields_set)


def _written(settings: Settings, name: str) -> str:
    return text_of(getattr(settings, attribute_of(name)))


def _read_all(work: UnitOfWork) -> dict[str, Override]:
    stored = {name: work.value(_KEY + name) for name in CHANGEABLE}
    return {name: Override(**json.loads(text)) for name, text in stored.items() if text}


def _history(work: UnitOfWork) -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = json.loads(work.value(_HISTORY) or "[]")
    return known
