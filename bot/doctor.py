"""autotrader doctor: what can be checked without starting, in words, with what to do about it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path

from bot.doctor_account import AskAccount, examine_account
from bot.finding import Finding
from bot.worlds import Place, all_places
from core.clock import SystemClock
from core.domain.bars import Quote
from core.errors import AccessRefused, DataFault, RateLimited, Transient, Unreachable
from core.health import Pulse, read_pulse
from core.settings import Settings, SettingsError, load_settings
from core.settings.checks import FeedChoice, WorldChoice
from core.storage.advice import in_words
from core.storage.backup import backups_of, taken_at
from core.storage.engine import database_path
from core.storage.inventory import model_files, newest_record
from core.storage.lease import is_held
from core.storage.process import this_process
from core.storage.schema import HEAD
from core.storage.soundness import faults, faults_at_start, identity_of, page_faults
from jobs.health import LEAST_FREE_BYTES

OLDEST_PYTHON = (3, 11)
INSTALL = "run ./start_master_orchestrator.sh, which installs what is missing"
OLD_BACKUP = timedelta(days=2)
CLOCK_TOLERANCE = timedelta(minutes=5)
_TRY_LATER = "run doctor again in an hour; if it stays, install a newer yfinance: Yahoo may have changed its answers"
_YAHOO_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (RateLimited, "ask no more until then; the program waits by itself, and makes no entries on old bars"),
    (AccessRefused, "wait an hour; if it stays, stop the program and delete the folder yahoo in the data folder"),
    (Unreachable, "check this machine's network and, if it has one, its proxy (HTTPS_PROXY)"),
)
_ALPACA_LATER = "run doctor again in an hour; if it stays, install the newest version of this program"
_ALPACA_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (RateLimited, "wait a minute; other programs with the same keys use up its requests, too"),
    (AccessRefused, "make new keys at Alpaca and set ALPACA_KEY_ID and ALPACA_SECRET_KEY to both halves"),
    (Unreachable, "check this machine's network and, if it has one, its proxy (HTTPS_PROXY)"),
)
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


AskYahoo = Callable[[Path], Quote]
"""Asks Yahoo for one price, with its cookie in the folder. Raises what core.errors has for a source of prices."""
AskAlpaca = Callable[[Settings], None]
"""Asks Alpaca for one price with the keys that are set. Raises Transient."""


def examine(
    environ: Mapping[str, str],
    dotenv: Path,
    ask_yahoo: AskYahoo | None = None,
    ask_alpaca: AskAlpaca | None = None,
    ask_account: AskAccount | None = None,
) -> Iterator[Finding]:
    """Every check in turn; without usable settings those that need none. Whoever is asked beyond this machine
    is asked where he is used and given here."""
    yield from _program()
    try:
        settings = load_settings(environ, dotenv)
    except SettingsError as error:
        yield Finding("settings", str(error), "correct them in .env or in the environment, then run doctor again")
        return
    yield from _settings(settings, dotenv)
    yield from _folders(settings)
    now = SystemClock().now()
    pulse = read_pulse(settings.heartbeat_file, now)
    yield Finding("engine", pulse.text)
    if ask_yahoo is not None and settings.world is not WorldChoice.SIMULATED and "yahoo" in settings.data_sources:
        yield _yahoo(ask_yahoo, settings.data_dir / "yahoo", pulse)
    if ask_alpaca is not None and settings.alpaca_keys is not None:
        yield _alpaca(ask_alpaca, settings)
    if ask_account is not None and settings.alpaca_keys is not None and settings.world is not WorldChoice.SIMULATED:
        yield from examine_account(ask_account, settings)
    for place in all_places(settings):
        path = database_path(place.database)
        wrong = faults_at_start(path)
        if path.exists() or wrong:
            yield from _ledger(settings, place, path, wrong, now)


def _program() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < OLDEST_PYTHON
    yield Finding("python", version, "install Python 3.11 or newer" if old else "")
    try:
        wanted = [line for line in metadata.requires("autotrader") or () if "extra ==" not in line]
        missing = [name for name in map(_name_of, wanted) if not _is_installed(name)]
    except metadata.PackageNotFoundError:
        yield Finding("packages", "this program is not installed", INSTALL)
        return
    yield Finding(
        "packages", f"missing: {', '.join(missing)}" if missing else f"{len(wanted)} found", INSTALL if missing else ""
    )


def _name_of(requirement: str) -> str:
    match = _REQUIREMENT.match(requirement)
    return match[0] if match else requirement


def _is_installed(name: str) -> bool:
    with suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(name))
    return False


def _settings(settings: Settings, dotenv: Path) -> Iterator[Finding]:
    where = f"{dotenv} and the environment" if dotenv.exists() else "the environment and defaults"
    yield Finding("settings", f"from {where}")
    if settings.unknown_names:
        yield Finding(
            "settings", f"not ours: {', '.join(settings.unknown_names)}", "remove them from .env, or mend the spelling"
        )
    for remark in settings.remarks():
        yield Finding("settings", remark)


def _folders(settings: Settings) -> Iterator[Finding]:
    for folder in (settings.data_dir, settings.logs_dir, settings.signals_dir, settings.models_dir):
        yield Finding("folder", str(folder), _cannot_write(folder))
    existing = next(folder for folder in (settings.state_dir, *settings.state_dir.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    todo = f"make room: at least {LEAST_FREE_BYTES / 1e9:.1f} GB must be free" if free < LEAST_FREE_BYTES else ""
    yield Finding("disk", f"{free / 1e9:.1f} GB free", todo)


def _cannot_write(folder: Path) -> str:
    """What to do where nothing can be written; a folder that is not there yet is judged by the one above it."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder} cannot be written to ({error.strerror}): give it to the user {os.getuid()} or set STATE_DIR"


def _yahoo(ask: AskYahoo, folder: Path, pulse: Pulse) -> Finding:
    """How Yahoo is now. Two programs that ask at once ask too often: a running engine tells what it found itself."""
    about = "prices from Yahoo"
    if pulse.is_well:
        return Finding(about, "asked by the running engine; what it found stands with it above")
    try:
        quote = ask(folder)
    except (Transient, DataFault) as trouble:
        todo = next((words for kind, words in _YAHOO_ADVICE if isinstance(trouble, kind)), _TRY_LATER)
        return Finding(about, f"Yahoo {trouble.reason if isinstance(trouble, DataFault) else trouble}", todo)
    return Finding(about, f"Yahoo answers: {quote.symbol} {quote.price:,.2f} USD, {quote.at:%Y-%m-%d %H:%M} UTC")


def _alpaca(ask: AskAlpaca, settings: Settings) -> Finding:
    """Whether the keys are good for prices. An account may ask 200 times a minute: once more beside a running engine
    does no harm."""
    about = "prices from Alpaca"
    try:
        ask(settings)
    except Transient as trouble:
        todo = next((words for kind, words in _ALPACA_ADVICE if isinstance(trouble, kind)), _ALPACA_LATER)
        if isinstance(trouble, AccessRefused) and settings.alpaca_feed is FeedChoice.SIP and "keys" not in str(trouble):
            todo = "set ALPACA_FEED=iex, or subscribe to the prices of all exchanges at Alpaca"
        return Finding(about, f"Alpaca {trouble}", todo)
    used = "" if "alpaca" in settings.data_sources else "; DATA_SOURCES leaves them out"
    return Finding(about, f"Alpaca accepts the keys and gives prices (feed {settings.alpaca_feed}){used}")


def _ledger(settings: Settings, place: Place, path: Path, wrong: list[str], now: datetime) -> Iterator[Finding]:
    """Everything about one ledger. A damaged one is told once, with the way back."""
    name = path.name
    problems = wrong or faults(path)
    who = identity_of(path) if path.exists() else None
    if problems or who is None:
        for extra in problems[1:5]:
            yield Finding(name, f"also {extra}", "see below")
        yield Finding(name, f"damaged, {len(problems)} findings", in_words(path, (problems or ["it is no ledger"])[0]))
        return
    newer = who.revision > HEAD
    yield Finding(
        name,
        f"whole; {place.world} prices, schema {who.revision}, {who.head.seq} links, epoch {who.epoch}",
        "install the newer version of the program that wrote it" if newer else "",
    )
    held = who.lease is not None and is_held(who.lease, now, this_process())
    yield Finding(f"{name} lease", f"held by process {who.lease['pid']}" if held and who.lease else "free")
    yield from _clock(path, now)
    yield from _backups(path, now)
    yield from _models(path, settings.models_dir)
    if place.venue_file is not None and place.venue_file.exists():
        broken = page_faults(place.venue_file)
        yield Finding(place.venue_file.name, broken[0] if broken else "whole", _venue_advice(place.venue_file, broken))


def _clock(path: Path, now: datetime) -> Iterator[Finding]:
    newest = newest_record(path)
    behind = newest is not None and newest > now + CLOCK_TOLERANCE
    words = f"{now:%Y-%m-%d %H:%M:%S} UTC" + (
        f", the ledger's newest record is of {newest:%Y-%m-%d %H:%M} UTC" if behind else ""
    )
    yield Finding("clock", words, "set this machine's clock (and let NTP keep it): it is behind" if behind else "")


def _backups(path: Path, now: datetime) -> Iterator[Finding]:
    copies = backups_of(path)
    if not copies:
        yield Finding(f"{path.name} backups", "none yet; one is made within an hour of running")
        return
    at = taken_at(copies[0]) or now
    age = now - at
    hours = age / timedelta(hours=1)
    todo = "let the program run for an hour; if none is made then, see its log for why" if age > OLD_BACKUP else ""
    yield Finding(f"{path.name} backups", f"{len(copies)}, the newest {hours:.0f} hours old ({copies[0].name})", todo)


def _models(path: Path, folder: Path) -> Iterator[Finding]:
    wrong = [f"{name}: {words}" for name, words in model_files(path, folder) if words]
    if wrong:
        yield Finding(
            f"{path.name} model", "; ".join(wrong), "start the program: it refuses such a file and trains anew"
        )
    else:
        yield Finding(f"{path.name} model", "files as recorded")


def _venue_advice(file: Path, broken: list[str]) -> str:
    if not broken:
        return ""
    copies = [copy for copy in backups_of(file) if not page_faults(copy)]
    if not copies:
        return f"no whole copy is there: move {file.name} away and keep it; the simulated account then begins anew"
    return f"stop the program, move {file.name} (with -wal and -shm) away, and copy {copies[0]} in its place"


def report(
    environ: Mapping[str, str],
    dotenv: Path,
    ask_yahoo: AskYahoo | None = None,
    ask_alpaca: AskAlpaca | None = None,
    ask_account: AskAccount | None = None,
) -> int:
    """Prints every finding; the exit code: 1 where something has to be done."""
    findings = []
    for finding in examine(environ, dotenv, ask_yahoo, ask_alpaca, ask_account):
        print(finding)
        findings.append(finding)
    due = sum(bool(finding.todo) for finding in findings)
    print(f"{due} of {len(findings)} need something done" if due else "all is well")
    return 1 if due else 0
