"""What the doctor says of one thing that he looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `todo` says what to do where something must be done."""

    about: str
    words: str
    todo: str = ""

    def __str__(self) -> str:
        mark = "fix" if self.todo else "ok "
        return f"{mark}  {self.about}: {self.words}" + (f"\n     -> {self.todo}" if self.todo else "")
