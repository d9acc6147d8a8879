"""A fitted recipe as it goes live: for each member of its pool a forest and what its word is worth, in one file of
plain arrays. Predicts without scikit-learn."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.domain.instruments import instrument_for
from core.series import Floats
from core.strategy.calibration import Calibration, Method
from core.strategy.forest import FlatForest

STOCKS, COINS, ALL = "stocks", "coins", "all"
_FORMAT = 2


def names_for(symbol: str) -> tuple[str, str, str]:
    """What a member that answers for `symbol` can be called, the narrowest first: its own name, its class, all."""
    return symbol, COINS if instrument_for(symbol).is_crypto else STOCKS, ALL


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """What instruments that learn from one another have learned. `leaf` is the setting that was chosen, `rows` what it
    was fitted on, `independent` their sum of uniqueness, `base_rate` the weighted share of them in which the event came
    true."""

    name: str
    forest: FlatForest
    calibration: Calibration
    leaf: int
    rows: int
    independent: float
    base_rate: float

    def foresee(self, rows: Floats) -> Floats:
        """Calibrated probabilities: finite rows of shape (n, features) to (n,)."""
        return self.calibration.apply(self.forest.predict(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """`event` is in words. `missing` says of the members that could not be fitted why not."""

    version: str
    recipe: str
    event: str
    feature_names: tuple[str, ...]
    feature_version: int
    seed: int
    members: tuple[Member, ...]
    missing: Mapping[str, str] = field(default_factory=dict)

    def member(self, symbol: str) -> Member | None:
        """The one that answers for `symbol`; None where there is none."""
        by_name = {each.name: each for each in self.members}
        return next((by_name[name] for name in names_for(symbol) if name in by_name), None)

    def lacks(self, symbol: str) -> str:
        """Why there is no answer for `symbol`; empty where there is one."""
        if self.member(symbol) is not None:
            return ""
        told = next(
            (self.missing[name] for name in names_for(symbol) if name in self.missing), "it has not been learned from"
        )
        return f"no model for {symbol} yet: {told}"

    def has_seen(self, symbol: str) -> bool:
        """Whether it was looked at when this was fitted, be it that there was too little to learn from."""
        return self.member(symbol) is not None or any(name in self.missing for name in names_for(symbol))

    def to_bytes(self) -> bytes:
        """An .npz archive; equal bundles give equal bytes."""
        told = {
            "recipe": self.recipe,
            "event": self.event,
            "seed": self.seed,
            "missing": dict(self.missing),
            "members": [_plain(member) for member in self.members],
        }
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            format=np.array(_FORMAT),
            version=np.array(self.version),
            feature_names=np.array(self.feature_names),
            feature_version=np.array(self.feature_version),
            told=np.array(json.dumps(told, sort_keys=True)),
            **{f"forest{place}": _bytes_of(member.forest) for place, member in enumerate(self.members)},
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """Raises ValueError when `data` is no such archive or its forests do not hold; never unpickles."""
        if not zipfile.is_zipfile(io.BytesIO(data)):
            raise ValueError("not a model file: no archive")
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if int(arrays["format"]) != _FORMAT:
                raise ValueError(f"format {int(arrays['format'])} is not {_FORMAT}")
            told = json.loads(str(arrays["told"]))
            found = cls(
                str(arrays["version"]),
                str(told["recipe"]),
                str(told["event"]),
                tuple(str(name) for name in arrays["feature_names"]),
                int(arrays["feature_version"]),
                int(told["seed"]),
                tuple(_member(each, arrays[f"forest{place}"]) for place, each in enumerate(told["members"])),
                {str(name): str(why) for name, why in told["missing"].items()},
            )
        except (KeyError, TypeError, AttributeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"not a model file: {error}") from error
        found.check()
        return found

    def check(self) -> None:
        """Raises ValueError unless there are members, each of the bundle's features, with numbers in their range."""
        if not self.members or len({each.name for each in self.members}) != len(self.members):
            raise ValueError("a model without members, or with two of one name")
        for each in self.members:
            forest, numbers = each.forest, (each.independent, *each.calibration.x, *each.calibration.y)
            if (forest.feature_names, forest.feature_version) != (self.feature_names, self.feature_version):
                raise ValueError(f"{each.name}: its forest has other features than the model")
            if not (np.isfinite(numbers).all() and 0.0 <= each.base_rate <= 1.0):
                raise ValueError(f"{each.name}: its calibration or its base rate is not a number in its range")
            each.calibration.check()


def _plain(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "calibration": asdict(member.calibration),
        "leaf": member.leaf,
        "rows": member.rows,
        "independent": member.independent,
        "base_rate": member.base_rate,
    }


def _bytes_of(forest: FlatForest) -> Any:
    return np.frombuffer(forest.to_bytes(), np.uint8)


def _member(told: Mapping[str, Any], forest: Any) -> Member:
    line = told["calibration"]
    return Member(
        str(told["name"]),
        FlatForest.from_bytes(forest.tobytes()),
        Calibration(Method(line["method"]), tuple(map(float, line["x"])), tuple(map(float, line["y"]))),
        int(told["leaf"]),
        int(told["rows"]),
        float(told["independent"]),
        float(told["base_rate"]),
    )
