"""The log: logs/master_orchestrator_YYYYMMDD.log and the console, for people or as JSON lines, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

if TYPE_CHECKING:  # settings stand on this module's Redactor and need not load numpy with the ports
    from core.ports import Clock

KEEP_DAYS = 30
_NAME = "master_orchestrator_{:%Y%m%d}.log"
_DATED = re.compile(r"master_orchestrator_(\d{8})\.log")
# No leading word boundary: in a Bot API URL the token follows the letters "bot" directly.
_TOKEN = re.compile(r"\d{3,}(?::|%3A)[A-Za-z0-9_-]{30,}", re.IGNORECASE)
_REMOVED = "<secret>"
# These log every request (with the token in its URL), every run of a job or every failed ticker.
_QUIET = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "telegram": logging.WARNING,
    # An answer that is no JSON, as a gateway's error page, with its traceback; the delivery tells of it in one line.
    "telegram.request.BaseRequest": logging.CRITICAL,
    "apscheduler": logging.WARNING,
    "yfinance": logging.CRITICAL,
    "peewee": logging.WARNING,
    "urllib3": logging.WARNING,
    "asyncio": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "alembic": logging.WARNING,
}


class Redactor:
    """Replaces known secrets, and anything shaped like a bot token, in a text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        literal = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
        self._literal = sorted(literal, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._literal:
            text = text.replace(secret, _REMOVED)
        return _TOKEN.sub(_REMOVED, text)


class _Formatter(logging.Formatter):
    """Formats first, tracebacks included, and redacts what came out: a secret may hide in an argument's repr."""

    def __init__(self, clock: Clock, redact: Redactor) -> None:
        super().__init__()
        self._clock = clock
        self._redact = redact

    def moment(self, record: logging.LogRecord) -> datetime:
        """When the line was first written, by our clock; the same in every handler."""
        moment: datetime = record.__dict__.setdefault("moment", self._clock.now())
        return moment

    def words(self, record: logging.LogRecord) -> tuple[str, str]:
        """(message, traceback or ''), both redacted."""
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if record.stack_info:
            trace = "\n".join(filter(None, (trace, self.formatStack(record.stack_info))))
        return self._redact(record.getMessage()), self._redact(trace)


class HumanFormatter(_Formatter):
    """`2026-11-22 21:40:02Z INFO    jobs.tick: 8 symbols, no trade`"""

    def format(self, record: logging.LogRecord) -> str:
        message, trace = self.words(record)
        line = f"{self.moment(record):%Y-%m-%d %H:%M:%SZ} {record.levelname:<7} {record.name}: {message}"
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(_Formatter):
    """One JSON object a line: at (ISO, UTC), level, logger, thread, message, and trace where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        message, trace = self.words(record)
        fields = {
            "at": self.moment(record).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "thread": record.threadName,
            "message": message,
        }
        return json.dumps({**fields, "trace": trace} if trace else fields, ensure_ascii=False)


class _Careful:
    """A line that cannot be written (disk full, closed pipe) must not spill its unredacted arguments on stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        if sys.stderr is not None:
            with suppress(OSError, ValueError):
                print(f"a log line of {record.name} could not be written: {sys.exc_info()[1]!r}", file=sys.stderr)


class DatedFile(_Careful, logging.Handler):
    """Appends to the file of the clock's UTC date; a new date opens a new file and deletes those past KEEP_DAYS."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__()
        self._folder = folder
        self._clock = clock
        self._day: date | None = None
        self._stream: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            stream = self._stream_of(self._clock.now().astimezone(UTC).date())
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError, TypeError):
            self.handleError(record)

    def _stream_of(self, day: date) -> TextIO:
        if self._stream is None or day != self._day:
            self._close_stream()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._stream = (self._folder / _NAME.format(day)).open("a", encoding="utf-8", errors="backslashreplace")
            self._day = day
            self._forget_before(day - timedelta(days=KEEP_DAYS))
        return self._stream

    def _forget_before(self, oldest: date) -> None:
        for file in self._folder.glob("master_orchestrator_*.log"):
            dated = _DATED.fullmatch(file.name)
            if dated and dated[1] < f"{oldest:%Y%m%d}":
                file.unlink(missing_ok=True)

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        with self.lock or threading.RLock():
            self._close_stream()
        super().close()


class _Console(_Careful, logging.StreamHandler[TextIO]):
    pass


class Logs:
    """The root logger's handlers and the hooks for uncaught errors, from `start_logs` until `close`."""

    def __init__(self, handlers: list[logging.Handler], level: str) -> None:
        self._root = logging.getLogger()
        self._before = (list(self._root.handlers), self._root.level)
        self._levels = {name: logging.getLogger(name).level for name in _QUIET}
        self._hooks = (sys.excepthook, threading.excepthook)
        self._handlers = handlers
        self._root.handlers = [*handlers]
        self._root.setLevel(level)
        for name, least in _QUIET.items():
            logging.getLogger(name).setLevel(least)
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread

    def close(self) -> None:
        """Puts logging back as it was and closes the file."""
        self._root.handlers, level = self._before
        self._root.setLevel(level)
        for name, least in self._levels.items():
            logging.getLogger(name).setLevel(least)
        sys.excepthook, threading.excepthook = self._hooks
        for handler in self._handlers:
            handler.close()

    def __enter__(self) -> Logs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_logs(
    folder: Path,
    clock: Clock,
    *,
    secrets: Iterable[str] = (),
    as_json: bool = False,
    level: str = "INFO",
    console: TextIO | None = None,
) -> Logs:
    """Logs to `folder` and to `console` (stderr by default). `clock` is the system clock; it dates lines and files.

    Raises OSError where the folder cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    redact = Redactor(secrets)
    formatter = JsonFormatter(clock, redact) if as_json else HumanFormatter(clock, redact)
    handlers: list[logging.Handler] = [_Console(console or sys.stderr), DatedFile(folder, clock)]
    for handler in handlers:
        handler.setFormatter(formatter)
    return Logs(handlers, level)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> Any:
    if issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, trace)
    return logging.getLogger("autotrader").critical("stopped by an error", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> Any:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread else "a thread"
        failure = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("autotrader").critical("%s was stopped by an error", name, exc_info=failure)
