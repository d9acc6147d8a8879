"""An HTTPS proxy on loopback that ends the encryption itself, so that programs reach test servers at real addresses.

Its certificates come from a CA that is made for the test by the openssl command, trusted through the environment alone.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """Files in PEM form: the CA that has to be trusted, and one server's certificate with its key."""

    ca: Path
    server: Path
    key: Path

    def trust(self) -> Mapping[str, str]:
        """What makes curl, requests and Python trust the CA, and nothing else."""
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        return dict.fromkeys(names, str(self.ca))


def make_certificates(folder: Path, hosts: Sequence[str]) -> Certificates:
    """Of a CA of its own, for all of `hosts`."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca_key, request, extras = folder / "ca.key", folder / "server.csr", folder / "server.ext"
    names = ",".join(f"DNS:{host}" for host in hosts)
    extras.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n", encoding="utf-8")
    ca = ("-x509", "-days", "2", "-subj", "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl("req", *CURVE, *ca, "-keyout", ca_key, "-out", made.ca)
    _openssl("req", *CURVE, "-subj", f"/CN={hosts[0]}", "-keyout", made.key, "-out", request)
    signer = ("-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", extras)
    _openssl("x509", "-req", "-in", request, *signer, "-out", made.server)
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class HttpsProxy:
    """CONNECT to a host in `routes` leads, decrypted, to that port of this machine; to any other, nowhere.

    `connected` lists the hosts that were asked for.
    """

    def __init__(self, certificates: Certificates, routes: Mapping[str, int]) -> None:
        self.connected: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.server, certificates.key)
        self._context.set_alpn_protocols(["http/1.1"])
        self._routes = dict(routes)
        self._server = ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> HttpsProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _handler(self) -> type[StreamRequestHandler]:
        proxy = self

        class Handler(StreamRequestHandler):
            rbufsize = 0

            def handle(self) -> None:
                method, target, _ = self.rfile.readline(1_000).decode().split()
                while self.rfile.readline(10_000).strip():
                    pass
                host = target.split(":")[0]
                proxy.connected.append(host)
                port = proxy._routes.get(host) if method == "CONNECT" else None
                if port is None:
                    self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                    return
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", port)) as behind,
                    proxy._context.wrap_socket(self.connection, server_side=True) as before,
                ):
                    _pass_on(before, behind)

        return Handler


def _pass_on(before: ssl.SSLSocket, behind: socket.socket) -> None:
    """Until one of them ends."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(before, selectors.EVENT_READ, behind)
        waiting.register(behind, selectors.EVENT_READ, before)
        while True:
            for key, _ in waiting.select():
                data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                while isinstance(key.fileobj, ssl.SSLSocket) and key.fileobj.pending():
                    data += key.fileobj.recv(65_536)
                if not data:
                    return
                key.data.sendall(data)
