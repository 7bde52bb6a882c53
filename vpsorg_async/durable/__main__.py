"""Runs a further worker of a store, tells of its runs, and takes over the work of a machine that is gone.

    python -m vpsorg_async.durable work --store STORE --worker NAME
    python -m vpsorg_async.durable status --store STORE [RUN]
    python -m vpsorg_async.durable take-over --store STORE WORKER

`work` reads the token from VPS_API_TOKEN, and the API's address from VPS_API_URL. It ends with Ctrl-C or SIGTERM, and
what is in progress goes on at its next start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from collections import Counter
from typing import TYPE_CHECKING

import anyio

from .. import Client, ConfigurationError, InvalidArgumentError
from .._extras import missing
from .._fleet.report import FleetReport
from .._version import __version__
from ._fleets import DurableFleets
from ._records import checked_name
from ._store_url import checked_store
from ._worker_lock import MISSING, checked_worker, worker_lock


if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._store import Store

_REFUSED = 2
_LOOKS = 5.0
"""Seconds between two looks whether the worker still works."""

_TIMES = 3
"""So often the rows of a worker that is gone are looked for: one that was begun as it died is seen late."""


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    told, _, forms = (__doc__ or "").partition("\n\n")
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m vpsorg_async.durable", description=told, epilog=forms, formatter_class=formatter
    )
    parser.add_argument("--version", action="version", version=f"vpsorg-async {__version__}")
    commands = parser.add_subparsers(dest="command")
    work = commands.add_parser("work", help="work on the runs of the store until Ctrl-C or SIGTERM")
    work.add_argument("--worker", required=True, help="the name of this process, one live process each")
    work.add_argument("--settle", type=float, default=60.0, help="seconds; see DurableFleets (default: 60)")
    work.add_argument("--on-ambiguous", choices=["unknown", "resend"], default="unknown", help="see DurableFleets")
    status = commands.add_parser("status", help="tell of all runs, or print the report of one")
    status.add_argument("run", nargs="?", help="the name of a run")
    take_over = commands.add_parser("take-over", help="let other workers go on with the work of one that is gone")
    gone = take_over.add_mutually_exclusive_group(required=True)
    told_of = "the worker: you assert that its process is gone for good"
    gone.add_argument("worker", nargs="?", help=told_of)
    gone.add_argument("--worker", dest="named", metavar="WORKER", help="the same, as for work")
    for command in (work, status, take_over):
        command.add_argument("--store", required=True, help="sqlite:///FILE or postgresql+psycopg://…")
    options = parser.parse_args(given)
    if (refusal := missing("durable")) is not None:
        print(refusal, file=sys.stderr)
        sys.exit(_REFUSED)
    if options.command is None:
        parser.error("give a command: work, status or take-over")
    return options


async def _work(given: argparse.Namespace) -> None:
    async with (
        Client() as client,
        DurableFleets(
            client, store=given.store, worker=given.worker, settle=given.settle, on_ambiguous=given.on_ambiguous
        ) as fleets,
    ):
        print(f"worker {given.worker} works; end it with Ctrl-C", flush=True)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        # Windows has no signal handlers of a loop: Ctrl-C is a KeyboardInterrupt there.
        with contextlib.suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, ended.set)
        while not ended.is_set():
            # Raises if the worker has ended by itself: another process has its name.
            await fleets.list()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _LOOKS)
    print(f"worker {given.worker} has ended; what is in progress goes on at its next start")


@contextlib.asynccontextmanager
async def _opened(given: argparse.Namespace):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a Store, imported late
    try:
        from ._store import Store  # noqa: PLC0415 - dbos takes half a second
    except ImportError:
        raise ConfigurationError(MISSING) from None

    url = checked_store(given.store)
    if url.file is not None and not url.file.exists():
        raise ConfigurationError(f"there is no store {url.shown!r}")
    store = Store(url)
    try:
        if not await store.check_version():
            raise ConfigurationError(f"no worker has used the store {url.shown!r} yet")
        yield store
    finally:
        await store.close()


async def _status(given: argparse.Namespace) -> None:
    async with _opened(given) as store:
        names = [checked_name(given.run)] if given.run else await store.names()
        for name in names:
            print(await _told(store, name, whole=bool(given.run)))
        if not names:
            print("there are no runs")


async def _told(store: Store, name: str, *, whole: bool) -> str:
    record = await store.run_of(name)
    if record is None:
        raise InvalidArgumentError(f"there is no run {name!r} in the store")
    outcomes = await store.outcomes(name, record.count)
    if whole:
        return str(FleetReport(action=record.action, outcomes=tuple(outcomes)))
    counts = Counter(outcome.state for outcome in outcomes)
    over = "over" if await store.is_over(name) else "in progress"
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{name}: {record.action} of {record.count}, {over}: {told}"


async def _take_over(given: argparse.Namespace) -> None:
    worker = checked_worker(given.worker if given.named is None else given.named)
    async with _opened(given) as store:
        lock = worker_lock(store.url, worker)
        # A live process holds it.
        await lock.acquire()
        try:
            taken: set[str] = set()
            for _ in range(_TIMES):
                rows = await store.in_progress_of(worker)
                await store.release(rows)
                taken.update(row.id for row in rows)
                await anyio.sleep(0.5)
        finally:
            await lock.release()
    items = "1 item" if len(taken) == 1 else f"{len(taken)} items"
    print(f"{items} of worker {worker} will go on with the workers that are at work")


def main(given: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 2 if it was refused."""
    arguments = _arguments(given)
    run = {"work": _work, "status": _status, "take-over": _take_over}[arguments.command]
    try:
        asyncio.run(run(arguments))
    except (ConfigurationError, InvalidArgumentError) as error:
        print(f"{error}", file=sys.stderr)
        return _REFUSED
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
