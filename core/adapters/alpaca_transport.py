"""How alpaca-py's requests travel: paced, within a deadline, sent once; and where Alpaca's answers are judged.

Written against alpaca-py 0.44, whose client sets no time-out and by itself sends anything again after a 429 or a 504,
orders too, sleeping in between. Both end here: such an answer never reaches it. Its own exceptions hold the request
with the keys in its headers; ours are raised outside of them, so that nothing leads back there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ConnectTimeout, ProxyError, RequestException, SSLError, Timeout
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError

from core.adapters.pacing import Pause, RealClock, Restraint, Turns, http_date
from core.errors import AccessRefused, Ambiguous, AutoTraderError, MalformedAnswer, RateLimited, Unreachable, next_try

REFUSED = Pause(timedelta(minutes=1), timedelta(minutes=4))
OUT_OF_REACH = Pause(timedelta(seconds=20), timedelta(minutes=2), patience=4)
BRISK = Pause(timedelta(seconds=5), timedelta(seconds=30), patience=4)
"""For what cannot wait long for an outage to be over: orders."""
LIMITED = Pause(timedelta(seconds=10), timedelta(minutes=4))
HARMLESS = ("GET", "HEAD")
MOST_BYTES = 64_000_000
CHUNK = 65_536
NOT_SUBSCRIBED = "subscription does not permit"


@dataclass(frozen=True, slots=True, repr=False)
class AlpacaKeys:
    """The two halves of an API key. Neither is ever shown."""

    key_id: str
    secret: str

    def __repr__(self) -> str:
        return "AlpacaKeys(...)"


class Declined(AutoTraderError):
    """Alpaca understood the question and says no. `code` is Alpaca's own, 0 where it gave none."""

    def __init__(self, status: int, code: int, words: str) -> None:
        super().__init__(f"HTTP {status}: {words}" if words else f"HTTP {status}")
        self.status = status
        self.code = code
        self.words = words


@dataclass(slots=True)
class Call:
    """The requests of one question: they have `seconds`, until `until` by the monotonic clock. `told_at` is when, by
    Alpaca's clock, it gave the last answer."""

    seconds: float
    until: float
    told_at: datetime | None = None


class AlpacaTransport(HTTPAdapter):
    """Carries the requests of one of Alpaca's services for all threads. `pacer` belongs to the account, and all its
    services share it; `restraint` to the service, which is left alone for `out_of_reach` when it fails again and again.
    Requests outside of `within` have `budget` seconds.

    Raises RateLimited, AccessRefused, Unreachable and MalformedAnswer (an answer in no known form), and Declined; and
    Ambiguous where a request that changes something may have arrived: it is for the caller to look it up.
    """

    def __init__(
        self,
        clock: RealClock,
        sleep: Callable[[float], None],
        pacer: Turns,
        restraint: Restraint,
        *,
        budget: float = 20.0,
        pool: int = 4,
        out_of_reach: Pause = OUT_OF_REACH,
    ) -> None:
        super().__init__(pool_connections=2, pool_maxsize=pool, max_retries=0)
        self._clock = clock
        self._sleep = sleep
        self._pacer = pacer
        self._restraint = restraint
        self._budget = budget
        self._out_of_reach = out_of_reach
        self._current = threading.local()
        self._used_up_until: datetime | None = None

    def serve(self, client: Any) -> None:
        """From now on the requests of an alpaca-py client travel by this."""
        for scheme in ("https://", "http://"):
            client._session.mount(scheme, self)

    @contextmanager
    def within(self, seconds: float) -> Iterator[Call]:
        """All requests of this thread inside the block end within `seconds`, pages of one answer together."""
        self._current.call = call = Call(seconds, self._clock.monotonic() + seconds)
        try:
            yield call
        finally:
            del self._current.call

    def rests(self, call: Call, seconds: float) -> bool:
        """Waits before a second try; False, at once, where too little of the call's time would be left for one."""
        if call.until - self._clock.monotonic() - seconds < call.seconds / 2:
            return False
        self._sleep(seconds)
        return True

    def sleep(self, seconds: float) -> None:
        self._sleep(seconds)

    def send(self, request: PreparedRequest, *_: Any, **options: Any) -> Response:
        """One request. `options` are what requests passes: verify, cert, proxies; its time-out is ours."""
        call = getattr(self._current, "call", None) or Call(self._budget, self._clock.monotonic() + self._budget)
        self._restraint.check()
        self._wait_for_quota(call.until)
        if not self._pacer.wait(call.until):
            raise Unreachable(f"gave no turn within {call.seconds:.3g} s: too much is asked at once")
        options.update(stream=True, timeout=max(0.001, call.until - self._clock.monotonic()))
        response, trouble, has_left = None, "", True
        try:
            response = super().send(request, **options)
            self._read(response, call.until)
        except (RequestException, HTTPError, OSError) as error:
            trouble, has_left = _why_not(error, call.seconds), not _never_left(error)
        if trouble or response is None:
            no: AutoTraderError | None = self._restraint.refused(Unreachable, trouble, self._out_of_reach)
        else:
            self._note_quota(response)
            call.told_at = http_date(response.headers.get("Date"))
            no = self._judged(response)
        if isinstance(no, Unreachable) and has_left and request.method not in HARMLESS:
            no = Ambiguous(str(no))
        if no is not None:
            raise no
        assert response is not None
        return response

    def _read(self, response: Response, until: float) -> None:
        """Reads the body under the deadline, however slowly it comes."""
        parts, size = [], 0
        while True:
            left = until - self._clock.monotonic()
            if left <= 0:
                response.close()
                raise Timeout
            socket = getattr(response.raw.connection, "sock", None)
            if socket is not None:
                socket.settimeout(left)
            part = response.raw.read1(CHUNK, decode_content=True)
            if not part:
                break
            size += len(part)
            if size > MOST_BYTES:
                response.close()
                raise RequestException
            parts.append(part)
        response._content, response._content_consumed = b"".join(parts), True

    def _judged(self, response: Response) -> AutoTraderError | None:
        """What an answer that is none means; None for a good one."""
        status = response.status_code
        if 200 <= status < 300:
            return None
        code, words = _said(response)
        if status == 429:
            return self._restraint.refused(
                RateLimited, "asks us to slow down (too many requests)", LIMITED, self._asked_to_wait(response)
            )
        if status == 403 and NOT_SUBSCRIBED in words:
            return AccessRefused(f"does not give these prices to this account: {words}")
        if status == 401 or (status == 403 and not code):
            return self._restraint.refused(AccessRefused, f"does not accept the keys (HTTP {status})", REFUSED)
        if status >= 500:
            return self._restraint.refused(Unreachable, f"is out of order (HTTP {status})", self._out_of_reach)
        if status < 400:
            return MalformedAnswer(f"sends us elsewhere (HTTP {status}) instead of answering")
        return Declined(status, code, words)

    def _wait_for_quota(self, until: float) -> None:
        """Where the minute's requests are used up, waits for the next ones; raises where they come too late."""
        resume_at = self._used_up_until
        if resume_at is None:
            return
        missing = (resume_at - self._clock.now()).total_seconds()
        if missing <= 0:
            self._used_up_until = None
        elif missing >= until - self._clock.monotonic():
            raise RateLimited(f"allows no more requests for now; {next_try(resume_at)}", resume_at)
        else:
            self._sleep(missing)

    def _note_quota(self, response: Response) -> None:
        if response.headers.get("X-RateLimit-Remaining") == "0":
            reset = _reset_of(response)
            soon = self._clock.now() + timedelta(minutes=2)
            self._used_up_until = min(reset, soon) if reset is not None else None

    def _asked_to_wait(self, response: Response) -> timedelta:
        reset = _reset_of(response)
        wait = reset - self._clock.now() if reset is not None else timedelta(0)
        return min(max(wait, timedelta(0)), timedelta(minutes=5))


def _reset_of(response: Response) -> datetime | None:
    text = response.headers.get("X-RateLimit-Reset", "")
    return datetime.fromtimestamp(int(text), UTC) if text.isdecimal() and len(text) < 12 else None


def _said(response: Response) -> tuple[int, str]:
    """Alpaca's code and message; nothing where the answer is not in its form, as from a gateway."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return 0, ""
    if not isinstance(body, dict):
        return 0, ""
    code, words = body.get("code"), body.get("message")
    return (code if isinstance(code, int) else 0), (words[:200] if isinstance(words, str) else "")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    found: list[Any] = [error]
    while found:
        each = found.pop()
        if isinstance(each, BaseException) and all(each is not one for one in seen):
            seen.append(each)
            yield each
            found += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def _never_left(error: Exception) -> bool:
    """Whether no connection came about, so that nothing can have been sent."""
    return isinstance(error, ConnectTimeout | ProxyError | SSLError) or any(
        isinstance(each, NewConnectionError | NameResolutionError) for each in _causes(error)
    )


def _why_not(error: Exception, seconds: float) -> str:
    causes = tuple(_causes(error))
    if any(isinstance(each, Timeout | TimeoutError | ReadTimeoutError) for each in causes):
        return f"did not answer within {seconds:.3g} s"
    if isinstance(error, ProxyError):
        return "cannot be reached: the proxy that is set here does not connect"
    if isinstance(error, SSLError):
        return "cannot be reached: no trusted connection (something in between, or this machine's clock)"
    if any(isinstance(each, NameResolutionError) for each in causes):
        return "cannot be reached: its name is not found, so this machine may be offline"
    if isinstance(error, NoConnection):
        return "cannot be reached: no connection"
    return f"broke off its answer ({type(error).__name__})"
