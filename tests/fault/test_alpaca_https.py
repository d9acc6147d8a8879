"""Alpaca at its real address: alpaca-py unmodified and our own transport, encrypted, through an HTTPS proxy."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from core.adapters.alpaca_quotes import AlpacaQuotes
from core.adapters.alpaca_transport import AlpacaKeys
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import AccessRefused, RateLimited, UnknownSymbol, Unreachable
from tests.alpaca_stand import BTC, CALENDAR, KNOWN, NOW, SPY, TRUTH, same, service_at, source_at
from tests.fakes_bars import StillClock
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.alpaca_http import KEY_ID
from tests.servers.https_proxy import Certificates, HttpsProxy, make_certificates

HOST = "data.alpaca.markets"
M5, D1 = BarSize.M5, BarSize.D1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("ca"), [HOST])


@pytest.fixture
def server() -> Iterator[AlpacaDataServer]:
    with AlpacaDataServer(KNOWN, lambda: NOW) as running:
        yield running


@pytest.fixture
def proxy(
    server: AlpacaDataServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HttpsProxy]:
    """Set and trusted as an owner behind such a proxy does it: by the environment."""
    with HttpsProxy(certificates, {HOST: urlsplit(server.address).port or 0}) as running:
        for name, value in certificates.trust().items():
            monkeypatch.setenv(name, value)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, running.address)
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield running


@pytest.mark.feature("S2")
def test_bars_prices_and_errors_arrive_at_the_real_address_through_an_encrypting_proxy(
    proxy: HttpsProxy, server: AlpacaDataServer
) -> None:
    alpaca = source_at(None)
    for instrument in (SPY, BTC):
        for size in (D1, M5):
            assert same(alpaca.bars(instrument, size, NOW, 20), TRUTH.bars(instrument, size, NOW, 20))
    with pytest.raises(UnknownSymbol):
        alpaca.bars(instrument_for("NOSUCH"), D1, NOW, 5)
    quotes = AlpacaQuotes(service_at(None, StillClock(NOW))[0], CALENDAR, StillClock(NOW))
    server.quotes["SPY"] = (601.0, 601.5, NOW)
    assert quotes.last([SPY], NOW)["SPY"].price == 601.25
    with pytest.raises(AccessRefused, match="keys"):
        source_at(None, keys=AlpacaKeys(KEY_ID, "another")).bars(SPY, D1, NOW, 5)
    server.faults.standing = {"": "429"}
    with pytest.raises(RateLimited):
        alpaca.bars(SPY, D1, NOW, 5)
    assert set(proxy.connected) == {HOST}


def test_a_proxy_that_does_not_connect_and_a_certificate_that_nobody_trusts_have_their_words(
    proxy: HttpsProxy, server: AlpacaDataServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy._routes.clear()
    with pytest.raises(Unreachable, match="the proxy that is set here does not connect"):
        source_at(None).bars(SPY, D1, NOW, 5)
    proxy._routes.update({HOST: urlsplit(server.address).port or 0})
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name)
    with pytest.raises(Unreachable, match="no trusted connection"):
        source_at(None).bars(SPY, D1, NOW, 5)
