"""Reads settings from the environment and a .env file, and refuses all bad values at once, in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv.parser import Binding, parse_stream
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.logs import Redactor
from core.settings.checks import DATA_SOURCES, WorldChoice
from core.settings.rows import ROWS
from core.settings.table import Settings, SettingsError

_ALIKE = 0.8
KEYS = ("ALPACA_KEY_ID", "ALPACA_SECRET_KEY")
_WORDS = {
    "int_parsing": "this is not a whole number",
    "int_from_float": "this is not a whole number",
    "float_parsing": "this is not a number",
    "decimal_parsing": "this is not a number: digits and a point, no signs or commas",
    "bool_parsing": "this is neither true nor false",
    "finite_number": "this is not a finite number",
}


def load_settings(environ: Mapping[str, str], dotenv: Path | None) -> Settings:
    """The owner's settings: `environ` beats the file `dotenv`, which beats the defaults.

    A file named .env may be absent, any other must exist. An empty value means the default; an empty value in
    `environ` hides the file's. Names in the file that are not ours are in `unknown_names`, unless they look like a
    misspelling. Raises SettingsError with every problem at once; secrets' values are never in its text.
    """
    from_file, unknown, problems = _read(dotenv)
    merged = {**from_file, **{name: environ[name] for name in ROWS if name in environ}}
    given = {name: value.strip() for name, value in merged.items() if value.strip()}
    try:
        settings = Settings.model_validate({**given, "unknown_names": unknown})
    except ValidationError as error:
        problems += [in_words(details, given) for details in error.errors(include_url=False, include_context=False)]
    else:
        problems += _real_money(settings)
    problems += _together(given)
    if problems:
        count = "one setting" if len(problems) == 1 else f"{len(problems)} settings"
        text = "\n".join([f"{count} cannot be used:", *(f"  {problem}" for problem in problems)])
        # A token pasted into the wrong line is a secret all the same.
        raise SettingsError(Redactor()(text))
    return settings


def _together(given: Mapping[str, str]) -> list[str]:
    """What is wrong with settings that only make sense beside others."""
    half = [name for name in KEYS if name in given]
    if len(half) == 1:
        missing = next(name for name in KEYS if name not in given)
        return [f"{missing}: missing beside {half[0]}; the two belong together"]
    if not half and given.get("DATA_SOURCES", "").strip(" ,").lower() == "alpaca":
        return [f"DATA_SOURCES=alpaca: needs {' and '.join(KEYS)}; for example DATA_SOURCES={','.join(DATA_SOURCES)}"]
    return []


def _real_money(settings: Settings) -> list[str]:
    """What is wrong with a wish for real money: it has to be said twice, and beside nothing that denies it."""
    if settings.alpaca_paper:
        return []
    problems = []
    if settings.alpaca_key_id is None and settings.alpaca_secret_key is None:
        problems.append(f"ALPACA_PAPER=false: real money needs {' and '.join(KEYS)} of the live account")
    if settings.allow_real_money is None:
        problems.append(
            "ALPACA_PAPER=false: real money needs ALLOW_REAL_MONEY, too, with the number of the live account; for "
            f"example ALLOW_REAL_MONEY={ROWS['ALLOW_REAL_MONEY'].example}, or ALPACA_PAPER=true for paper money"
        )
    if settings.world is WorldChoice.SIMULATED:
        problems.append("ALPACA_PAPER=false: real money and WORLD=simulated exclude each other")
    return problems


def _read(dotenv: Path | None) -> tuple[dict[str, str], tuple[str, ...], list[str]]:
    """(our values in the file, names that are not ours, what is wrong with the file)."""
    if dotenv is None or (dotenv.name == ".env" and not dotenv.exists()):
        return {}, (), []
    try:
        with dotenv.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except UnicodeDecodeError:
        return {}, (), [f"{dotenv}: this file is not UTF-8 text; save it as UTF-8"]
    except OSError as error:
        return {}, (), [f"{dotenv}: the file cannot be read ({error.strerror})"]
    values: dict[str, str] = {}
    unknown: list[str] = []
    problems: list[str] = []
    for binding in bindings:
        problem = _problem_of(binding, dotenv, values)
        if problem:
            problems.append(problem)
        elif binding.key in ROWS:
            values[binding.key] = binding.value or ""
        elif binding.key:
            unknown.append(binding.key)
    return values, tuple(unknown), problems


def _problem_of(binding: Binding, dotenv: Path, seen: Mapping[str, str]) -> str:
    """What is wrong with one statement of the file; never its value, which may be a secret."""
    name = binding.key
    line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
    where = f"{dotenv.name} line {line}"
    if binding.error:
        return f"{where}: cannot be read; write NAME=value, for example SPEED=60"
    if name is None:
        return ""
    if name in seen:
        return f"{name}: set twice in {dotenv.name}, the second time in line {line}; keep one"
    if name in ROWS:
        return f"{name}: no value in {where}; write {name}={ROWS[name].example}" if binding.value is None else ""
    alike = difflib.get_close_matches(name.upper(), ROWS, n=1, cutoff=_ALIKE)
    return f"{name}: unknown name in {where}; did you mean {alike[0]}?" if alike else ""


def in_words(details: ErrorDetails, given: Mapping[str, str]) -> str:
    """One refused value, with its problem and an example; a secret's value is not in it."""
    name = str(details["loc"][0])
    problem = _WORDS.get(details["type"]) or details["msg"].removeprefix("Value error, ")
    problem = problem.replace("Input should be", "must be")
    value: Any = "..." if ROWS[name].is_secret else given.get(name, "")
    return f"{name}={value}: {problem}; for example {name}={ROWS[name].example}"
