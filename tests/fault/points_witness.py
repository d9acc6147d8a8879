"""Sees from below whether anything is committed, asked or written outside a named checkpoint, whoever does it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from threading import get_ident
from typing import Any

from sqlalchemy import Engine, event

BROKER = {
    "submit": "submit",
    "cancel": "cancel",
    "find": "lookup",
    "orders": "orders",
    "fills_since": "fills",
    "activities_since": "activities",
    "state": "state",
}
QUOTES, MARKET, WORKER = {"last": "quotes"}, {"bars": "fetch"}, {"run": "train"}
PING = {"ping": "ping"}
ALARM = {"send": "alarm"}
BOT = {"send_message": "send", "edit_message_text": "edit", "pin_chat_message": "pin"}


class Witness:
    """Told of every checkpoint; `faults` holds what happened outside of one, in words."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._newest: dict[int, str] = {}

    def passes(self, name: str) -> None:
        self._newest[get_ident()] = name

    def newest(self) -> str:
        """The checkpoint that this thread has just passed."""
        return self._newest.get(get_ident(), "")

    def watch_commits(self) -> None:
        """Every commit of every database, from now on and until the process ends."""

        @event.listens_for(Engine, "commit")
        def committed(_connection: Any) -> None:
            if self.newest() == "migrate.before_call":
                return
            if not self.newest().endswith(".before_commit") or self.newest().startswith("."):
                self.faults.append(f"a commit after {self.newest() or 'no checkpoint'}")
            self._newest[get_ident()] = "a commit"

    def watch_files(self, folder: Path) -> None:
        """Every file that is opened for writing, or renamed, below `folder`."""
        start = str(folder)

        def hook(what: str, details: tuple[Any, ...]) -> None:
            if what == "open":
                path, mode, _ = details
                writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
            elif what == "os.rename":
                path, writes = details[0], True
            else:
                return
            if writes and str(path).startswith(start) and not self.newest().endswith(".before_call"):
                self.faults.append(f"{path} was written after {self.newest() or 'no checkpoint'}")

        sys.addaudithook(hook)

    def over(self, port: Any, names: Mapping[str, str]) -> Any:
        """The same port, whose methods of these names may be called within the call of that name only."""
        return _Watched(port, names, self)


class _Watched:
    def __init__(self, port: Any, names: Mapping[str, str], witness: Witness) -> None:
        self._port = port
        self._names = names
        self._witness = witness

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._names:
            return found
        point = f"{self._names[name]}.before_call"

        def called(*arguments: Any, **named: Any) -> Any:
            if self._witness.newest() != point:
                self._witness.faults.append(f"{name} was called after {self._witness.newest() or 'no checkpoint'}")
            return found(*arguments, **named)

        return called
