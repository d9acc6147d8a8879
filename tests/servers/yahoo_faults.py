"""What can go wrong between yfinance and Yahoo, chosen by a test for one call, for all that follow, or by a seed."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np


class Wire(StrEnum):
    """How an answer travels: whole; less than its length says; nothing and the connection is reset; never."""

    WHOLE = "whole"
    SHORT = "short"
    RESET = "reset"
    NEVER = "never"


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    kind: str = "application/json;charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    wire: Wire = Wire.WHOLE


Act = Callable[[], Answer]
Fault = Callable[[Act], Answer]
EVERY_SYMBOL = "*"
COOKIE, CRUMB, CONSENT = "(cookie)", "(crumb)", "(consent)"
PAGE = "<!DOCTYPE html><html lang=en-us><head><title>Yahoo</title></head><body><h1>{}</h1></body></html>"


def refusal(code: str, description: str, part: str = "chart") -> bytes:
    return json.dumps({part: {"result": None, "error": {"code": code, "description": description}}}).encode()


def always(answer: Answer) -> Fault:
    return lambda _: answer


def page(status: int, words: str) -> Fault:
    return always(Answer(status, PAGE.format(words).encode(), "text/html;charset=utf-8"))


def too_many(retry_after: int | None = None) -> Fault:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return always(Answer(429, b"Too Many Requests\r\n", "text/html", headers))


def cut(act: Act) -> Answer:
    """The JSON ends in the middle, and the length of the answer says so."""
    whole = act()
    return replace(whole, body=whole.body[: len(whole.body) // 2])


def short(act: Act) -> Answer:
    return replace(act(), wire=Wire.SHORT)


def reset(_: Act) -> Answer:
    return Answer(wire=Wire.RESET)


def hang(_: Act) -> Answer:
    return Answer(wire=Wire.NEVER)


def slow(gate: threading.Event) -> Fault:
    """The answer comes once `gate` is set: a test decides how long is long."""

    def wait(act: Act) -> Answer:
        gate.wait(30)
        return act()

    return wait


def spoiled(change: Callable[[dict[str, Any]], object]) -> Fault:
    """The chart, changed by `change`, which gets the one result."""

    def spoil(act: Act) -> Answer:
        whole = act()
        chart = json.loads(whole.body)
        if whole.status == 200:
            change(chart["chart"]["result"][0])
        return replace(whole, body=json.dumps(chart).encode())

    return spoil


def nulls(result: dict[str, Any]) -> None:
    """The row in the middle is without values."""
    for values in result["indicators"]["quote"][0].values():
        values[len(values) // 2] = None


TOO_MANY = too_many()
BAD_GATEWAY = page(502, "502 Bad Gateway")
WILL_BE_BACK = page(200, "Will be right back...")
SOME_PAGE = page(200, "Oath")
DELISTED = always(Answer(404, refusal("Not Found", "No data found, symbol may be delisted")))
INVALID_CRUMB = always(Answer(401, refusal("Unauthorized", "Invalid Crumb", "finance")))
PASSING: Mapping[str, Fault] = {
    "429": TOO_MANY,
    "502": BAD_GATEWAY,
    "reset": reset,
    "cut": cut,
    "short": short,
    "page": SOME_PAGE,
    "401": INVALID_CRUMB,
}
"""What passes when the question is asked again."""


@dataclass
class Faults:
    """By symbol, or by one of COOKIE, CRUMB, CONSENT; EVERY_SYMBOL means all charts.

    `once` are used up one after another, `standing` hold until they are taken away, `choose` is asked for every other
    call. `met` counts what was done.
    """

    once: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    standing: dict[str, Fault] = field(default_factory=dict)
    choose: Callable[[str], Fault | None] | None = None
    met: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def due(self, key: str) -> Fault | None:
        is_chart = not key.startswith("(")
        with self._lock:
            found = self._due([key, EVERY_SYMBOL] if is_chart else [key])
            if found is None and self.choose is not None and is_chart:
                found = self.choose(key)
            self.met += found is not None
            return found

    def _due(self, keys: Sequence[str]) -> Fault | None:
        for key in keys:
            if self.once[key]:
                return self.once[key].pop(0)
            if key in self.standing:
                return self.standing[key]
        return None

    def clear(self) -> None:
        self.once.clear()
        self.standing.clear()
        self.choose = None

    def by_chance(self, share: float, seed: int, kinds: Mapping[str, Fault] = PASSING) -> None:
        """That share of the charts fails, each in one of the ways of `kinds`."""
        chance, ways = np.random.default_rng(seed), list(kinds.values())

        def choose(_: str) -> Fault | None:
            return ways[int(chance.integers(len(ways)))] if chance.random() < share else None

        self.choose = choose
