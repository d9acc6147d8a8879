"""Profiles: named sets of values for settings of risk. What was chosen and by which rule stands in profiles.json.

A profile's value counts where neither the chat nor the environment says otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

DECLARED = Path(__file__).parent / "profiles.json"


class ProfileName(StrEnum):
    MISSION = "mission"
    CONSERVATIVE = "conservative"
    MODERATE = "moderate"
    AGGRESSIVE = "aggressive"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Profile:
    """`values` by name, as they would be written in .env, an empty one switches its rule off: the same names in every
    profile. `volatility_budget` is the part of the account's value that an ordinary year may move: of one position in
    the forest's profiles, of all together by the plain rule. `drawdown_budget` is the largest fall that is meant to
    be."""

    name: ProfileName
    about: str
    volatility_budget: Decimal
    drawdown_budget: Decimal
    values: Mapping[str, str]


def read_profiles(data: bytes) -> Mapping[ProfileName, Profile]:
    """The profiles of a declaration, in its order. Raises ValueError or KeyError for one that is not whole."""
    told: Mapping[str, Any] = json.loads(data)["profiles"]
    found = {ProfileName(name): _profile(ProfileName(name), row) for name, row in told.items()}
    if len({frozenset(each.values) for each in found.values()}) != 1 or set(found) != set(ProfileName):
        raise ValueError("every profile has to be there, with the same settings in each")
    return MappingProxyType(found)


def _profile(name: ProfileName, row: Mapping[str, Any]) -> Profile:
    volatility, drawdown = Decimal(row["volatility_budget"]), Decimal(row["drawdown_budget"])
    return Profile(name, row["about"], volatility, drawdown, MappingProxyType(dict(row["values"])))


_DATA = DECLARED.read_bytes()
DIGEST = hashlib.sha256(_DATA).hexdigest()
"""Of the declaration: figures that were measured by another one are not shown."""
PROFILES = read_profiles(_DATA)
PROFILE_NAMES = tuple(PROFILES[ProfileName.MISSION].values)
"""The settings that a profile has a value for."""
