"""The clients of the table: this library, httpx with tenacity, and a published SDK."""

from __future__ import annotations

import ssl
import time

from collections.abc import Iterable
from typing import Any, Protocol

import anyio
import httpx
import tenacity

from tests.chaos.trials import ATTEMPT_SECONDS, CALL_SECONDS, WAIT_SECONDS
from vpsorg_async import (
    APIConnectionError,
    APIStatusError,
    Client,
    OutcomeUnknownError,
    PollPolicy,
    ResponseError,
    RetryPolicy,
)
from vpsorg_async._policies import SHORTEST_INTERVAL


TOKEN = "vps_sandbox"
SPEC = {"plan_id": 1, "os_id": 5, "location": "us-west"}

TLS = ssl.create_default_context()
"""One TLS context for the other clients. They use plain HTTP, and each would take 30 ms to make its own."""

DEFAULT_RETRY, DEFAULT_POLL = RetryPolicy(), PollPolicy()
TENTH = 0.1


class Contender(Protocol):
    """One client of the API, for one event loop.

    *speed* is the seconds of the API in one real second.
    """

    name: str

    def __init__(self, base_url: str, speed: float) -> None: ...

    async def create(self, name: str) -> int:
        """Create a server, and return its id."""

    async def command(self, server_id: int, verb: str) -> None: ...

    async def delete(self, server_id: int) -> None: ...

    async def list(self) -> Iterable[int]:
        """Return the ids of all servers."""

    async def wait(self, server_id: int) -> None:
        """Return when the server is active."""

    def says_not_done(self, error: Exception) -> bool:
        """Whether *error* says that nothing was executed, and does not leave the outcome open."""

    async def close(self) -> None: ...


def says_not_done(status: int) -> bool:
    """Return whether *status* says that nothing was executed: a 5xx does not."""
    return status < 500


class Library:
    """This library, with a tenth of its default times."""

    name = "vpsorg_async"

    def __init__(self, base_url: str, speed: float) -> None:
        self._poll = PollPolicy(
            minimum=max(SHORTEST_INTERVAL, DEFAULT_POLL.minimum / speed),
            maximum=max(SHORTEST_INTERVAL, DEFAULT_POLL.maximum / speed),
            grace=DEFAULT_POLL.grace / speed,
        )
        self._client = Client(
            TOKEN,
            base_url=base_url,
            timeout=CALL_SECONDS,
            attempt_timeout=ATTEMPT_SECONDS,
            retry=RetryPolicy(initial=DEFAULT_RETRY.initial * TENTH, maximum=DEFAULT_RETRY.maximum * TENTH),
        )

    async def create(self, name: str) -> Any:
        return (await self._client.servers.create(name=name, **SPEC)).id

    async def command(self, server_id: int, verb: str) -> None:
        await getattr(self._client.servers, verb)(server_id)

    async def delete(self, server_id: int) -> None:
        await self._client.servers.delete(server_id)

    async def list(self) -> list[Any]:
        return [server.id for server in await self._client.servers.list()]

    async def wait(self, server_id: int) -> None:
        await self._client.servers.wait_until(server_id, status="active", timeout=WAIT_SECONDS, poll=self._poll)

    def says_not_done(self, error: Exception) -> bool:
        match error:
            case APIStatusError():
                return says_not_done(error.status_code)
            case OutcomeUnknownError() | ResponseError():
                return False
            case APIConnectionError():
                return not error.sent
        return True

    async def close(self) -> None:
        await self._client.aclose()


class _HandWritten:
    """The code that programs add to a plain HTTP client: a loop over pages, and a loop of GETs."""

    def __init__(self, speed: float) -> None:
        self._between_polls = DEFAULT_POLL.maximum / speed

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request, and return the response's JSON, or `None` if it is empty."""
        raise NotImplementedError

    async def create(self, name: str) -> Any:
        return (await self.send("POST", "/servers/", {"name": name, **SPEC}))["id"]

    async def command(self, server_id: int, verb: str) -> None:
        await self.send("POST", f"/servers/{server_id}/{verb}/")

    async def delete(self, server_id: int) -> None:
        await self.send("DELETE", f"/servers/{server_id}/")

    async def list(self) -> list[Any]:
        ids, url = [], "/servers/?page_size=100"
        while url:
            page = await self.send("GET", url)
            ids += [server["id"] for server in page["results"]]
            url = page.get("next")
        return ids

    async def wait(self, server_id: int) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while (await self.send("GET", f"/servers/{server_id}/"))["status"] != "active":
            if time.monotonic() > deadline:
                raise TimeoutError(f"server {server_id} is not active")
            await anyio.sleep(self._between_polls)


class Tenacity(_HandWritten):
    """httpx with tenacity: four attempts for every `httpx.HTTPError`, with pauses that double."""

    name = "httpx + tenacity"

    def __init__(self, base_url: str, speed: float) -> None:
        super().__init__(speed)
        self._http = httpx.AsyncClient(
            base_url=base_url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=ATTEMPT_SECONDS, verify=TLS
        )

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(multiplier=TENTH, max=10 * TENTH),
        retry=tenacity.retry_if_exception_type(httpx.HTTPError),
        reraise=True,
    )
    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        response = await self._http.request(method, path, json=body)
        response.raise_for_status()
        return response.json() if response.content else None

    def says_not_done(self, error: Exception) -> bool:
        if isinstance(error, httpx.HTTPStatusError):
            return says_not_done(error.response.status_code)
        return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)

    async def close(self) -> None:
        await self._http.aclose()


class PublishedSDK(_HandWritten):
    """The `openai` package through its `get`, `post` and `delete`, with default retries.

    It is imported in `__init__`: the tests of the table's own code do not need it.
    """

    name = "openai"

    def __init__(self, base_url: str, speed: float) -> None:
        import httpx2
        import openai

        super().__init__(speed)
        self._raw = httpx2.Response
        self._status_error = openai.APIStatusError
        self._client = openai.AsyncOpenAI(
            api_key=TOKEN,
            base_url=base_url,
            timeout=ATTEMPT_SECONDS,
            http_client=openai.DefaultAsyncHttpxClient(verify=TLS),
        )

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        given = {} if body is None else {"body": body}
        response = await getattr(self._client, method.lower())(path, cast_to=self._raw, **given)
        return response.json() if response.content else None

    def says_not_done(self, error: Exception) -> bool:
        return isinstance(error, self._status_error) and says_not_done(error.status_code)

    async def close(self) -> None:
        await self._client.close()


CONTENDERS: tuple[type[Contender], ...] = (Library, Tenacity, PublishedSDK)
