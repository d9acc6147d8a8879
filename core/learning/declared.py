"""What is tried, written down before it is tried: a committed file that the run obeys and every trial names by hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from core.errors import DataFault
from core.learning.events import EVENTS
from core.learning.fitting import Pool
from core.learning.rules import RULES
from core.series import seconds_of

DECLARED = Path(__file__).parent / "declared.json"
MOST = 12
USES = ("gate", "exits", "meta")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to use a forest.

    gate: bought where the probability lies above the threshold and SMA, RSI and MACD confirm; sold at stop or target.
    exits: the same, and sold also where the probability falls below one half, or after 20 bars.
    meta: the plain `rule` is followed, but only where the forest gives its trade at least even chances.
    """

    name: str
    event: str
    pool: Pool
    use: str
    rule: str = ""

    @property
    def config(self) -> Mapping[str, str]:
        return {"name": self.name, "event": self.event, "pool": self.pool.value, "use": self.use, "rule": self.rule}


@dataclass(frozen=True, slots=True)
class Declaration:
    """`digest` is the SHA-256 of the file. `first` and `last` are days of closes, both included."""

    digest: str
    first: date
    last: date
    symbols: tuple[str, ...]
    transfer: tuple[str, ...]
    threshold: float
    configurations: tuple[Configuration, ...]
    ablation: Configuration

    def starts(self) -> list[int]:
        """The beginning of each year of the period, seconds: a model is fitted anew there."""
        return [start_of(date(year, 1, 1)) for year in range(self.first.year, self.last.year + 1)]


def start_of(day: date) -> int:
    return seconds_of(datetime(day.year, day.month, day.day, tzinfo=UTC))


def read_declaration(path: Path = DECLARED) -> Declaration:
    """Raises DataFault where more is declared than may be tried, or something that is not known."""
    data = path.read_bytes()
    told: dict[str, Any] = json.loads(data)
    found = tuple(_configuration(each) for each in told["configurations"])
    if len(found) > MOST or len({each.name for each in found}) != len(found):
        raise DataFault("trials", f"{len(found)} configurations are declared, at most {MOST} of different names may be")
    first, last = (date.fromisoformat(each) for each in told["period"])
    return Declaration(
        hashlib.sha256(data).hexdigest(),
        first,
        last,
        tuple(told["symbols"]),
        tuple(told["transfer"]),
        float(told["threshold"]),
        found,
        _configuration({"name": "ablation", "use": "gate", **told["ablation"]}),
    )


def _configuration(row: Mapping[str, Any]) -> Configuration:
    found = Configuration(row["name"], row["event"], Pool(row["pool"]), row["use"], row.get("rule", ""))
    if found.event not in EVENTS or found.use not in USES or (found.use == "meta") != (found.rule in RULES):
        raise DataFault("trials", f"{found.name} is declared with an event, use or rule that is not known")
    return found
