"""The rows of the feature list that the chat answers for, each with the tests that show it.

A test names its rows by `@pytest.mark.feature("C1")`. pytest collects all tests without running one; the rows and their
tests are printed, then what is wrong: a row without a test that nobody accounts for, a row that is said to be unbuilt
though it has tests, a mark that names no row.

Run: python -m tests.features [--short]"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROWS: Mapping[str, str] = {
    "A1": "deny by default",
    "A2": "pairing by a one-time code",
    "A3": "one gate for every kind of update",
    "A4": "user and chat both checked",
    "A5": "strangers refused once, the owner told",
    "A6": "one-time code for what raises risk",
    "A7": "audit of every command and tap",
    "A8": "secrets kept out of logs",
    "A9": "revoked from the console",
    "T1": "proposal card",
    "T2": "a button is bound to its card's version",
    "T3": "first decision wins",
    "T4": "proposals survive a restart",
    "T5": "price drifted: asked again",
    "T6": "no answer: by setting",
    "T7": "size and limit changed by buttons",
    "T8": "one order, whatever dies",
    "T9": "result after the broker's answer",
    "T10": "exit proposals escalate",
    "M1": "a fill matches its instruction",
    "M2": "tolerant input",
    "M3": "echo card before booking",
    "M4": "partial fills",
    "M5": "implausible fills asked about twice",
    "M6": "the same fill twice",
    "M7": "undo",
    "M8": "correct",
    "M9": "one tap, or just the price",
    "M10": "fee and time",
    "M11": "no more sold than held",
    "M12": "levels from the actual fill",
    "M13": "broker and ledger compared",
    "M14": "trades and cash of the owner's own",
    "M15": "weekly attestation",
    "C1": "pause and resume",
    "C2": "flatten",
    "C3": "close one position",
    "C4": "stop and target moved",
    "C5": "settings from the chat",
    "C6": "mode",
    "C7": "brakes shown and released",
    "C8": "commands sent while down",
    "C9": "away",
    "D1": "no message lost by a kill",
    "D2": "paced, critical first, folded",
    "D3": "perhaps delivered",
    "D4": "late says how late",
    "D5": "plain text where markup fails",
    "D6": "long texts split",
    "D7": "days without Telegram",
    "D8": "second poller, dead token",
    "D9": "watchdog and notice of downtime",
    "D10": "each event on, silent, off",
    "D11": "quiet hours",
    "D12": "live status message",
    "D13": "messages of a trade are a thread",
    "D14": "the first line says it",
    "I6": "warnings near a stop and of old prices",
    "I7": "the model, and the way back",
    "U1": "command menu, did you mean",
    "U2": "badge on every money message",
    "U3": "local phone",
    "U6": "time zone, numbers, phone width",
    "S3": "what is traded, from the chat",
    "S5": "champion and challenger",
    "S8": "risk rules",
    "S9": "market hours",
    "S12": "manual instructions",
    "S13": "every position names its guard",
    "S14": "self-healing",
    "S15": "reports once a day",
    "S16": "log",
    "S20": "accounts",
    "X1": "provable record",
}
UNBUILT: Mapping[str, str] = {}
"""Rows without a test, each with the reason."""
_ROW = re.compile(r"[ASTMCDIUX][1-9]\d?")


class Marked:
    """A pytest plugin: after a collection, the tests of each row in the order of their files."""

    def __init__(self) -> None:
        self.tests: dict[str, list[str]] = {}

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Parametrised tests count once."""
        for item in items:
            name = item.nodeid.partition("[")[0]
            for mark in item.iter_markers("feature"):
                for row in mark.args:
                    told = self.tests.setdefault(str(row), [])
                    if name not in told:
                        told.append(name)


def collected(folder: Path = TESTS) -> dict[str, list[str]]:
    """Row -> names of its tests in `folder`. Raises RuntimeError with pytest's words where it cannot collect."""
    marked = Marked()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(
            [str(folder), "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"], plugins=[marked]
        )
    if code is not pytest.ExitCode.OK:
        raise RuntimeError(said.getvalue())
    return marked.tests


def problems(rows: Mapping[str, str], tests: Mapping[str, Sequence[str]], unbuilt: Mapping[str, str]) -> Iterator[str]:
    """What is wrong, a sentence each."""
    for row, words in rows.items():
        if row not in tests and row not in unbuilt:
            yield f"{row} ({words}) has no test"
    for row in unbuilt:
        if row in tests:
            yield f"{row} is listed as unbuilt but has tests"
        if row not in rows:
            yield f"{row} is listed as unbuilt but is no row"
    for row in tests:
        if not _ROW.fullmatch(row) or (row[0] in "ATMCD" and row not in rows):
            yield f"{row} is named by {tests[row][0]} but is no row"


def lines_of(
    rows: Mapping[str, str], tests: Mapping[str, Sequence[str]], unbuilt: Mapping[str, str], *, short: bool = False
) -> Iterator[str]:
    """The table: each row with its tests, or why it has none."""
    for row, words in rows.items():
        found = tests.get(row, ())
        yield f"{row:<4} {words}: " + (_count(len(found)) if found else unbuilt.get(row, "NO TEST"))
        if not short:
            yield from (f"       {name}" for name in found)
    groups = Counter("covered" if row in tests else "unbuilt" if row in unbuilt else "missing" for row in rows)
    yield f"{len(rows)} rows: {groups['covered']} with tests, {groups['unbuilt']} unbuilt, {groups['missing']} missing"


def _count(number: int) -> str:
    return "1 test" if number == 1 else f"{number} tests"


def main(arguments: Sequence[str]) -> int:
    tests = collected()
    print("\n".join(lines_of(ROWS, tests, UNBUILT, short="--short" in arguments)))
    wrong = list(problems(ROWS, tests, UNBUILT))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
