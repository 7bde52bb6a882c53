"""Fleets that survive their process: each step is kept in a store before and after it is done."""

from __future__ import annotations

import asyncio
import builtins
import contextlib

from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import anyio
import anyio.to_thread

from .._checks import check_flag, checked_seconds
from .._client import Client
from .._clock import SystemClock
from .._error_base import InvalidArgumentError
from .._errors import ConfigurationError
from .._fleet.arguments import STOP_ON, RunOptions, StopOn, checked_items, checked_specs
from .._fleet.ensure import Ensuring
from .._fleet.report import Item
from .._models import Server, ServerSpec, checked_id
from .._policies import PollPolicy
from ._given import Given, checked_flag, checked_rate, run_options
from ._records import checked_name
from ._run import DurableRun
from ._settling import OnAmbiguous, Settling
from ._store_url import checked_store
from ._worker_lock import MISSING, checked_worker, worker_lock
from ._working import Setup, Working


if TYPE_CHECKING:
    from ._lifecycle import Lifecycle

_SHOWN: Final = 10


class DurableFleets:
    """Fleets whose work survives the process: `kill -9`, a restart, a new release. For asyncio.

    ```python
    async with Client() as client, DurableFleets(client, store="sqlite:///fleet.sqlite", worker="m1") as fleets:
        run = await fleets.create("web-2026-11", specs, at_once=20, per_second=5)
        report = await run
    ```

    The next start of the same worker goes on where the last one has ended. No create and no reboot is sent twice: what
    an earlier process may have sent is looked for first, and what cannot be told is `"unknown"`. The name of a run is
    its key: the same call again gives the same run.

    Args:
        client: sends the commands. Use one whose token may do what the runs do; it is not kept.
        store: `sqlite:///FILE`, or `postgresql+psycopg://…` for workers on several machines. It gets the specs' own
            fields, ids, states and errors without any word of the API, as JSON; never a token or a password. A SQLite
            file is made with mode 600.
        worker: names this process: 1 to 64 letters, digits, `.`, `_` and `-`. Each live process needs its own, and
            keeps it over its restarts. A lock holds it.
        settle: seconds over which whole listings must not show a name before a create that an earlier process may have
            sent counts as not carried out. It must be longer than the client's `timeout` and the lag of the API's list.
        on_ambiguous: what is done then: `"unknown"` leaves it to you, `"resend"` sends it again. A reboot is sent again
            only if it is also proven that it has not happened.
        use_existing: uses the dbos that the application has launched, whose executor id has to be *worker*. What its
            own serializer is keeps the results of steps; everything else is kept as JSON.

    Raises:
        TypeError: an argument is of a wrong type.
        InvalidArgumentError: *settle*, *worker* or *on_ambiguous* cannot be used.
        ConfigurationError: *store* is no address of a store, or *client* is a sandbox's own, whose time runs away.
    """

    def __init__(
        self,
        client: Client,
        *,
        store: str,
        worker: str,
        settle: float = 60.0,
        on_ambiguous: OnAmbiguous = "unknown",
        use_existing: bool = False,
    ) -> None:
        if not isinstance(client, Client):
            raise TypeError(f"DurableFleets takes a Client, not {type(client).__name__}")
        if not isinstance(client._context.clock, SystemClock):  # noqa: SLF001 - a part of this library
            raise ConfigurationError(
                "DurableFleets cannot use a sandbox's in-process client, because its time runs away: serve() the "
                "sandbox, and give a Client its address"
            )
        checked_worker(worker)
        seconds = checked_seconds("settle", settle)
        if seconds is None:
            raise TypeError("settle takes a number of seconds, not None")
        if on_ambiguous not in ("unknown", "resend"):
            raise InvalidArgumentError(f"on_ambiguous={on_ambiguous!r}: give 'unknown' or 'resend'")
        check_flag("use_existing", use_existing)
        self._client = client
        url = checked_store(store)
        self._setup = Setup(
            client=client,
            url=url,
            worker=worker,
            settling=Settling(client, settle=seconds, on_ambiguous=on_ambiguous),
            lock=worker_lock(url, worker),
            uses_existing=use_existing,
        )
        self._working = Working(client)
        self._begun: Lifecycle | None = None
        if use_existing:
            # Their dbos has to know the workflows before it is launched.
            _lifecycle()

    def __repr__(self) -> str:
        return f"<DurableFleets {self._setup.url.shown!r}, worker {self._setup.worker!r}>"

    async def __aenter__(self) -> Self:
        """Begin to work: what this worker has left goes on, in the background.

        Raises:
            ClientClosedError: the client is closed.
            ConfigurationError: the store cannot be used, another live process has the worker's name, or this process
                has other `DurableFleets`; also on trio, and without the extra `durable`.
        """
        if not _on_asyncio():
            raise ConfigurationError("DurableFleets need asyncio: dbos does not run on trio")
        lifecycle = (await anyio.to_thread.run_sync(_lifecycle))(self._setup)
        if _ENTERED:
            raise ConfigurationError(
                f"this process has {_ENTERED[0]!r} already: dbos is one per process, so use that, or another process"
            )
        _ENTERED.append(self)
        try:
            self._working.parts = await lifecycle.begin()
        except BaseException:
            _ENTERED.remove(self)
            raise
        self._begun = lifecycle
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the work here, and keep what is in progress as it is: the next start of the worker goes on with it."""
        assert self._begun is not None
        self._working.parts = None
        with anyio.CancelScope(shield=True):
            try:
                await self._begun.end()
            finally:
                _ENTERED.remove(self)

    async def create(
        self,
        name: str,
        specs: Iterable[ServerSpec],
        *,
        wait: bool = True,
        at_once: int = 20,
        per_second: float | None = None,
        timeout: float | None = 900.0,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> DurableRun:
        """Begin to create a server from each spec, or attach to the run of that name.

        An item is done when its server is active; with `wait=False`, when its create was accepted. While the API does
        not respond, nothing more begins.

        Args:
            name: the key of the run: 1 to 100 letters, digits, `.`, `_` and `-`.
            specs: one spec for each server. No two have one name.
            wait: whether an item waits for its server.
            at_once: the number of items in progress together, of all workers.
            per_second: the number of items that begin in a second at most, of all workers; `None` sets no bound.
            timeout: the seconds that an item may take, counted anew after a restart; `None` sets no bound.
            poll: how the items are polled.
            stop_on: errors after which no further item begins.

        Raises:
            InvalidArgumentError: the run of that name has other arguments, a server has the name of a spec already, or
                an argument cannot be used. Nothing was sent.
            TypeError: an argument is of a wrong type.
            VPSError: the servers could not be listed.

        Cancellation: the run was begun or not, as a whole. The same call again tells.
        """
        items = checked_specs(specs)
        options = run_options(at_once, timeout, poll, stop_on)

        async def check() -> None:
            there = await Ensuring(self._client.servers, items).there()
            taken = sorted({server.name for servers in there.values() for server in servers})
            if taken:
                told = ", ".join(taken[:_SHOWN]) + (" …" if len(taken) > _SHOWN else "")
                raise InvalidArgumentError(
                    f"nothing was begun: {len(taken)} of the names are those of servers that exist: {told}"
                )

        given = Given("create", [*items], {"wait": checked_flag("wait", wait)}, options, checked_rate(per_second))
        return await self._submit(name, given, check)

    async def start(
        self,
        name: str,
        servers: Iterable[Server | int | str],
        *,
        wait: bool = True,
        if_needed: bool = False,
        at_once: int = 20,
        per_second: float | None = None,
        timeout: float | None = 900.0,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> DurableRun:
        """Begin to start each server, or attach to the run of that name. The arguments are those of `create`.

        With `if_needed=True`, a server that is active already succeeds without a command.

        Raises:
            InvalidArgumentError: the run of that name has other arguments, or an argument cannot be used.
            TypeError: an argument is of a wrong type.
        """
        options = run_options(at_once, timeout, poll, stop_on)
        own = {"wait": checked_flag("wait", wait), "if_needed": checked_flag("if_needed", if_needed)}
        return await self._command(name, "start", servers, own, options, per_second)

    async def stop(
        self,
        name: str,
        servers: Iterable[Server | int | str],
        *,
        wait: bool = True,
        if_needed: bool = False,
        at_once: int = 20,
        per_second: float | None = None,
        timeout: float | None = 900.0,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> DurableRun:
        """Begin to stop each server, or attach to the run of that name. The arguments are those of `start`."""
        options = run_options(at_once, timeout, poll, stop_on)
        own = {"wait": checked_flag("wait", wait), "if_needed": checked_flag("if_needed", if_needed)}
        return await self._command(name, "stop", servers, own, options, per_second)

    async def reboot(
        self,
        name: str,
        servers: Iterable[Server | int | str],
        *,
        wait: bool = True,
        at_once: int = 20,
        per_second: float | None = None,
        timeout: float | None = 900.0,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> DurableRun:
        """Begin to reboot each server, or attach to the run of that name. The arguments are those of `create`.

        Raises:
            InvalidArgumentError: the run of that name has other arguments, or an argument cannot be used.
            TypeError: an argument is of a wrong type.
        """
        options = run_options(at_once, timeout, poll, stop_on)
        return await self._command(name, "reboot", servers, {"wait": checked_flag("wait", wait)}, options, per_second)

    async def delete(
        self,
        name: str,
        servers: Iterable[Server | int | str],
        *,
        wait: bool = True,
        if_needed: bool = False,
        at_once: int = 20,
        per_second: float | None = None,
        timeout: float | None = 900.0,
        poll: PollPolicy = PollPolicy(),
        stop_on: StopOn = STOP_ON,
    ) -> DurableRun:
        """Begin to delete each server, or attach to the run of that name. The arguments are those of `start`.

        A server that is gone already succeeds: nobody can tell whether an earlier process has deleted it.
        """
        options = run_options(at_once, timeout, poll, stop_on)
        own = {"wait": checked_flag("wait", wait), "if_needed": checked_flag("if_needed", if_needed)}
        return await self._command(name, "delete", servers, own, options, per_second)

    async def attach(self, name: str) -> DurableRun:
        """Return the run of that name.

        Raises:
            InvalidArgumentError: there is none, or a later version of this library has begun it.
        """
        found = await self._working.store().run_of(checked_name(name))
        if found is None:
            raise InvalidArgumentError(f"there is no run {name!r} in store={self._setup.url.shown!r}")
        return DurableRun(name, found, self._working)

    async def _command(  # noqa: PLR0917 - those of the methods above, in their order
        self,
        name: str,
        action: str,
        servers: Iterable[Server | int | str],
        own: dict[str, Any],
        options: RunOptions,
        per_second: float | None,
    ) -> DurableRun:
        key = self._client._context.command_log.spellings.key  # noqa: SLF001 - a part of this library
        items: Sequence[Item] = [checked_id(item) for item in checked_items(servers, key)]
        return await self._submit(name, Given(action, items, own, options, checked_rate(per_second)), None)

    async def _submit(self, name: str, given: Given, check: Callable[[], Awaitable[None]] | None) -> DurableRun:
        """Begin the run, or attach to the one of that name. *check* raises if it may not begin."""
        store = self._working.store()
        found = await store.run_of(checked_name(name))
        if found is None:
            if check is not None:
                await check()
            record = given.record()
            if await store.submit(name, record, given.items_of(name)):
                return DurableRun(name, record, self._working)
            # Another process has begun it at this moment.
            found = await store.run_of(name)
        if found is None:
            raise InvalidArgumentError(f"the run {name!r} was forgotten at this moment: begin it again")
        if differences := found.differences(given.record()):
            raise InvalidArgumentError(
                f"there is a run {name!r} already, with other arguments ({', '.join(differences)}): give another name, "
                "or attach to it"
            )
        return DurableRun(name, found, self._working)

    async def list(self) -> list[DurableRun]:
        """Return all runs of the store, those too that are over, the oldest first.

        Those that a later version of this library has begun are left out.

        Raises:
            RuntimeError: the `DurableFleets` were left.
            ConfigurationError: another process has taken the worker's name.
        """
        store = self._working.store()
        found: builtins.list[DurableRun] = []
        for name in await store.names():
            with contextlib.suppress(InvalidArgumentError):
                record = await store.run_of(name)
                if record is not None:
                    found.append(DurableRun(name, record, self._working))
        return found


_ENTERED: list[DurableFleets] = []
"""Those of this process that are entered: none or one."""


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _lifecycle() -> type[Lifecycle]:
    """Return the class that begins and ends the work. Its module imports dbos, which takes half a second and 60 MB.

    Raises:
        ConfigurationError: the extra `durable` is not installed.
    """
    try:
        from ._lifecycle import Lifecycle  # noqa: PLC0415 - late
    except ImportError as error:
        raise ConfigurationError(f"{MISSING} ({error})") from None
    return Lifecycle
