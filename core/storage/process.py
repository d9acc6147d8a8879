"""Which process holds the ledger, named so that another process on the same machine can tell whether it still runs."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process. Boot id, pid namespace and start (clock ticks since boot) are Linux's; empty elsewhere."""

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


def this_process() -> Holder:
    pid = os.getpid()
    return Holder(
        host=socket.gethostname(),
        boot_id=_read(_PROC / "sys/kernel/random/boot_id"),
        pid_namespace=_link(_PROC / "self/ns/pid"),
        pid=pid,
        started=_running_since(pid) or "",
    )


def is_provably_dead(holder: Holder, here: Holder) -> bool:
    """True only where `here` can see the holder's pids and none of them is the holder any more."""
    if (holder.host, holder.boot_id, holder.pid_namespace) != (here.host, here.boot_id, here.pid_namespace):
        return False
    if os.name != "posix":
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return _is_another(holder)
    return _is_another(holder)


def _is_another(holder: Holder) -> bool:
    # The number may have been given to another process since; a zombie has ended, its parent just did not look yet.
    started = _running_since(holder.pid)
    if started is None:
        return _is_zombie(holder.pid)
    return bool(holder.started) and started != holder.started


def _running_since(pid: int) -> str | None:
    """Start of a running process in clock ticks since boot; None for one that has ended or cannot be seen."""
    fields = _status(pid)
    return None if not fields or fields[0] in "ZX" else fields[19]


def _is_zombie(pid: int) -> bool:
    fields = _status(pid)
    return bool(fields) and fields[0] in "ZX"


def _status(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on: the second, the name, may hold spaces and brackets."""
    return _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
