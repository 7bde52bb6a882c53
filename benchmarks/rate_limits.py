"""Measures 1,000 calls at once on a slow API: `python -m benchmarks.rate_limits`.

The API accepts 10 calls a second. It refuses the rest with 429 and `Retry-After: 1`, and counts in one of three
ways. Time is the sandbox's, so that the two minutes take a second. The table has the calls that failed, the requests,
the most requests in any second after the first 429, and the seconds on that clock.
"""

from __future__ import annotations

import bisect
import itertools

import anyio
import httpx

from vpsorg_async import Client, VPSError
from vpsorg_async.sandbox._clocks.virtual import VirtualClock


CALLS, A_SECOND, LATENCY = 1_000, 10, 0.006


class LimitedApi(httpx.AsyncBaseTransport):
    """An API that accepts 10 calls a second, by a token bucket or by windows.

    Windows are fixed or sliding.
    """

    def __init__(self, clock: VirtualClock, kind: str) -> None:
        self._clock = clock
        self._kind = kind
        self._level, self._filled_at = float(A_SECOND), 0.0
        self._accepted: list[float] = []
        self.requests: list[tuple[float, bool]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - all are alike
        """Respond to a call, which is counted after half of the latency."""
        with self._clock.answering():
            await self._clock.sleep(LATENCY / 2)
            now = self._clock.now()
            accepted = self._accepts(now)
            self.requests.append((now, accepted))
            if accepted:
                self._accepted.append(now)
            await self._clock.sleep(LATENCY / 2)
            if not accepted:
                return httpx.Response(429, headers={"Retry-After": "1"}, json={"detail": "too many"})
            return httpx.Response(200, json={"id": 7, "name": "web-01", "status": "active"})

    def _accepts(self, now: float) -> bool:
        if self._kind == "bucket":
            self._level = min(float(A_SECOND), self._level + (now - self._filled_at) * A_SECOND)
            self._filled_at = now
            accepted = self._level >= 1
            self._level -= accepted
            return accepted
        begins = float(int(now)) if self._kind == "fixed" else now - 1
        return len(self._accepted) - bisect.bisect_left(self._accepted, begins) < A_SECOND


async def measure(kind: str, connections: int) -> str:
    """Return one line of the table."""
    clock = VirtualClock()
    api = LimitedApi(clock, kind)
    failed = 0
    client = Client._over(
        api, clock, token="t", base_url="http://localhost/api/v1", timeout=180, max_connections=connections
    )

    async def call(number: int) -> None:
        nonlocal failed
        try:
            await client.servers.get(number)
        except VPSError:
            failed += 1

    async with client, anyio.create_task_group() as group:
        for number in range(CALLS):
            group.start_soon(call, number)
    after = [at for at, _ in itertools.dropwhile(lambda request: request[1], api.requests)]
    most = max(bisect.bisect_left(after, at + 1) - place for place, at in enumerate(after))
    return f"{kind:8} {connections:11} {failed:6} {len(api.requests):8} {most:13} {clock.now():7.1f}"


async def main() -> None:
    """Print the table."""
    print("API      connections failed requests most a second seconds")
    for kind in ("bucket", "fixed", "sliding"):
        for connections in (10, 100, 1_000):
            print(await measure(kind, connections))


if __name__ == "__main__":
    anyio.run(main)
