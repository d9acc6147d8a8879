"""The health board and the heartbeat file."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.domain.views import Health
from core.health import MAX_HEARTBEAT_AGE, HealthBoard, read_pulse, write_heartbeat

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)


def test_only_a_change_of_state_is_a_change() -> None:
    board = HealthBoard()
    assert not board.report("yahoo", Health.RUNNING, "answers", NOON)
    assert board.report("yahoo", Health.DEGRADED, "no answer", NOON)
    assert not board.report("yahoo", Health.DEGRADED, "429", LATER)
    assert board.report("yahoo", Health.RUNNING, "works again", LATER)
    assert board.report("telegram", Health.DEGRADED, "unreachable", LATER)


def test_a_state_keeps_its_beginning_while_its_reason_changes() -> None:
    board = HealthBoard()
    board.report("yahoo", Health.DEGRADED, "no answer", NOON)
    board.report("yahoo", Health.DEGRADED, "429", LATER)
    (component,) = board.components()
    assert (component.reason, component.since) == ("429", NOON)
    board.report("yahoo", Health.RUNNING, "", LATER)
    assert board.components()[0].since == LATER


def test_the_worst_component_names_the_whole() -> None:
    board = HealthBoard()
    assert (board.overall(), board.summary()) == (Health.RUNNING, "RUNNING")
    board.report("tick", Health.RUNNING, "", NOON)
    board.report("yahoo", Health.DEGRADED, "no answer", NOON)
    board.report("alpaca", Health.DEGRADED, "", NOON)
    assert board.summary() == "DEGRADED: alpaca; yahoo (no answer)"
    board.report("ledger", Health.HALTED, "hash chain broken", NOON)
    assert board.overall() is Health.HALTED
    assert board.summary() == "HALTED: ledger (hash chain broken)"
    assert [component.name for component in board.components()] == ["ledger", "alpaca", "yahoo", "tick"]


def test_concurrent_reports_announce_each_change_once() -> None:
    board = HealthBoard()
    changes: list[bool] = []
    threads = [
        threading.Thread(target=lambda: changes.append(board.report("x", Health.DEGRADED, "", NOON))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(changes) == 1


@pytest.mark.parametrize(
    ("state", "is_well"), [(Health.RUNNING, True), (Health.DEGRADED, True), (Health.HALTED, False)]
)
def test_a_fresh_heartbeat_is_well_unless_halted(tmp_path: Path, state: Health, is_well: bool) -> None:
    board, file = HealthBoard(), tmp_path / "health.json"
    board.report("ledger", state, "the reason", NOON)
    write_heartbeat(file, board.components(), NOON, 42)
    pulse = read_pulse(file, LATER)
    assert pulse.is_well is is_well
    assert str(state) in pulse.text
    assert "process 42" in pulse.text
    assert [entry.name for entry in tmp_path.iterdir()] == ["health.json"]


def test_a_heartbeat_replaces_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "health.json"
    write_heartbeat(file, (), NOON, 1)
    write_heartbeat(file, (), NOON + timedelta(hours=1), 2)
    assert read_pulse(file, NOON + timedelta(hours=1)).is_well


@pytest.mark.parametrize("passed", [MAX_HEARTBEAT_AGE + timedelta(seconds=1), timedelta(days=-1)])
def test_a_stale_heartbeat_or_one_from_the_future_proves_nothing(tmp_path: Path, passed: timedelta) -> None:
    file = tmp_path / "health.json"
    write_heartbeat(file, (), NOON, 1)
    pulse = read_pulse(file, NOON + passed)
    assert not pulse.is_well
    assert "not running" in pulse.text


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"null", b'{"at": "yesterday"}', b"\xff", b'{"at": 5}'])
def test_a_missing_or_broken_heartbeat_is_not_well_and_says_why(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "health.json"
    if content is not None:
        file.write_bytes(content)
    pulse = read_pulse(file, NOON)
    assert not pulse.is_well
    assert str(file) in pulse.text


def test_a_heartbeat_without_a_time_zone_is_not_well(tmp_path: Path) -> None:
    file = tmp_path / "health.json"
    write_heartbeat(file, (), NOON.replace(tzinfo=None), 1)
    assert not read_pulse(file, NOON).is_well
