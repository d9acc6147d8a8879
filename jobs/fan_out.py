"""Work spread over processes by joblib, or over the machines of a Dask cluster by one setting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from core.errors import Fatal

T = TypeVar("T")
Given = TypeVar("Given")


class FanOut:
    """Maps a function that a module defines over tasks; results come in the order of the tasks, whoever made them.

    `jobs` processes of this machine; one means: in this very process. `dask` is the address of a scheduler, such as
    tcp://10.0.0.2:8786: its workers do it all then, and have this program installed. Raises Fatal where Dask is wanted
    and missing, or not there.
    """

    def __init__(self, jobs: int, dask: str = "") -> None:
        self._jobs = jobs
        self._dask = dask

    def map(self, task: Callable[[Given], T], tasks: Iterable[Given]) -> Iterator[T]:
        if self._jobs == 1 and not self._dask:
            yield from map(task, tasks)
            return
        from joblib import Parallel, delayed

        with self._backend():
            parallel = Parallel(n_jobs=-1 if self._dask else self._jobs, return_as="generator", max_nbytes=None)
            yield from parallel(delayed(task)(each) for each in tasks)

    def _backend(self) -> AbstractContextManager[Any]:
        if not self._dask:
            return nullcontext()
        try:
            from distributed import Client
        except ImportError:
            raise Fatal(
                f"AUTOTRADER_DASK={self._dask} needs Dask: pip install 'autotrader[dask]', or leave the setting away"
            ) from None
        from joblib import parallel_config

        try:
            client = Client(self._dask, timeout=10)
        except (OSError, ValueError) as error:
            raise Fatal(f"AUTOTRADER_DASK={self._dask}: no scheduler answers there ({error})") from error
        return _Cluster(client, parallel_config(backend="dask", client=client))


class _Cluster(AbstractContextManager["_Cluster"]):
    """A connection that ends with its block."""

    def __init__(self, client: Any, backend: Any) -> None:
        self._client = client
        self._backend = backend

    def __enter__(self) -> _Cluster:
        self._backend.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._backend.__exit__(*error)
        self._client.close()
