"""How the engine is: the state of each component, and the heartbeat file that says it from outside the process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from core.domain.views import ComponentHealth, Health

MAX_HEARTBEAT_AGE = timedelta(minutes=3)
_WORST_FIRST = (Health.HALTED, Health.DEGRADED, Health.RUNNING)


class HealthBoard:
    """Thread-safe. A component that never reported is not on the board."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._components: dict[str, ComponentHealth] = {}

    def report(self, component: str, state: Health, reason: str, now: datetime) -> bool:
        """Notes a component's state; True when it differs from the one before (at first: from RUNNING).

        A new reason for the same state replaces the old one, and `since` stays when the state began.
        """
        with self._lock:
            before = self._components.get(component)
            changed = state is not (before.state if before else Health.RUNNING)
            since = before.since if before and before.state is state else now
            self._components[component] = ComponentHealth(component, state, reason, since)
            return changed

    def components(self) -> tuple[ComponentHealth, ...]:
        """Worst first, then by name."""
        with self._lock:
            found = tuple(self._components.values())
        return tuple(sorted(found, key=lambda one: (_WORST_FIRST.index(one.state), one.name)))

    def overall(self) -> Health:
        """The worst component's state; RUNNING where none has reported."""
        return overall(self.components())

    def summary(self) -> str:
        """RUNNING, or the worst state and what is in it with its reason."""
        return summary(self.components())


def overall(components: Iterable[ComponentHealth]) -> Health:
    """The worst state among them; RUNNING where there is none."""
    states = {component.state for component in components}
    return next((state for state in _WORST_FIRST if state in states), Health.RUNNING)


def summary(components: Iterable[ComponentHealth]) -> str:
    """RUNNING, or the worst state and each component in it with its reason."""
    found = tuple(components)
    worst = overall(found)
    if worst is Health.RUNNING:
        return str(worst)
    reasons = [f"{one.name} ({one.reason})" if one.reason else one.name for one in found if one.state is worst]
    return f"{worst}: {'; '.join(reasons)}"


@dataclass(frozen=True, slots=True)
class Pulse:
    """What `autotrader healthcheck` answers: exit code 0 if `is_well`, else 1, and the reason in words."""

    is_well: bool
    text: str


def write_heartbeat(file: Path, components: Iterable[ComponentHealth], now: datetime, pid: int) -> None:
    """Writes the file in one step, so that a reader never sees half of it. `now` is system time. Raises OSError."""
    found = tuple(components)
    body = {
        "at": now.isoformat(),
        "pid": pid,
        "state": overall(found),
        "summary": summary(found),
        "components": [
            {"name": one.name, "state": one.state, "reason": one.reason, "since": one.since.isoformat()}
            for one in found
        ],
    }
    beside = file.with_name(f"{file.name}.{pid}.tmp")
    beside.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    beside.replace(file)


def heart_of(file: Path) -> int | None:
    """The process whose heartbeat stands in `file`; None where none can be read."""
    try:
        return int(json.loads(file.read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_pulse(file: Path, now: datetime, max_age: timedelta = MAX_HEARTBEAT_AGE) -> Pulse:
    """Whether the engine that writes `file` is alive by system time `now` and not halted; DEGRADED is still well."""
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        at = datetime.fromisoformat(body["at"])
        state, words, pid = Health(body["state"]), str(body["summary"]), int(body["pid"])
        age = now - at
    except FileNotFoundError:
        return Pulse(False, f"not running: there is no heartbeat at {file}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Pulse(False, f"the heartbeat at {file} cannot be read: {error}")
    # A clock set back makes the last beat look future; beyond the same tolerance it proves nothing either.
    if abs(age) > max_age:
        return Pulse(
            False, f"not running: the last heartbeat (process {pid}) is from {at.isoformat()}, it said {words}"
        )
    return Pulse(state is not Health.HALTED, f"{words} (process {pid}, {max(age.total_seconds(), 0):.0f} s ago)")
