"""Every way in which Yahoo fails, over the wire with the real yfinance: its class, the owner's words, what it costs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from core.adapters.pacing import Restraint
from core.adapters.yahoo_session import OUT_OF_REACH
from core.domain.bars import BarSize
from core.domain.instruments import DEFAULT_SYMBOLS, instrument_for
from core.errors import (
    AccessRefused,
    AutoTraderError,
    MalformedAnswer,
    NoBars,
    RateLimited,
    Transient,
    UnknownSymbol,
    Unreachable,
)
from tests.fakes_bars import StillClock
from tests.servers.yahoo_faults import (
    BAD_GATEWAY,
    CONSENT,
    COOKIE,
    CRUMB,
    DELISTED,
    EVERY_SYMBOL,
    INVALID_CRUMB,
    SOME_PAGE,
    TOO_MANY,
    WILL_BE_BACK,
    Answer,
    Fault,
    always,
    cut,
    hang,
    page,
    refusal,
    reset,
    short,
    slow,
    too_many,
)
from tests.servers.yahoo_server import YahooServer
from tests.yahoo_stand import BTC, NOW, SPY, TRUTH, Stand, ask_at, same, stand

__all__ = ["stand"]
M5, D1 = BarSize.M5, BarSize.D1


@dataclass(frozen=True)
class Trouble:
    """A fault that stands, what it must become, and how many charts may be asked for because of it."""

    fault: Fault
    kind: type[AutoTraderError]
    words: str
    charts: int
    paused: bool = False


LIMITED = Trouble(TOO_MANY, RateLimited, r"asks us to slow down \(too many requests\); next try 2024-11-27", 1, True)
TROUBLES = {
    "429": LIMITED,
    "999": Trouble(always(Answer(999, b"Request denied")), RateLimited, "asks us to slow down", 1, True),
    "401": Trouble(INVALID_CRUMB, AccessRefused, r"does not let us in \(HTTP 401: Invalid Crumb\); next try", 2, True),
    "403": Trouble(page(403, "no"), AccessRefused, r"does not let us in \(HTTP 403\); next try", 2, True),
    "404": Trouble(DELISTED, UnknownSymbol, r"knows no such symbol \(No data found, symbol may be delisted\)", 1),
    "400": Trouble(
        always(Answer(400, refusal("Bad Request", "Data doesn't exist for startDate = 1, endDate = 2"))),
        NoBars,
        "has no 1d bars in that time",
        1,
    ),
    "422": Trouble(
        always(Answer(422, refusal("Unprocessable Entity", "must be within the last 60 days."))),
        NoBars,
        r"has no 1d bars in that time \(must be within the last 60 days.\)",
        1,
    ),
    "no data in range": Trouble(
        always(Answer(404, refusal("Not Found", "No data found for this date range, symbol may be delisted"))),
        NoBars,
        "has no 1d bars in that time",
        1,
    ),
    "no in a yes": Trouble(
        always(Answer(200, refusal("Not Found", "No data found, symbol may be delisted"))),
        UnknownSymbol,
        "knows no such symbol",
        1,
    ),
    "500": Trouble(always(Answer(500, refusal("Internal", "oops"))), Unreachable, r"is out of order \(HTTP 500\)", 2),
    "502": Trouble(BAD_GATEWAY, Unreachable, r"is out of order \(HTTP 502\)", 2),
    "down": Trouble(WILL_BE_BACK, Unreachable, "is down, and says that it will be right back", 2),
    "reset": Trouble(reset, Unreachable, "cannot be reached: no connection", 4),
    "short": Trouble(short, Unreachable, "broke off its answer", 2),
    "cut": Trouble(cut, MalformedAnswer, "its JSON breaks off or is damaged", 2),
    "page": Trouble(SOME_PAGE, MalformedAnswer, "it is no JSON but a page", 2),
    "empty": Trouble(always(Answer(200, b"")), MalformedAnswer, "it is no JSON", 2),
    "other JSON": Trouble(always(Answer(200, b'{"finance":{}}')), MalformedAnswer, "it holds no chart", 2),
    "no reason": Trouble(always(Answer(404, b'{"chart":{}}')), MalformedAnswer, "an error without a reason", 2),
}


@pytest.mark.feature("S14")
@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_has_its_class_its_words_and_its_cost(stand: Stand, name: str) -> None:
    trouble = TROUBLES[name]
    stand.server.faults.standing["SPY"] = trouble.fault
    with pytest.raises(trouble.kind, match=trouble.words) as raised:
        stand.yahoo.bars(SPY, D1, NOW, 5)
    assert type(raised.value) is trouble.kind
    assert len(stand.server.charts("SPY")) <= trouble.charts
    retry_at = raised.value.retry_at if isinstance(raised.value, Transient) else None
    assert (retry_at is not None) == trouble.paused
    stand.server.faults.clear()
    if retry_at is not None:
        asked = len(stand.server.asked)
        with pytest.raises(trouble.kind):
            stand.yahoo.bars(BTC, D1, NOW, 5)
        assert len(stand.server.asked) == asked, "in a pause nothing is asked"
        stand.clock.time = retry_at
    assert same(stand.yahoo.bars(SPY, D1, NOW, 5), TRUTH.bars(SPY, D1, NOW, 5))


@pytest.mark.parametrize("fault", [BAD_GATEWAY, cut, short, SOME_PAGE, WILL_BE_BACK])
def test_what_breaks_once_is_asked_again_after_a_moment_and_nobody_hears_of_it(stand: Stand, fault: Fault) -> None:
    stand.server.faults.once["SPY"] = [fault]
    assert same(stand.yahoo.bars(SPY, M5, NOW, 5), TRUTH.bars(SPY, M5, NOW, 5))
    assert len(stand.server.charts("SPY")) == 2
    assert len(stand.slept) == 1
    assert 0.5 <= stand.slept[0] <= 1


def test_one_refusal_costs_one_request_and_four_at_once_make_one_pause(stand: Stand) -> None:
    """yfinance alone would ask seven times for each."""
    stand.yahoo.bars(SPY, D1, NOW, 5)
    before = len(stand.server.asked)
    gate = threading.Event()
    stand.server.faults.standing[EVERY_SYMBOL] = lambda _: slow(gate)(lambda: TOO_MANY(Answer))
    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(stand.yahoo.bars, each, D1, NOW, 5) for each in (SPY, BTC) for _ in range(2)]
        gate.set()
        errors = [task.exception(timeout=20) for task in tasks]
    assert {type(error) for error in errors} == {RateLimited}
    assert len({error.retry_at for error in errors if isinstance(error, RateLimited)}) == 1
    assert len(stand.server.asked) - before <= 4
    assert {each.status for each in stand.server.asked[before:]} == {429}


def test_the_pause_grows_while_yahoo_refuses_and_ends_with_its_first_answer(stand: Stand) -> None:
    stand.server.faults.standing["SPY"] = TOO_MANY
    for least in (1, 2, 4, 8, 16, 32, 32):
        with pytest.raises(RateLimited) as refused:
            stand.yahoo.bars(SPY, D1, NOW, 5)
        assert refused.value.retry_at is not None
        pause = refused.value.retry_at - stand.clock.time
        assert timedelta(minutes=least) <= pause <= timedelta(minutes=1.25 * least)
        stand.clock.time = refused.value.retry_at
    stand.server.faults.clear()
    stand.yahoo.bars(SPY, D1, NOW, 5)
    stand.server.faults.standing["SPY"] = TOO_MANY
    with pytest.raises(RateLimited) as refused:
        stand.yahoo.bars(SPY, D1, NOW, 5)
    assert refused.value.retry_at is not None
    assert refused.value.retry_at - stand.clock.time <= timedelta(minutes=1.25)


@pytest.mark.feature("S14")
def test_a_day_of_refusals_costs_a_few_dozen_requests_and_every_tick_says_when_it_is_tried_again(stand: Stand) -> None:
    """Eight assets in two sizes, every five minutes: 4,608 questions."""
    stand.server.faults.standing[EVERY_SYMBOL] = TOO_MANY
    wanted = [(instrument_for(symbol), size) for symbol in DEFAULT_SYMBOLS for size in (D1, M5)]
    for tick in range(288):
        stand.clock.time = NOW + tick * timedelta(minutes=5)
        for instrument, size in wanted:
            with pytest.raises(RateLimited) as refused:
                stand.yahoo.bars(instrument, size, stand.clock.time, 5)
            assert refused.value.retry_at is not None
            assert stand.clock.time < refused.value.retry_at <= stand.clock.time + timedelta(minutes=40)
    assert 24 <= len(stand.server.charts()) <= 2 * 60
    stand.clock.time += timedelta(minutes=40)
    stand.server.faults.clear()
    assert len(stand.yahoo.bars(BTC, D1, NOW, 5)) == 5


def test_how_long_yahoo_itself_asks_us_to_wait_is_kept(stand: Stand) -> None:
    stand.server.faults.standing["SPY"] = too_many(retry_after=3_600)
    with pytest.raises(RateLimited, match="next try 2024-11-27 17:03 UTC"):
        stand.yahoo.bars(SPY, D1, NOW, 5)


def test_a_yahoo_that_shows_nothing_but_pages_is_left_alone_after_a_few(stand: Stand) -> None:
    stand.server.faults.standing[EVERY_SYMBOL] = SOME_PAGE
    heard: list[MalformedAnswer] = []
    for _ in range(5):
        with pytest.raises(MalformedAnswer, match="it is no JSON but a page") as useless:
            stand.yahoo.bars(SPY, D1, NOW, 5)
        heard.append(useless.value)
    assert [error.retry_at is not None for error in heard] == [False, False, True, True, True]
    assert str(heard[-1]).endswith("; next try 2024-11-27 16:04 UTC")
    assert len(stand.server.charts()) == 6


def test_waiting_for_another_ones_try_counts_into_the_time_of_a_call(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = [0.0]

    class LateClock(StillClock):
        def monotonic(self) -> float:
            return super().monotonic() + late[0]

    @contextmanager
    def admitted(_: object, seconds: float) -> Iterator[None]:
        late[0] += seconds
        yield

    patient = ask_at(stand.server, tmp_path, LateClock(NOW), budget=20.0)
    monkeypatch.setattr(Restraint, "admitted", admitted)
    with pytest.raises(Unreachable):
        patient.bars(SPY, D1, NOW, 5)
    assert stand.server.asked == []


def test_a_refusal_that_outlasts_its_pause_is_answered_with_another_cookie_once(stand: Stand) -> None:
    stand.server.faults.once["SPY"] = [TOO_MANY, TOO_MANY]
    with pytest.raises(RateLimited) as refused:
        stand.yahoo.bars(SPY, D1, NOW, 5)
    assert refused.value.retry_at is not None
    stand.clock.time = refused.value.retry_at
    assert len(stand.yahoo.bars(SPY, D1, NOW, 5)) == 5
    assert [each.status for each in stand.server.charts("SPY")] == [429, 429, 200]


def test_a_crumb_that_is_no_longer_good_is_replaced_without_a_word(stand: Stand) -> None:
    stand.yahoo.bars(SPY, D1, NOW, 5)
    stand.server.renew_crumb()
    assert len(stand.yahoo.bars(SPY, M5, NOW, 5)) == 5
    assert [each.status for each in stand.server.charts()] == [200, 401, 200]
    assert len(stand.yahoo.bars(BTC, M5, NOW, 5)) == 5
    assert stand.server.charts()[-1].query["crumb"] == "c/rumb.2"


def test_the_consent_page_is_agreed_to_and_leads_to_the_prices(stand: Stand) -> None:
    stand.server.wants_consent = True
    assert same(stand.yahoo.bars(SPY, D1, NOW, 5), TRUTH.bars(SPY, D1, NOW, 5))
    walk = [each.host for each in stand.server.asked[-5:]]
    assert walk == [
        "query2.finance.yahoo.com",
        "guce.yahoo.com",
        "consent.yahoo.com",
        "consent.yahoo.com",
        "query2.finance.yahoo.com",
    ]
    asked = len(stand.server.asked)
    stand.yahoo.bars(SPY, M5, NOW, 5)
    assert len(stand.server.asked) == asked + 1, "the cookie of the consent is kept"


def test_a_consent_page_that_leads_nowhere_is_told_as_such(stand: Stand) -> None:
    stand.server.wants_consent = True
    stand.server.faults.standing[CONSENT] = page(200, "nothing to agree to")
    with pytest.raises(MalformedAnswer):
        stand.yahoo.bars(SPY, D1, NOW, 5)


@pytest.mark.feature("S14")
def test_a_silent_server_costs_no_more_than_the_budget(stand: Stand, tmp_path: Path) -> None:
    impatient = ask_at(stand.server, tmp_path, stand.clock, budget=0.4)
    stand.server.faults.standing["SPY"] = hang
    with pytest.raises(Unreachable, match=r"did not answer within 0\.4 s"):
        impatient.bars(SPY, D1, NOW, 5)
    assert impatient.trouble(0.3) == "did not answer within 0.3 s"
    assert len(stand.server.charts("SPY")) == 2, "no second try where there is no time for it"


@pytest.mark.feature("S14")
def test_live_prices_of_many_take_no_longer_than_those_of_two_where_yahoo_is_silent(
    stand: Stand, tmp_path: Path
) -> None:
    """Who asks for them holds positions whose stops he is about to check."""
    impatient = ask_at(stand.server, tmp_path, stand.clock, budget=1.0)
    stand.server.faults.standing[EVERY_SYMBOL] = hang
    many = [instrument_for(symbol) for symbol in DEFAULT_SYMBOLS]
    with pytest.raises(Unreachable):
        impatient.last(many, NOW)
    assert len(stand.server.charts()) <= 2


@pytest.mark.parametrize("silent", [[COOKIE], [CRUMB], [COOKIE, CONSENT, CRUMB]])
def test_prices_come_although_cookie_crumb_and_consent_are_silent(
    stand: Stand, tmp_path: Path, silent: Iterable[str]
) -> None:
    patient = ask_at(stand.server, tmp_path, stand.clock, budget=2.0)
    for key in silent:
        stand.server.faults.standing[key] = hang
    assert same(patient.bars(SPY, D1, NOW, 5), TRUTH.bars(SPY, D1, NOW, 5))
    asked = len(stand.server.asked)
    assert len(patient.bars(BTC, D1, NOW, 5)) == 5
    assert len(stand.server.asked) - asked == 1, "they are left alone for a while"


@pytest.mark.parametrize("fault", [TOO_MANY, BAD_GATEWAY, reset, always(Answer(200, b""))])
@pytest.mark.parametrize("key", [COOKIE, CRUMB])
def test_prices_come_although_cookie_or_crumb_are_refused(stand: Stand, key: str, fault: Fault) -> None:
    stand.server.faults.standing[key] = fault
    stand.server.faults.standing[CONSENT] = fault
    assert same(stand.yahoo.bars(SPY, D1, NOW, 5), TRUTH.bars(SPY, D1, NOW, 5))


def test_an_absent_server_is_unreachable_and_after_a_few_failures_left_alone_for_a_moment(
    stand: Stand, tmp_path: Path
) -> None:
    with YahooServer({}, NOW) as gone:
        session = gone.session()
    clock = StillClock(NOW)
    slept: list[float] = []
    lost = ask_at(stand.server, tmp_path, clock, slept.append, session=session)
    assert lost.trouble(2.0).startswith("cannot be reached")
    with pytest.raises(Unreachable, match="cannot be reached"):
        lost.last([SPY], NOW)
    with pytest.raises(Unreachable, match="next try 2024-11-27 16:03 UTC") as told:
        lost.bars(SPY, D1, NOW, 5)
    assert told.value.retry_at is not None
    assert told.value.retry_at - NOW <= 1.25 * OUT_OF_REACH.longest
    assert len(slept) == 1, "nobody waits for a second try where a pause has begun"


def test_one_symbol_that_always_breaks_does_not_silence_the_others(stand: Stand) -> None:
    stand.server.faults.standing["SPY"] = BAD_GATEWAY
    for _ in range(5):
        with pytest.raises(Unreachable) as broken:
            stand.yahoo.bars(SPY, D1, NOW, 5)
        assert broken.value.retry_at is None
        with pytest.raises(UnknownSymbol):
            stand.yahoo.bars(instrument_for("NOSUCH"), D1, NOW, 5)
    assert len(stand.yahoo.bars(BTC, D1, NOW, 5)) == 5


def test_a_slow_answer_within_the_budget_is_an_answer(stand: Stand) -> None:
    gate = threading.Event()
    stand.server.faults.standing["SPY"] = slow(gate)
    with ThreadPoolExecutor(1) as pool:
        bars = pool.submit(stand.yahoo.bars, SPY, D1, NOW, 5)
        gate.set()
        assert len(bars.result(timeout=20)) == 5


def test_all_calls_of_the_process_are_spaced_cookies_and_crumbs_too(stand: Stand, tmp_path: Path) -> None:
    slept: list[float] = []
    spaced = ask_at(stand.server, tmp_path, stand.clock, slept.append, budget=60.0, spacing=0.5)
    spaced.bars(SPY, D1, NOW, 5)
    spaced.last([SPY, BTC], NOW)
    assert len(stand.server.asked) > 3
    assert len(slept) == len(stand.server.asked) - 1
    assert all(wait > 0 for wait in slept)


def test_who_gets_no_turn_within_his_time_does_not_ask(stand: Stand, tmp_path: Path) -> None:
    crowded = ask_at(stand.server, tmp_path, stand.clock, budget=1.0, spacing=7.0)
    for _ in range(6):
        with pytest.raises(Unreachable, match=r"was not asked within \d.* s: too many questions wait") as crowd:
            crowded.bars(SPY, D1, NOW, 5)
        assert crowd.value.retry_at is None, "our own crowd is no trouble of Yahoo's"
    assert stand.server.charts() == []


def test_a_server_that_answers_is_reachable_and_tells_a_price(stand: Stand) -> None:
    assert stand.yahoo.trouble(5.0) == ""
    assert stand.yahoo.look(5.0).symbol == "SPY"


def test_a_damaged_store_of_cookies_is_no_crash(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """yfinance keeps its cookie in a small database of its own; what it raises of it can be anything."""
    import yfinance.cache

    class Broken:
        def lookup(self, _: str) -> object:
            raise RuntimeError("database disk image is malformed")

    monkeypatch.setattr(yfinance.cache, "get_cookie_cache", Broken)
    with pytest.raises(MalformedAnswer, match="disk image is malformed"):
        stand.yahoo.bars(instrument_for("SPY"), D1, NOW, 5)
