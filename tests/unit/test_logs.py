"""The log file's name and life, its two formats, and that no secret gets into it."""

import io
import json
import logging
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from telegram.error import TelegramError
from telegram.request import BaseRequest

from core.clock import VirtualClock
from core.logs import Redactor, start_logs

TOKEN = "123456789:AAE_this-is-not-a-real-token-0123456"
EVENING = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)


class Unprintable:
    def __repr__(self) -> str:
        return f"Bot[token={TOKEN}]"


def written(folder: Path) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in sorted(folder.iterdir()))


@pytest.mark.feature("S16")
def test_the_file_is_named_by_the_clocks_date_and_rolls_at_midnight(tmp_path: Path) -> None:
    clock = VirtualClock(EVENING)
    with start_logs(tmp_path, clock, console=io.StringIO()):
        logging.getLogger("x").info("before")
        clock.advance(timedelta(seconds=1))
        logging.getLogger("x").info("after")
    assert [file.name for file in sorted(tmp_path.iterdir())] == [
        "master_orchestrator_20261122.log",
        "master_orchestrator_20261123.log",
    ]
    first, second = (file.read_text() for file in sorted(tmp_path.iterdir()))
    assert first == "2026-11-22 23:59:59Z INFO    x: before\n"
    assert second == "2026-11-23 00:00:00Z INFO    x: after\n"


def test_a_restart_appends_and_files_past_thirty_days_are_deleted(tmp_path: Path) -> None:
    for day in ("20261022", "20261023", "19990101"):
        (tmp_path / f"master_orchestrator_{day}.log").write_text("old\n")
    (tmp_path / "master_orchestrator_notes.log").write_text("mine\n")
    for word in ("one", "two"):
        with start_logs(tmp_path, VirtualClock(EVENING), console=io.StringIO()):
            logging.getLogger("x").warning(word)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == [
        "master_orchestrator_20261023.log",
        "master_orchestrator_20261122.log",
        "master_orchestrator_notes.log",
    ]
    assert len((tmp_path / names[1]).read_text().splitlines()) == 2


@pytest.mark.feature("A8")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_token_is_removed_from_messages_arguments_and_tracebacks(tmp_path: Path, as_json: bool) -> None:
    console = io.StringIO()
    with start_logs(tmp_path, VirtualClock(EVENING), console=console, secrets=["hunter2"], as_json=as_json):
        log = logging.getLogger("bot")
        log.info("POST https://api.telegram.org/bot%s/getUpdates", TOKEN)
        log.info("quoted %s", TOKEN.replace(":", "%3A"))
        log.info("%r", Unprintable())
        try:
            raise RuntimeError(f"invalid token {TOKEN}") from ValueError("password hunter2")
        except RuntimeError:
            log.exception("failed", stack_info=True)
    for text in (console.getvalue(), written(tmp_path)):
        assert "Traceback" in text
        assert "<secret>" in text
        assert "this-is-not-a-real-token" not in text
        assert "hunter2" not in text


def test_secrets_are_removed_longest_first_and_in_their_url_form() -> None:
    redact = Redactor(["ab/cd", "ab/cdef", ""])
    assert redact("ab/cdef ab/cd ab%2Fcd x") == "<secret> <secret> <secret> x"
    assert redact("12:30 and 1234:short stay") == "12:30 and 1234:short stay"


def test_json_lines_hold_one_object_each(tmp_path: Path) -> None:
    console = io.StringIO()
    with start_logs(tmp_path, VirtualClock(EVENING), console=console, as_json=True):
        logging.getLogger("x").warning('two\nlines, ü and "quotes"')
        try:
            raise ValueError("no")
        except ValueError:
            logging.getLogger("y").exception("failed")
    first, second = (json.loads(line) for line in written(tmp_path).splitlines())
    assert first["message"] == 'two\nlines, ü and "quotes"'
    assert (first["at"], first["level"], first["logger"]) == ("2026-11-22T23:59:59+00:00", "WARNING", "x")
    assert "trace" not in first
    assert "ValueError: no" in second["trace"]
    assert console.getvalue() == written(tmp_path)


def test_talkative_libraries_are_silent_below_warning_and_get_their_levels_back(tmp_path: Path) -> None:
    before = logging.getLogger("httpx").level
    with start_logs(tmp_path, VirtualClock(EVENING), console=io.StringIO(), level="DEBUG"):
        logging.getLogger("httpx").info("chatter")
        logging.getLogger("apscheduler.executors.default").info("chatter")
        logging.getLogger("yfinance").error("chatter")
        logging.getLogger("httpx").warning("trouble")
        logging.getLogger("mine").debug("detail")
    assert "chatter" not in written(tmp_path)
    assert "trouble" in written(tmp_path)
    assert "detail" in written(tmp_path)
    assert logging.getLogger("httpx").level == before


def test_a_gateways_error_page_is_no_traceback_in_the_log(tmp_path: Path) -> None:
    with start_logs(tmp_path, VirtualClock(EVENING), console=io.StringIO()), pytest.raises(TelegramError):
        BaseRequest.parse_json_payload(b"<html>502 Bad Gateway</html>")
    assert "Traceback" not in written(tmp_path)


def test_an_uncaught_error_goes_through_the_redacted_log(tmp_path: Path) -> None:
    hooks = sys.excepthook, threading.excepthook
    with start_logs(tmp_path, VirtualClock(EVENING), console=io.StringIO()):
        error = RuntimeError(f"bot {TOKEN}")
        sys.excepthook(RuntimeError, error, None)

        def fail() -> None:
            raise RuntimeError(f"thread {TOKEN}")

        thread = threading.Thread(target=fail, name="feeder")
        thread.start()
        thread.join()
    assert (sys.excepthook, threading.excepthook) == hooks
    assert "feeder was stopped by an error" in written(tmp_path)
    assert written(tmp_path).count("<secret>") == 2


def test_a_log_that_cannot_be_written_says_so_without_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    with start_logs(folder, VirtualClock(EVENING), console=io.StringIO()):
        folder.rmdir()
        folder.write_text("in the way")
        logging.getLogger("x").info("the text %s", "unseen")
        folder.unlink()
        logging.getLogger("x").info("back again")
    said = capsys.readouterr().err
    assert "could not be written" in said
    assert "unseen" not in said
    assert "back again" in written(folder)


def test_many_threads_lose_no_line(tmp_path: Path) -> None:
    with start_logs(tmp_path, VirtualClock(EVENING), console=io.StringIO()):
        log = logging.getLogger("x")
        threads = [threading.Thread(target=lambda: [log.info("line") for _ in range(50)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(written(tmp_path).splitlines()) == 400
