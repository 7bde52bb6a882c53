"""What the tests of durable fleets share: a worker on a served sandbox, a store without a worker, records at random."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import sqlite3

from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from hypothesis import strategies as st

from tests.helpers_api import ITS_CLOCK, FakeAPI, VirtualClock, client_over
from vpsorg_async import (
    APIConnectionError,
    APIStatusError,
    Client,
    NotFoundError,
    OutcomeUnknownError,
    PollPolicy,
    ResponseError,
    RetryPolicy,
    Server,
    ServerError,
    ServerSpec,
    VPSError,
    WaitFailedError,
    WaitTimeoutError,
)
from vpsorg_async._action_parts import Memory
from vpsorg_async._fleet.report import Outcome
from vpsorg_async._fleet.report_data import Carried, RunArguments
from vpsorg_async._fleet.states import STATES
from vpsorg_async.durable import DurableFleets
from vpsorg_async.durable._given import Given, run_options
from vpsorg_async.durable._items import Items
from vpsorg_async.durable._records import Intent, ItemRecord, load_outcome
from vpsorg_async.durable._settling import Settling
from vpsorg_async.durable._store import Store
from vpsorg_async.durable._store_url import checked_store, prepare_file
from vpsorg_async.sandbox import Sandbox


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from tests.rawserver import RawServer


POLL = PollPolicy(minimum=0.1, maximum=0.2)
RETRY = RetryPolicy(initial=0.01, maximum=0.02)
TOKEN = "vps_sandbox"
SPEED = 200.0


def spec(name: str, **changes: Any) -> ServerSpec:
    return ServerSpec(**{"name": name, "plan_id": 1, "os_id": 5, "location": "us-west", **changes})


def specs(*names: str) -> list[ServerSpec]:
    return [spec(name) for name in names]


def store_in(folder: Path) -> str:
    """Return the address of a SQLite store."""
    return f"sqlite:///{folder / 'fleet.sqlite'}"


@contextlib.contextmanager
def served(sandbox: Sandbox, speed: float = SPEED) -> Iterator[Client]:
    """Serve a sandbox whose commands take no time to speak of, and give a client that is not entered yet."""
    with sandbox.serve(speed=speed) as base_url:
        yield Client(TOKEN, base_url=base_url, retry=RETRY)


@attrs.frozen(eq=False)
class Place:
    """A worker at work.

    Attributes:
        sandbox: the API.
        client: its client.
        fleets: entered.
        store: the address of their store.
    """

    sandbox: Sandbox
    client: Client
    fleets: DurableFleets
    store: str

    def sent(self, method: str = "POST") -> list[str]:
        """Return the paths of the commands so far."""
        return [call.path for call in self.sandbox.calls if call.method == method]


@contextlib.asynccontextmanager
async def place(folder: Path, *, servers: int = 0, speed: float = SPEED) -> AsyncIterator[Place]:
    """Give a worker at work on a served sandbox."""
    sandbox, store = Sandbox(servers=servers), store_in(folder)
    with served(sandbox, speed) as client:
        async with client, DurableFleets(client, store=store, worker="m1", settle=0.5) as fleets:
            yield Place(sandbox, client, fleets, store)


def arguments_of(**changes: Any) -> RunArguments:
    given = {"own": {"wait": True}, "at_once": 20, "tolerate": None, "timeout": 900.0, "poll": POLL, "stop_on": ()}
    return RunArguments(**{**given, **changes})


def item_record(item: Any, action: str = "create", **changes: Any) -> ItemRecord:
    given = {"run": "web", "index": 0, "action": action, "arguments": arguments_of(), "item": item}
    return ItemRecord(**{**given, **changes})


moments = st.none() | st.datetimes(timezones=st.just(dt.UTC))
texts = st.text(max_size=20)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True)
keys = st.integers(1, 10**12) | st.from_regex(r"[a-f0-9]{8}-[a-f0-9]{4}", fullmatch=True)
server_specs = st.builds(
    ServerSpec,
    name=texts,
    plan_id=st.integers() | texts,
    os_id=st.integers() | texts,
    location=texts,
    hostname=st.none() | texts,
    ssh_key_id=st.none() | st.integers() | texts,
    backups_enabled=st.booleans(),
)
items = keys | server_specs
arguments = st.builds(
    RunArguments,
    own=st.dictionaries(st.sampled_from(["wait", "if_needed"]), st.booleans()),
    at_once=st.integers(1, 99),
    tolerate=st.none(),
    timeout=st.none() | st.floats(0, 900),
    poll=st.builds(PollPolicy, minimum=st.floats(0.1, 1), failures=st.none() | st.integers(1, 9)),
    stop_on=st.sampled_from([(), (NotFoundError,), (Exception, VPSError)]),
)
memories = st.builds(Memory, date=moments, said=texts, lost=st.booleans(), baseline=moments, newest=moments)
carried = st.builds(Carried, command=st.none() | memories, sent=moments)
intents = st.builds(
    Intent, boot=texts, began_at=st.datetimes(timezones=st.just(dt.UTC)), carried=carried, stopped=st.booleans()
)

WORDS = st.from_regex(r"zq[a-z0-9]{6,10}", fullmatch=True)
"""Words of a response: none of this library's own is like them."""


def _shown(name: str) -> Server:
    return Server.from_dict({"id": 7, "name": name, "status": "active", "hostname": name, "secret": name})


def _status_error(kind: type[APIStatusError], word: str, code: int) -> APIStatusError:
    return kind(
        f"POST /servers/: {code} {word}",
        status_code=code,
        message=word,
        headers={"X-Word": word},
        body=word.encode(),
        fields={word: [word]},
        request_id=None,
        request_summary="POST /servers/",
    )


single_errors: st.SearchStrategy[Exception] = st.one_of(
    st.builds(
        _status_error, st.sampled_from([APIStatusError, NotFoundError, ServerError]), WORDS, st.integers(400, 599)
    ),
    st.builds(ResponseError, WORDS),
    st.builds(APIConnectionError, WORDS, sent=st.sampled_from([None, True, False])),
    st.builds(lambda word: OutcomeUnknownError(word, candidates=[_shown(word)]), WORDS),
    st.builds(
        lambda kind, word, seen: kind(word, server=_shown(word) if seen else None),
        st.sampled_from([WaitFailedError, WaitTimeoutError]),
        WORDS,
        st.booleans(),
    ),
    st.builds(lambda kind, word: kind(word), st.sampled_from([ValueError, KeyError, OSError, VPSError]), WORDS),
)


def _chained(errors: list[Exception]) -> Exception:
    for error, cause in itertools.pairwise(errors):
        error.__cause__ = cause
    return errors[0]


errors_by_the_api = st.lists(single_errors, min_size=1, max_size=4).map(_chained)
"""Errors that quote a response, with causes that do."""

outcomes = st.builds(
    Outcome,
    index=st.integers(0, 9999),
    item=items,
    state=st.sampled_from(STATES),
    server=st.none() | st.builds(_shown, texts),
    error=st.none() | errors_by_the_api,
    accepted=st.booleans(),
    began_at=moments,
    ended_at=moments,
    carried=st.none() | carried,
)


class MovingAPI(FakeAPI):
    """The API of a test, whose `Date` goes with the clock of the client; a create is dated by it."""

    def __init__(self, server: RawServer, clock: VirtualClock) -> None:
        super().__init__(server)
        self._clock, self._began = clock, clock.now()

    @property
    def now(self) -> dt.datetime:
        return ITS_CLOCK + dt.timedelta(seconds=self._clock.now() - self._began)

    @property
    def headers(self) -> dict[str, str]:
        return {"Date": format_datetime(self.now.replace(microsecond=0), usegmt=True)}


@attrs.frozen(eq=False)
class Bench:
    """What works on items, at an API on a real socket, on a clock whose sleeps take no time, without a store.

    Attributes:
        items: of the process `"now"`.
        api: the API.
        server: the server it is on.
        clock: the clock.
    """

    items: Items
    api: MovingAPI
    server: RawServer
    clock: VirtualClock
    client: Client

    @property
    def posts(self) -> list[str]:
        return [request.path for request in self.server.requests_to("POST")]

    async def find_out(self, record: ItemRecord, *, command: Memory | None = None) -> Outcome:
        """Return what becomes of an item whose command an earlier process may have sent a moment ago."""
        intent = Intent(boot="before", began_at=ITS_CLOCK, carried=Carried(command=command, sent=ITS_CLOCK))
        return load_outcome(0, record.item, await self.items.command(record, intent))


@contextlib.asynccontextmanager
async def bench(server: RawServer, *, settle: float = 60.0, on_ambiguous: Any = "unknown") -> AsyncIterator[Bench]:
    """Give a bench."""
    clock = VirtualClock()
    api = MovingAPI(server, clock)
    async with client_over(server, clock) as client:
        settling = Settling(client, settle=settle, on_ambiguous=on_ambiguous)
        yield Bench(Items(client, "now", settling), api, server, clock, client)


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    """Give a store that no worker works on."""
    url = checked_store(store_in(folder))
    prepare_file(url)
    store = Store(url)
    try:
        # As the first worker does.
        store._client._sys_db.run_migrations()
        yield store
    finally:
        await store.close()


def given_run(names: Sequence[str], **changes: Any) -> Given:
    """Return what a run of creates was given."""
    options = run_options(20, 900.0, POLL, ())
    per_second = changes.pop("per_second", None)
    return Given("create", specs(*names), {"wait": True}, attrs.evolve(options, **changes), per_second)


async def submit(store: Store, name: str, names: Sequence[str] = ("a", "b", "c"), **changes: Any) -> bool:
    """Keep a run of creates."""
    run = given_run(names, **changes)
    return await store.submit(name, run.record(), run.items_of(name))


def sql(store: Store, statement: str) -> list[Any]:
    """Do something to the file of a store, as another process does."""
    assert store.url.file is not None
    with contextlib.closing(sqlite3.connect(store.url.file, timeout=30)) as database:
        found = database.execute(statement).fetchall()
        database.commit()
    return found
