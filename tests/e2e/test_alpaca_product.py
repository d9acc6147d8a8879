"""The whole product at Alpaca's real addresses: the real process and alpaca-py, behind a proxy of their machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alpaca_machine import LIVE_KEYS, NUMBER, PAPER_KEYS, AlpacaMachine, alpaca_machine
from tests.e2e.process import Orchestrator, command, until

pytestmark = [pytest.mark.feature("S10"), pytest.mark.timeout(300), pytest.mark.long]
SEEN_WITHIN = 100.0


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[AlpacaMachine]:
    folder = tmp_path / "ca"
    folder.mkdir()
    with alpaca_machine(folder) as made:
        yield made


@pytest.mark.feature("S20")
@pytest.mark.feature("U2")
def test_with_paper_keys_a_signal_becomes_an_order_a_guarded_position_and_a_message_and_a_restart_doubles_nothing(
    machine: AlpacaMachine, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger-tryout.sqlite").touch()
    settings = {**machine.settings, **PAPER_KEYS}
    first = Orchestrator(tmp_path, **settings)
    try:
        first.until_ready()
        assert "PAPER: orders go to your paper account at Alpaca" in first.console
        phone = first.phone()
        welcome = phone.until_told("Paper money here")
        assert "ledger-tryout.sqlite" in welcome
        assert "Mode auto" in welcome
        until(lambda: any("bought" in text for text in phone.told()), SEEN_WITHIN, "never told of the fill")
        (bought,) = [text for text in phone.told() if "bought" in text]
        assert "PAPER" in bought.partition("\n")[0]
        until(lambda: len(machine.paper.venue.orders) == 2, SEEN_WITHIN, "no stop came to rest")
        assert "PAPER" in phone.ask("/status", "Mode").partition("\n")[0]
        assert "Alpaca" in phone.ask("/positions", "BTC-USD")
        phone.close()
        assert first.stop() == 0, first.console
    finally:
        first.clear_away()
    _, stop = machine.paper.venue.orders.values()
    assert (stop.type, stop.side) == ("stop_limit", "sell")
    assert len(machine.paper.venue.positions()) == 1
    assert machine.live.calls == []
    _a_restart(machine, settings, tmp_path, bought)


def _a_restart(machine: AlpacaMachine, settings: dict[str, str], folder: Path, bought: str) -> None:
    orders = list(machine.paper.venue.orders)
    again = Orchestrator(folder, "again.txt", **settings)
    try:
        again.until_ready()
        phone = again.phone()
        phone.until_told("AutoTrader is running")
        assert len([text for text in phone.told() if text == bought]) == 1
        phone.close()
        assert again.stop() == 0, again.console
    finally:
        again.clear_away()
    assert list(machine.paper.venue.orders) == orders
    assert "try-out stays" not in again.console


@pytest.mark.feature("U2")
def test_with_live_keys_nothing_is_sent_before_the_owner_wrote_the_words(
    machine: AlpacaMachine, tmp_path: Path
) -> None:
    settings = {**machine.settings, **LIVE_KEYS, "MODE": "auto"}
    started = Orchestrator(tmp_path, **settings)
    try:
        started.until_ready()
        assert f"LIVE: real money of Alpaca's account {NUMBER}" in started.console
        phone = started.phone()
        asked = phone.until_told("Real money waits for your word")
        assert "LIVE" in asked.partition("\n")[0]
        assert machine.live.venue.orders == {}
        assert NUMBER in phone.ask("/realmoney", "To allow it")
        phone.ask("yes", "Nothing was changed")
        told = phone.ask(f"trade {NUMBER} with real money", "Real money: account")
        assert "at most $1,234.50" in told
        assert "LIVE" in phone.ask("/status", "First day of real money").partition("\n")[0]
        assert "LIVE" in phone.ask("/positions", "Cash").partition("\n")[0]
        phone.close()
        assert started.stop() == 0, started.console
    finally:
        started.clear_away()
    assert machine.paper.calls == []


@pytest.mark.feature("U4")
def test_the_doctor_says_in_each_case_what_is_wrong(machine: AlpacaMachine, tmp_path: Path) -> None:
    def doctor(**settings: str) -> str:
        return command(tmp_path, "doctor", **{**machine.settings, **settings}).stdout

    assert "ok   account at Alpaca: paper account PA3TESTS0001" in doctor(**PAPER_KEYS)
    assert "fix  account at Alpaca" in doctor(**{**PAPER_KEYS, "ALPACA_SECRET_KEY": "x" * 40})
    wrong = {name: value for name, value in LIVE_KEYS.items() if name.startswith("ALPACA_") and "PAPER" not in name}
    assert "they are those of a live account" in doctor(**wrong)
    machine.cut_off()
    assert "the proxy that is set here does not connect" in doctor(**PAPER_KEYS)
