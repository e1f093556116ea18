"""Shards on a Dask cluster, each a Prefect task: workers of this machine, or those of a scheduler elsewhere.

What all shards share goes to each worker once, also to one that joins later or comes back. Dask runs whatever
its scheduler is sent, so a scheduler elsewhere belongs on a network of your own (docs/growing.md).
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import Context
from functools import partial
from typing import Any

from distributed import Client, LocalCluster, Security, get_worker
from distributed.diagnostics.plugin import WorkerPlugin
from prefect import flow, task
from prefect.futures import as_completed
from prefect_dask.task_runners import DaskTaskRunner

from flows.memory import peak_memory_mib
from flows.shards import Item, Result, Shared
from pipeline import VERSION

CONNECT_SECONDS = 15  # for a scheduler that should be there already
TRIES = 2  # more of a shard whose worker died


class ClusterError(Exception):
    """The cluster cannot be used; the message says what to do, in one line."""


class Cluster:
    """The workers of a scheduler."""

    def __init__(self, client: Client, address: str, security: Security | None) -> None:
        self._client, self._address, self._security = client, address, security
        self.workers = len(client.scheduler_info(n_workers=-1)["workers"])

    def memory_mib(self) -> list[float]:
        """The greatest resident size of each worker so far, in MiB, the smallest first."""
        return sorted(self._client.run(peak_memory_mib).values())

    def map(
        self,
        work: Callable[[Shared, Item], Result],
        items: Sequence[Item],
        shared: Shared,
        keep: Callable[[int, Result], None],
    ) -> None:
        """Give each item's number and result to `keep`, as workers end them. Raises what the work raised."""
        if not items:
            return
        pickled = pickle.dumps(shared, protocol=5)
        once = SharedPart(f"fundmatch-{hashlib.sha256(pickled).hexdigest()[:16]}", pickled)
        self._client.register_plugin(once, name=once.name)
        _jobs[once.name] = partial(_do_job, work, items, once.name, keep)
        try:
            more = {"security": self._security} if self._security else {}
            runner: Any = DaskTaskRunner(address=self._address, client_kwargs=more)
            # a flow of its own: each shard takes along what it is part of, and a run cannot be taken along
            Context().run(shards.with_options(task_runner=runner), once.name)
        finally:
            del _jobs[once.name]
            self._client.unregister_worker_plugin(once.name)  # type: ignore[no-untyped-call]


_jobs: dict[str, Callable[[], None]] = {}  # in hand; Prefect takes flows to workers, with all that they hold


@flow(name="shards", validate_parameters=False, persist_result=False)
def shards(job: str) -> None:
    """A job's shards, one task each."""
    _begin(job)


def _begin(job: str) -> None:
    _jobs[job]()


def _do_job(
    work: Callable[[Any, Any], Any], items: Sequence[Any], name: str, keep: Callable[[int, Any], None]
) -> None:
    futures = {shard.submit(work, item, name): number for number, item in enumerate(items)}
    for future in as_completed(list(futures)):
        keep(futures[future], future.result())


@task(name="shard", retries=TRIES, retry_delay_seconds=1, retry_jitter_factor=1.0, persist_result=False)
def shard(work: Callable[[Any, Any], Any], item: Any, name: str) -> Any:
    """On a worker: one shard, with what all shards share."""
    part: Any = get_worker().plugins[name]
    return work(part.value, item)


class SharedPart(WorkerPlugin):
    """What all shards of a job share, on each worker; read when its first shard asks for it."""

    def __init__(self, name: str, pickled: bytes) -> None:
        self.name, self._pickled = name, pickled
        self._read: list[Any] = []

    @property
    def value(self) -> Any:
        """The same object for all shards of a worker."""
        if not self._read:
            self._read.append(pickle.loads(self._pickled))  # noqa: S301  (Dask has run the sender's code already)
        return self._read[0]


@contextmanager
def cluster(scheduler: str | None, workers: int | None = None) -> Iterator[Cluster]:
    """The workers of `scheduler` (tcp://host:8786, or tls://…), or processes of this machine, by default one
    a core. Raises ClusterError.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with ExitStack() as stack:
        address, security = scheduler, None  # what tls:// needs is in Dask's own settings
        if address is None:
            # others on this machine are not to send it work
            security = Security.temporary()  # type: ignore[no-untyped-call]
            local = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers or _cores(),
                security=security,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
            address = str(stack.enter_context(local).scheduler_address)
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT_SECONDS, security=security))  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(
                f"{address}: no Dask scheduler answers there; start one with: dask scheduler"
            ) from error
        found = Cluster(client, address, security)
        if not found.workers:
            raise ClusterError(f"{address}: has no workers; start some with: dask worker {address}")
        _same_version(client, address)
        yield found


def _same_version(client: Client, address: str) -> None:
    try:
        theirs = set(client.run(_version).values())
    except Exception as error:
        raise ClusterError(f"{address}: its workers have no fundmatch; install it there, too") from error
    if theirs != {VERSION}:
        raise ClusterError(
            f"{address}: its workers have fundmatch {', '.join(sorted(theirs))}, and this machine {VERSION}; "
            "install the same on all"
        )


def _version() -> str:
    return VERSION


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
