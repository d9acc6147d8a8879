"""Alarms by mail (SMTP, RFC 5321): another way to the owner than the chat."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

from core.errors import Transient
from core.ports import Clock

DEADLINE = 10.0
"""Seconds that any one answer of the server may take."""
_PORTS = {"smtp": 587, "smtps": 465}
_AT_HOME = frozenset({"localhost", "127.0.0.1", "::1"})


class Mail:
    """`url`: smtp://user:password@host:587/?to=me@example.com&from=bot@example.com, smtps:// where the line is
    encrypted from its first byte. Without `from` the user, where that is an address, or the recipient is the sender.

    A password goes out encrypted only, except to this very machine.
    """

    name = "mail"

    def __init__(
        self, url: str, clock: Clock, deadline: float = DEADLINE, context: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        asked = parse_qs(parts.query)
        self._to = asked["to"][0]
        self._from = asked.get("from", [self._user if "@" in self._user else self._to])[0]
        self._clock = clock
        self._deadline = deadline
        self._context = context or ssl.create_default_context()

    def send(self, title: str, text: str) -> None:
        """Raises Transient, in words that hold nothing of the address."""
        try:
            with self._connected() as server:
                if self._password:
                    server.login(self._user, self._password)
                server.send_message(self._message(title, text))
        except smtplib.SMTPResponseException as error:
            raise Transient(f"the mail server answered with status {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise Transient(f"no mail could be sent ({type(error).__name__})") from None

    def _connected(self) -> smtplib.SMTP:
        if self._scheme == "smtps":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=self._deadline, context=self._context)
        server = smtplib.SMTP(self._host, self._port, timeout=self._deadline)
        try:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=self._context)
                server.ehlo()
            elif self._password and self._host not in _AT_HOME:
                raise smtplib.SMTPNotSupportedError("no encryption")
        except BaseException:
            server.close()
            raise
        return server

    def _message(self, title: str, text: str) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = " ".join(title.split())
        message["From"] = self._from
        message["To"] = self._to
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = make_msgid(domain="autotrader.invalid")
        message["X-Priority"] = "1"
        message.set_content(text, cte="quoted-printable")
        return message
