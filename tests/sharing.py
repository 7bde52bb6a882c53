"""What the tests of shared polls have in common: waits beside one another, and transports that answer in odd ways."""

from __future__ import annotations

import contextlib

from typing import TYPE_CHECKING, Any

import anyio
import attrs
import httpx

from vpsorg_async import Client, VPSError
from vpsorg_async.sandbox._api.app import BASE_PATH
from vpsorg_async.sandbox._clocks.virtual import VirtualClock
from vpsorg_async.sandbox._server.in_process import InProcessTransport


if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from vpsorg_async.sandbox import Sandbox

    Spoil = Callable[[httpx.Request, httpx.Response], Awaitable[httpx.Response]]


async def as_it_is(request: httpx.Request, response: httpx.Response) -> httpx.Response:
    return response


class SpoilingTransport(httpx.AsyncBaseTransport):
    """The sandbox's answers, as *spoil* leaves them; what it raises comes out. It may sleep on the sandbox's clock."""

    def __init__(self, sandbox: Sandbox, spoil: Spoil = as_it_is) -> None:
        self.spoil = spoil
        self._inner = InProcessTransport(sandbox.app, sandbox._clock)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.spoil(request, await self._inner.handle_async_request(request))


def spoiled_client_of(sandbox: Sandbox, spoil: Spoil = as_it_is, **options: Any) -> Client:
    """Return a client of *sandbox*, on its clock, that sees its responses as *spoil* leaves them."""
    return client_by(sandbox, sandbox._clock, spoil, **options)


def client_by(sandbox: Sandbox, clock: Any, spoil: Spoil = as_it_is, **options: Any) -> Client:
    """Return the same by *clock*, which is the sandbox's own with something around it."""
    given = {"token": "vps_sandbox", "base_url": f"http://localhost{BASE_PATH}", **options}
    return Client._over(transport=SpoilingTransport(sandbox, spoil), clock=clock, **given)


class Scripted(httpx.AsyncBaseTransport):
    """Responses by a function of the request, its query and its number, each in its own time: in any order.

    The function returns the seconds that the response takes, its status and its body, and perhaps some headers.
    """

    def __init__(self, answer: Callable[[str, str, int], tuple[Any, ...]]) -> None:
        self.clock = VirtualClock()
        self.answer = answer
        self.asked: list[tuple[str, str]] = []
        self.asked_at: list[float] = []
        self.abandoned: list[tuple[str, str]] = []

    async def handle_async_request(self, request):
        path = request.url.path.removeprefix("/api/v1")
        if number := request.url.params.get("page"):
            path = f"{path}?page={number}"
        self.asked.append((request.method, path))
        self.asked_at.append(self.clock.now())
        seconds, status, body, *headers = self.answer(request.method, path, len(self.asked))
        try:
            await self.clock.sleep(seconds)
        except BaseException:
            self.abandoned.append((request.method, path))
            raise
        given = headers[0] if headers else {}
        return httpx.Response(status, json=body, headers={"Date": "Wed, 15 Oct 2025 12:00:00 GMT", **given})


def scripted_client_of(transport, **options):
    return Client._over(transport, transport.clock, token="vps_test", base_url="https://api.example/api/v1", **options)


def path_of(request: httpx.Request) -> str:
    return request.url.path.removeprefix(BASE_PATH)


@attrs.define(eq=False)
class Waits:
    """Waits in a task group, and what each has ended with, by its name: a server, an error, or `"cancelled"`."""

    client: Client
    group: Any
    options: dict[str, Any]
    ended: dict[Any, Any] = attrs.field(factory=dict)
    scopes: dict[Any, anyio.CancelScope] = attrs.field(factory=dict)
    _changed: anyio.Event = attrs.field(factory=anyio.Event)

    def begin(self, *keys: Any, status: Any = "active", name: Any = None, client: Any = None, **options: Any) -> None:
        """Begin a wait for each of the servers; without a *name* it is called by its server."""
        for key in keys:
            wait = (client or self.client).servers.wait_until(key, status=status, **{**self.options, **options})
            scope = self.scopes[key if name is None else name] = anyio.CancelScope()
            self.group.start_soon(self._run, key if name is None else name, wait, scope)

    def cancel(self, *names: Any) -> None:
        for name in names:
            self.scopes[name].cancel()

    async def have_ended(self, *names: Any) -> None:
        while not self.ended.keys() >= set(names):
            await self._changed.wait()

    async def _run(self, name: Any, wait: Awaitable[Any], scope: anyio.CancelScope) -> None:
        with scope:
            try:
                self.ended[name] = await wait
            except (VPSError, LookupError) as error:
                self.ended[name] = error
        self.ended.setdefault(name, "cancelled")
        self._changed.set()
        self._changed = anyio.Event()

    @property
    def ends(self) -> dict[Any, str]:
        """What each has ended with, in a word: the server's status, or the kind of error."""
        return {name: _word(value) for name, value in self.ended.items()}


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return type(value).__name__ if isinstance(value, BaseException) else str(value.status)


def same(keys: Iterable[Any], word: str) -> dict[Any, str]:
    """Return what `Waits.ends` is when all of them have ended alike."""
    return dict.fromkeys(keys, word)


@contextlib.asynccontextmanager
async def waits_of(client: Client, *, seconds: float = 60, **options: Any) -> AsyncIterator[Waits]:
    """Give waits of *client*, which has to be done with all of them within so many real seconds."""
    with anyio.fail_after(seconds):
        async with client, anyio.create_task_group() as group:
            yield Waits(client, group, options)
