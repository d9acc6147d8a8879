"""The worker's side of the pipe. Imports nothing heavy: what a task needs comes with the task.

Kept apart from jobs/worker.py because a spawned process imports this module before it can set its own environment.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import Any

NICENESS = 10
# More threads than the trees' own would only fight the trading process for the cores.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

Reply = tuple[bool, Any]


def serve(pipe: Connection) -> None:
    """Answers tasks from `pipe` until it closes: (True, result) or (False, exception)."""
    _settle()
    while True:
        try:
            data = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_answer(data))


def _settle() -> None:
    """Steps back behind the trading process and dies with it.

    Ctrl-C reaches every process of a terminal: the parent decides what it means. The parent's end is seen by a pipe
    that closes with it, kill -9 included; Linux' death signal would come already when the thread that spawned us ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for name in ONE_THREAD:
        os.environ[name] = "1"
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_die_with_parent, daemon=True, name="parent-watch").start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _answer(data: bytes) -> bytes:
    try:
        task, arguments = pickle.loads(data)  # written by our own parent process
        return pickle.dumps((True, task(*arguments)))
    except Exception as error:  # noqa: BLE001 - carried over to the caller, who sees it as his own
        return _carried(error)


def _carried(error: Exception) -> bytes:
    """The exception as it is if it survives pickling, else its text; the worker's traceback goes along as a note."""
    text = "".join(traceback.format_exception(error))
    error.add_note(f"in the worker:\n{text}")
    try:
        data = pickle.dumps((False, error))
        pickle.loads(data)  # our own bytes: some exceptions pickle and cannot be restored
    except Exception:  # noqa: BLE001 - any failure to carry the object means: carry its text
        return pickle.dumps((False, RuntimeError(text)))
    return data
