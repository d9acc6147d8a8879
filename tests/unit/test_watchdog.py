"""Cycles that stop coming are noticed, time that nobody watched is told, and a watch service hears that all is well."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bot.deadman import COMPONENT as SIGN_OF_LIFE
from bot.deadman import DeadManPing
from bot.render import render
from bot.watchdog import COMPONENT, Watchdog, longest_silence
from core.domain.events import EngineStarted
from core.domain.records import JobOutcome
from core.domain.views import Health
from core.errors import LeaseLost
from tests.bot_line import ZONE, HealthLog
from tests.builders import Bench

MINUTE = timedelta(minutes=1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path).start()
    yield made
    made.close()


def a_cycle(bench: Bench, outcome: JobOutcome = JobOutcome.DONE) -> None:
    with bench.database.unit_of_work() as work:
        work.record_job("tick", bench.clock.now(), bench.system.now(), outcome, "")
        work.commit("job.end")


def watched(bench: Bench, dog: Watchdog, minutes: int) -> list[str]:
    lines = []
    for _ in range(minutes):
        bench.system.advance(MINUTE)
        lines.append(dog.look())
    return lines


@pytest.mark.feature("D9")
def test_missed_cycles_are_told_once_and_so_is_their_return(bench: Bench) -> None:
    health = HealthLog()
    dog = Watchdog(bench.desk, health, lambda: 1.0)
    a_cycle(bench)
    assert set(watched(bench, dog, 14)) == {"watched"}
    a_cycle(bench, JobOutcome.FAILED)
    assert set(watched(bench, dog, 5)) == {"no cycles"}
    assert [(state, words) for _, state, words in health.said] == [
        (Health.HALTED, "no cycle has ended since 2024-03-04 00:00 UTC")
    ]
    a_cycle(bench)
    assert watched(bench, dog, 2) == ["watched"] * 2
    assert health.newest(COMPONENT) == (
        Health.RUNNING,
        "cycles end again; there was none from 2024-03-04 00:00 UTC on",
    )


@pytest.mark.feature("D9")
def test_before_the_first_cycle_the_start_counts_and_a_cycle_of_long_ago_does_not(bench: Bench) -> None:
    a_cycle(bench)
    bench.system.advance(timedelta(hours=9))
    dog = Watchdog(bench.desk, HealthLog(), lambda: 1.0)
    assert set(watched(bench, dog, 14)) == {"watched"}
    assert watched(bench, dog, 1) == ["no cycles"]


def test_a_faster_market_has_less_patience() -> None:
    assert longest_silence(1.0) == timedelta(minutes=14)
    assert longest_silence(60.0) == timedelta(minutes=4, seconds=10)


@pytest.mark.feature("D9")
def test_time_that_the_machine_slept_is_told_from_when_to_when(bench: Bench) -> None:
    dog = Watchdog(bench.desk, HealthLog(), lambda: 1.0)
    watched(bench, dog, 2)
    began = bench.system.now()
    bench.system.advance(timedelta(minutes=29))
    assert dog.look() == "watched", "a sleeping machine misses no cycle"
    (told,) = bench.events(EngineStarted)
    assert (told.down_since, told.at) == (began, began + timedelta(minutes=29))
    text = render(told, ZONE).text
    assert "I was down from Sun 3 Mar 19:02 EST to Sun 3 Mar 19:31 EST (29 min)" in text
    watched(bench, dog, 13)
    assert len(bench.events(EngineStarted)) == 1


@pytest.mark.feature("D9")
def test_each_watched_minute_is_what_the_next_start_counts_from(bench: Bench) -> None:
    watched(bench, Watchdog(bench.desk, HealthLog(), lambda: 1.0), 3)
    with bench.database.reading() as work:
        assert work.value("last_seen") == bench.system.now().isoformat()


@dataclass
class WatchService:
    """A loopback server that counts what it hears and answers as told."""

    status: int = 200
    heard: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchService]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told = WatchService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.heard.append(self.path)
            self.send_response(told.status)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}/ping/hunter2"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.feature("D9")
def test_signs_of_life_come_each_minute_and_stop_with_the_cycles(bench: Bench, service: WatchService) -> None:
    health = HealthLog()
    dog = Watchdog(bench.desk, health, lambda: 1.0, DeadManPing(service.url, health))
    a_cycle(bench)
    watched(bench, dog, 14)
    assert service.heard == ["/ping/hunter2"] * 14
    watched(bench, dog, 5)
    assert len(service.heard) == 14


@pytest.mark.feature("D9")
def test_a_watch_service_that_does_not_answer_is_told_without_its_secret_address(
    service: WatchService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="bot")
    health = HealthLog()
    ping = DeadManPing(service.url, health)
    service.status = 503
    assert [ping.ping() for _ in range(2)] == [False, False]
    assert health.said == []
    dead = DeadManPing("http://127.0.0.1:1/hunter2", health)
    assert [dead.ping() for _ in range(4)] == [False] * 4
    (told,) = health.said
    assert told == (SIGN_OF_LIFE, Health.DEGRADED, "the watch service cannot be told that all is well (ConnectError)")
    assert "hunter2" not in caplog.text
    ping.ping()
    assert "status 503" in health.said[-1][2]
    service.status = 200
    assert ping.ping()
    assert health.newest(SIGN_OF_LIFE) == (Health.RUNNING, "the watch service hears it")


def test_a_process_that_lost_the_ledger_gives_no_sign_of_life(tmp_path: Path, service: WatchService) -> None:
    def lost() -> None:
        raise LeaseLost("another process took over")

    bench = Bench(tmp_path).start()
    dog = Watchdog(bench.desk, HealthLog(), lambda: 1.0, DeadManPing(service.url, HealthLog()))
    object.__setattr__(bench.desk, "fence", lost)
    with pytest.raises(LeaseLost):
        dog.look()
    assert service.heard == []
    bench.close()
