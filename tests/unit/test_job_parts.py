"""The parts that the jobs run: health's desk, the live model, housekeeping, and the table that names them all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.market_work import unseen
from core.adapters.calendars import ExchangeCalendar
from core.adapters.model_files import ModelFiles
from core.clock import VirtualClock
from core.domain.events import HealthChanged
from core.domain.instruments import instrument_for
from core.domain.records import JobOutcome, JobRun
from core.domain.views import Health
from core.errors import Fatal
from core.health import read_pulse
from core.series import time_of
from core.storage.store import Database, open_database
from core.strategy.predictor import ForestPredictor
from jobs.champion import Champion
from jobs.health import LEAST_FREE_BYTES, HealthDesk
from jobs.maintenance import maintain, skip_if_done
from jobs.retrain import retrain
from jobs.schedule import JobSkipped, Timebase
from jobs.table import HouseWork, MarketWork, house_jobs, market_jobs
from jobs.worker import SpawnedWorker
from jobs.writer import InlineWriter, Urgency
from tests.fakes_bars import MemoryBarStore
from tests.forest_builders import SMALL, bundle_of, model_of, predictor_of, small_forest
from tests.forest_builders import save as save_forest
from tests.ledger_builders import START, a_deposit, ledger, write
from tests.series_builders import random_walk

REPORTS = list[tuple[str, Health, str]]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def database(tmp_path: Path, clock: VirtualClock) -> Iterator[Database]:
    opened = ledger(tmp_path, clock)
    yield opened
    opened.close()


# health


@pytest.fixture
def desk(database: Database, clock: VirtualClock, tmp_path: Path) -> HealthDesk:
    return HealthDesk(database.unit_of_work, clock, clock, tmp_path / "health.json", 4711)


def news(database: Database) -> list[tuple[str, str]]:
    with database.reading() as work:
        events = [row.event for row in reversed(work.messages())]
    return [(event.component, event.state) for event in events if isinstance(event, HealthChanged)]


def test_each_change_of_health_is_told_once(desk: HealthDesk, database: Database) -> None:
    desk.report("telegram", Health.RUNNING, "connected")
    assert desk.tell() == 0
    desk.report("telegram", Health.DEGRADED, "no network")
    desk.report("telegram", Health.DEGRADED, "still no network")
    assert desk.tell() == 1
    assert desk.tell() == 0
    desk.report("telegram", Health.RUNNING, "connected")
    assert desk.tell() == 1
    assert news(database) == [("telegram", Health.DEGRADED), ("telegram", Health.RUNNING)]


def test_a_report_inside_a_transaction_waits_for_nobody(desk: HealthDesk, database: Database) -> None:
    with database.unit_of_work() as work:
        desk.report("SPY", Health.DEGRADED, "no data")
        work.commit()
    assert desk.tell() == 1


def test_the_health_job_leaves_a_heartbeat_of_this_process(
    desk: HealthDesk, tmp_path: Path, clock: VirtualClock
) -> None:
    desk.report("yahoo", Health.DEGRADED, "asked to wait")
    assert desk.check() == "DEGRADED: yahoo (asked to wait)"
    pulse = read_pulse(tmp_path / "health.json", clock.now() + timedelta(seconds=30))
    assert pulse.is_well and "process 4711, 30 s ago" in pulse.text
    assert not read_pulse(tmp_path / "health.json", clock.now() + timedelta(minutes=4)).is_well


def test_a_disk_that_fills_up_is_told_before_it_is_full(
    desk: HealthDesk, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=LEAST_FREE_BYTES - 1))
    assert "disk (0.5 GB free)" in desk.check()
    assert news(database) == [("disk", Health.DEGRADED)]
    body = json.loads((tmp_path / "health.json").read_text())
    assert body["state"] == "DEGRADED"


# the live model


def champion_of(database: Database, folder: Path) -> tuple[Champion, REPORTS]:
    reports: REPORTS = []
    store = ModelFiles(folder, ForestPredictor.from_bytes)
    return Champion(database.reading, store, lambda *report: reports.append(report)), reports


def test_without_a_model_there_is_no_predictor_and_no_alarm(database: Database, tmp_path: Path) -> None:
    champion, reports = champion_of(database, tmp_path)
    assert champion() is None
    assert not champion.is_refused and reports == []


def test_the_ledgers_champion_is_loaded_once_and_exchanged_when_it_names_another(
    database: Database, tmp_path: Path
) -> None:
    first = save_forest(small_forest(), tmp_path)
    write(database, lambda work: work.add_model(first))
    champion, reports = champion_of(database, tmp_path)
    loaded = champion()
    assert loaded is not None and champion() is loaded
    second = save_forest(replace(small_forest(), version="other"), tmp_path)
    write(database, lambda work: work.add_model(second))
    exchanged = champion()
    assert exchanged is not None and exchanged.version == "other"
    assert [state for _, state, _ in reports] == [Health.RUNNING] * 2


@pytest.mark.parametrize("name", ["path", "flat_path"])
def test_a_damaged_file_is_refused_and_said_once(database: Database, tmp_path: Path, name: str) -> None:
    model = save_forest(small_forest(), tmp_path)
    write(database, lambda work: work.add_model(model))
    (tmp_path / getattr(model, name)).write_bytes(b"garbage")
    champion, reports = champion_of(database, tmp_path)
    assert champion() is None and champion() is None
    assert champion.is_refused
    ((component, state, reason),) = reports
    assert (component, state) == ("model", Health.DEGRADED)
    assert "SHA-256" in reason and "no entries" in reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": ""}, "this program knows no recipe without a name"),
        ({"recipe": "astrology"}, "this program knows no recipe astrology"),
        ({"event": "close higher after 10 bars"}, "scaled-asset does not foresee: close higher after 10 bars"),
        ({"feature_version": 99}, "feature version should be 99"),
    ],
)
def test_a_model_of_another_version_of_the_program_is_refused_in_words(
    database: Database, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    model = replace(save_forest(small_forest(), tmp_path), **change)
    write(database, lambda work: work.add_model(model))
    champion, reports = champion_of(database, tmp_path)
    assert champion() is None and champion() is None
    assert champion.is_refused
    ((_, state, reason),) = reports
    assert state == Health.DEGRADED
    assert words in reason and "until it is trained anew" in reason


def test_a_file_of_before_there_were_recipes_is_no_model(database: Database, tmp_path: Path) -> None:
    model = save_forest(small_forest(), tmp_path)
    old = small_forest().to_bytes()
    (tmp_path / model.flat_path).write_bytes(old)
    write(database, lambda work: work.add_model(replace(model, flat_sha256=hashlib.sha256(old).hexdigest())))
    champion, reports = champion_of(database, tmp_path)
    assert champion() is None and champion.is_refused
    assert "not a model file: format 1 is not 2" in reports[0][2]


def test_assets_that_the_live_model_was_not_shown_are_named() -> None:
    live = ForestPredictor(
        replace(bundle_of(small_forest(), name="SPY"), missing={"SOL-USD": "too young"}), model_of(small_forest())
    )
    assert unseen(live, ["SPY", "SOL-USD", "GLD"]) == ["GLD"]
    assert unseen(predictor_of(small_forest()), ["GLD"]) == []
    assert unseen(None, ["GLD"]) == []


def test_a_damaged_model_is_trained_anew_by_the_real_worker_and_works_again(tmp_path: Path) -> None:
    series = random_walk("SPY", 700, seed=51)
    now = time_of(series.closed_at[599])
    bars = MemoryBarStore()
    bars.write(series, "test")
    database = open_database(tmp_path / "ledger.db", durable=False)
    models = tmp_path / "models"
    champion, reports = champion_of(database, models)
    instruments = [instrument_for("SPY")]

    worker = SpawnedWorker(keep=True)

    def train(force: bool) -> str:
        return retrain(
            now,
            uow=database.unit_of_work,
            bars=bars,
            instruments=instruments,
            worker=worker,
            models_folder=models,
            recipe=SMALL,
            force=force,
        )

    train(force=False)
    assert champion() is not None
    with database.reading() as work:
        model = work.champion()
    assert model is not None
    (models / model.flat_path).write_bytes(b"garbage")
    restarted, reports = champion_of(database, models)
    assert restarted() is None and restarted.is_refused
    assert "whole" in train(force=restarted.is_refused)
    restarted.trained_anew()
    loaded = restarted()
    assert loaded is not None and loaded.version == model.version
    assert [state for _, state, _ in reports] == [Health.DEGRADED, Health.RUNNING]
    worker.stop()
    database.close()


# housekeeping


def said(component: str, state: Health, reason: str) -> None:
    """Health where nobody looks at it."""


def test_housekeeping_verifies_backs_up_and_forgets_old_runs(database: Database, clock: VirtualClock) -> None:
    def runs(work: Any) -> None:
        for days in (20, 15, 13, 0):
            at = START - timedelta(days=days)
            work.record_job("tick", at, at, JobOutcome.DONE, f"{days} days ago")
        work.start_job("retrain", START - timedelta(days=30), START - timedelta(days=30))

    write(database, runs)
    line = maintain(database, START - timedelta(days=14), said, forget_bars=lambda: 1_234, forget_models=lambda: 6)
    assert line.startswith("verified; backed up to ")
    assert line.endswith("2 old run records, 1,234 old bars and 6 files of old models removed")
    (copy,) = (database.path.parent / "backups").iterdir()
    assert copy.name in line
    with database.reading() as work:
        newest = work.last_run("tick")
        (still_open,) = work.unfinished_jobs()
    assert newest is not None and newest.detail == "0 days ago"
    assert still_open.job == "retrain"
    assert database.forget_runs(START - timedelta(days=14)) == 0


def test_a_ledger_that_does_not_verify_stops_everything_and_is_not_backed_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, lambda work: work.book(a_deposit(), recorded_at=START))
    monkeypatch.setattr(database, "verify", lambda: ["fills 1: price is '1', recorded was '2'", "and more"])
    with pytest.raises(Fatal, match=r"fills 1: price.*2 in all(.|\n)*autotrader doctor --restore"):
        maintain(database, START, said)
    assert not (database.path.parent / "backups").exists()


def test_a_backup_that_fails_is_told_once_and_keeps_what_is_there(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[tuple[str, Health, str]] = []
    desk = HealthDesk(database.unit_of_work, VirtualClock(START), VirtualClock(START), tmp_path / "health.json", 1)

    def report(component: str, state: Health, reason: str) -> None:
        told.append((component, state, reason))
        desk.report(component, state, reason)

    maintain(database, START, report)
    before = list((database.path.parent / "backups").iterdir())
    monkeypatch.setattr("core.storage.backup.shutil.disk_usage", lambda _folder: SimpleNamespace(free=1))
    for _ in range(2):
        with pytest.raises(JobSkipped, match="no room for a backup"):
            maintain(database, START, report)
    assert [state for _, state, _ in told] == [Health.RUNNING, Health.DEGRADED, Health.DEGRADED]
    assert desk.tell() == 1
    assert list((database.path.parent / "backups").iterdir()) == before


def test_housekeeping_is_due_every_hour_and_done_once_a_day() -> None:
    done = JobRun(1, "maintenance", START, START, START, JobOutcome.DONE)
    for hours in (1, 12, 19):
        with pytest.raises(JobSkipped, match="done at 2024-03-01 15:00"):
            skip_if_done(done, START + timedelta(hours=hours))
    skip_if_done(None, START)
    skip_if_done(done, START + timedelta(hours=20))
    skip_if_done(done, START - timedelta(hours=1))


# the table


def line(words: str) -> Callable[..., str]:
    return lambda *_: words


class Noting(InlineWriter):
    """The writer that notes how urgent each piece of work was."""

    def __init__(self) -> None:
        self.urgencies: list[Urgency] = []

    def submit(self, urgency: Urgency, /, task: Callable[..., Any], *arguments: Any) -> Any:
        self.urgencies.append(urgency)
        return super().submit(urgency, task, *arguments)


def tables(writer: Noting, contest: Callable[[datetime], str] | None = None) -> dict[str, Any]:
    report = SimpleNamespace(written=8)
    market = MarketWork(
        collect=lambda _due: report,  # type: ignore[arg-type, return-value]
        cycle=lambda due, given: SimpleNamespace(summary=lambda: f"cycle of {due:%H:%M}, {given.written}"),  # type: ignore[arg-type, return-value]
        guard=line("guarded"),
        retrain=line("trained"),
        report=line("published"),
        contest=contest,
    )
    house = HouseWork(
        line("host:1"), line("2 expired"), line("RUNNING"), line("verified"), line("watched"), line("not due")
    )
    jobs = (*market_jobs(market, writer, ExchangeCalendar()), *house_jobs(house, writer))
    return {job.name: job for job in jobs}


@pytest.mark.feature("S5")
def test_a_contest_is_looked_for_once_a_day_between_two_trainings_where_it_is_wanted() -> None:
    assert "contest" not in tables(Noting())
    job = tables(Noting(), contest=lambda due: f"looked at {due:%H:%M}")["contest"]
    at = datetime(2024, 3, 8, 14, 58, 1, tzinfo=UTC)
    first = job.rule(at)
    assert first == datetime(2024, 3, 9, 2, 20, tzinfo=UTC)
    assert job.rule(first) - first == timedelta(days=1)
    assert (job.timebase, job.run(first)) == (Timebase.MARKET, "looked at 02:20")


def test_every_job_is_due_when_it_should_be_and_follows_its_own_clock() -> None:
    at = datetime(2024, 3, 8, 14, 58, 1, tzinfo=UTC)
    due = {name: job.rule(at) for name, job in tables(Noting()).items()}
    assert due == {
        "tick": at.replace(hour=15, minute=0, second=0),
        "guard": at.replace(minute=59, second=0),
        "retrain": at.replace(hour=15, minute=0, second=0),
        "report": at.replace(hour=21, minute=15, second=0),
        "lease": at.replace(second=10),
        "expiry": at.replace(second=30),
        "health": at.replace(second=20),
        "watch": at.replace(minute=59, second=0),
        "attest": at.replace(hour=15, minute=0, second=0),
        "maintenance": at.replace(hour=15, minute=40, second=0),
    }
    clocks = {name: job.timebase for name, job in tables(Noting()).items()}
    assert {name for name, base in clocks.items() if base is Timebase.MARKET} == {"tick", "guard", "retrain", "report"}


def test_what_changes_the_ledger_goes_through_the_writer_with_its_urgency() -> None:
    writer = Noting()
    jobs = tables(writer)
    assert jobs["tick"].run(START) == "8 bars; cycle of 15:00, 8"
    assert [jobs[name].run(START) for name in ("guard", "report", "expiry", "attest")] == [
        "guarded",
        "published",
        "2 expired",
        "not due",
    ]
    assert writer.urgencies == [Urgency.TICK, Urgency.GUARD, Urgency.TICK, *[Urgency.BACKGROUND] * 2]
    others = [jobs[name].run(START) for name in ("retrain", "lease", "health", "watch")]
    assert others == ["trained", "host:1", "RUNNING", "watched"]
    assert len(writer.urgencies) == 5


def test_the_tick_goes_before_the_guard_the_training_and_the_report() -> None:
    jobs = tables(Noting())
    assert sorted(("report", "retrain", "guard", "tick"), key=lambda name: jobs[name].rank) == [
        "tick",
        "guard",
        "retrain",
        "report",
    ]
    assert {name for name, job in jobs.items() if not job.recorded} == {"lease", "expiry", "health", "watch", "attest"}
