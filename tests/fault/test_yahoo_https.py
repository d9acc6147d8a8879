"""Yahoo at its real addresses: yfinance unmodified and our own session, encrypted, through an HTTPS proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli import main
from core.adapters.yahoo_session import YahooSession
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import RateLimited, UnknownSymbol, Unreachable
from tests.servers.https_proxy import Certificates, HttpsProxy, make_certificates
from tests.servers.yahoo_faults import TOO_MANY
from tests.servers.yahoo_server import HOSTS, YahooServer
from tests.yahoo_stand import BTC, KNOWN, NOW, SPY, TRUTH, ask_at, forget_yfinance, same

M5, D1 = BarSize.M5, BarSize.D1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("ca"), HOSTS)


@pytest.fixture
def server() -> Iterator[YahooServer]:
    forget_yfinance()
    with YahooServer(KNOWN, NOW) as running:
        yield running


@pytest.fixture
def proxy(server: YahooServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsProxy]:
    """Set and trusted as an owner behind such a proxy does it: by the environment."""
    with HttpsProxy(certificates, dict.fromkeys(HOSTS, server.port)) as running:
        for name, value in certificates.trust().items():
            monkeypatch.setenv(name, value)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, running.address)
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield running


@pytest.mark.feature("S2")
def test_bars_prices_and_errors_arrive_at_the_real_addresses_through_an_encrypting_proxy(
    proxy: HttpsProxy, server: YahooServer, tmp_path: Path
) -> None:
    yahoo = ask_at(server, tmp_path, session=YahooSession)
    for instrument in (SPY, BTC):
        for size in (D1, M5):
            assert same(yahoo.bars(instrument, size, NOW, 120), TRUTH.bars(instrument, size, NOW, 120))
    assert yahoo.last([SPY], NOW)["SPY"].price > 0
    with pytest.raises(UnknownSymbol):
        yahoo.bars(instrument_for("NOSUCH"), D1, NOW, 5)
    server.faults.standing["SPY"] = TOO_MANY
    with pytest.raises(RateLimited):
        yahoo.bars(SPY, D1, NOW, 5)
    assert {each.scheme for each in server.asked} == {"https"}
    assert set(proxy.connected) <= set(HOSTS)
    assert "query2.finance.yahoo.com" in proxy.connected


def test_the_consent_page_is_agreed_to_at_the_real_addresses(
    proxy: HttpsProxy, server: YahooServer, tmp_path: Path
) -> None:
    server.wants_consent = True
    yahoo = ask_at(server, tmp_path, session=YahooSession)
    assert same(yahoo.bars(SPY, D1, NOW, 5), TRUTH.bars(SPY, D1, NOW, 5))
    assert {"guce.yahoo.com", "consent.yahoo.com"} <= set(proxy.connected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_yfinance_alone_finds_the_server_as_it_finds_yahoo(
    proxy: HttpsProxy, server: YahooServer, tmp_path: Path
) -> None:
    """The server is held to what yfinance makes of it without our session: its own, with its own retries."""
    import yfinance

    yfinance.set_tz_cache_location(str(tmp_path))
    table = yfinance.Ticker("SPY").history(period="5d", interval="1d", auto_adjust=False)
    assert list(table["Close"])[:-1] == list(TRUTH.bars(SPY, D1, NOW, len(table) - 1).close)
    assert str(table.index.tz) == "America/New_York"


@pytest.mark.feature("U4")
def test_the_doctor_command_asks_yahoo_as_the_product_does(
    proxy: HttpsProxy,
    server: YahooServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    price = TRUTH.bars(SPY, M5, NOW, 1).close[-1]
    server.exchange.live["SPY"] = (NOW, float(price))
    main(["doctor"])
    assert f"prices from Yahoo: Yahoo answers: SPY {price:,.2f} USD, 2024-11-27 16:02 UTC" in capsys.readouterr().out
    asked = len(server.asked)
    main(["doctor", "--offline"])
    assert "prices from Yahoo" not in capsys.readouterr().out
    assert len(server.asked) == asked


def test_a_proxy_that_does_not_connect_and_a_certificate_that_nobody_trusts_have_their_words(
    proxy: HttpsProxy, server: YahooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy._routes.clear()
    with pytest.raises(Unreachable, match="the proxy that is set here does not connect"):
        ask_at(server, tmp_path, session=YahooSession).bars(SPY, D1, NOW, 5)
    proxy._routes.update(dict.fromkeys(HOSTS, server.port))
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name)
    with pytest.raises(Unreachable, match="no trusted connection"):
        ask_at(server, tmp_path, session=YahooSession).bars(SPY, D1, NOW, 5)
