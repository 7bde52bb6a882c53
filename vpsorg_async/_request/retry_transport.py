"""Is the httpx transport at the bottom of `client.http`: each request goes through the retry loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _http as httpx
from .._transport.httpx_adapter import HTTPXAdapter
from .._transport.types import Transport
from .attempt import Attempts
from .call import EXTENSION, OBSERVER, RETRY_SAFETY_BY_METHOD, Call, CallOptions, CallState, RetrySafety
from .retry import RetryLoop
from .round_trip import RoundTrips


if TYPE_CHECKING:
    from .._clock import Clock
    from .._events import Events
    from .._lifetime import Lifetime
    from .auth import Authorizer
    from .call_events import Calls
    from .limiter import Limiter


class RetryTransport(httpx.AsyncBaseTransport):
    """Sends a request until there is a response: one attempt, and more if that is safe and the call has time.

    Sits under `httpx.AsyncClient` and on top of any `httpx.AsyncBaseTransport`. What it needs to know of a call travels
    in the request's extensions; a request without that is treated by its method.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        authorizer: Authorizer,
        limiter: Limiter,
        clock: Clock,
        lifetime: Lifetime,
        events: Events,
        calls: Calls,
        options: CallOptions,
    ) -> None:
        self._inner: Transport = inner if isinstance(inner, Transport) else HTTPXAdapter(inner)
        attempts = Attempts(RoundTrips(self._inner), authorizer, limiter, clock, events)
        self._loop = RetryLoop(attempts, clock, lifetime)
        self.budget = self._loop.budget
        self.where = attempts.where
        self._calls = calls
        self._limiter = limiter
        self._clock = clock
        self._lifetime = lifetime
        self._options = options

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the final response to *request*, its body read and decoded; an error status is a response too.

        Raises:
            APIConnectionError: no response came, and the request is safe to repeat, or the client is closed.
            APITimeoutError: the call's time passed.
            UnsettledError: the API may have executed a create or reboot.
            OutcomeUnknownError: the API may have executed another request that must not be sent again.
            ResponseError: the response is too large, or cannot be decoded.
            ConfigurationError: the client cannot be used here, or its token's callable failed.

        Cancellation: ends at once; the connection in use is closed, the turn given back. The request may have been
        carried out (`CallState.maybe_done`).
        """
        state: CallState | None = request.extensions.get(EXTENSION)
        if state is None:
            return await self._foreign(request)
        if (observe := OBSERVER.get()) is None:
            return await self._handle(request, state)
        observe(state)
        # asyncio keeps the context in which a connection was opened, and so all that the observer refers to.
        observed = OBSERVER.set(None)
        try:
            return await self._handle(request, state)
        finally:
            OBSERVER.reset(observed)

    async def _foreign(self, request: httpx.Request) -> httpx.Response:
        """Handle a request that the user of `client.http` has made."""
        request, state = self._with_state(request)
        with self._calls.of(state):
            response = await self.handle_async_request(request)
            state.done = state.error is None
        return response

    async def _handle(self, request: httpx.Request, state: CallState) -> httpx.Response:
        self._lifetime.check()
        if state.options.timeout is not None:
            state.deadline = self._clock.now() + state.options.timeout
        state.url = request.url
        state.ticket = self._limiter.ticket(state.options.share, state.call.kind)
        response = (await self._loop.run(request, state)).response
        if response is None:
            assert state.error is not None
            raise state.error
        return response

    async def aclose(self) -> None:
        """Close the transport underneath."""
        await self._inner.aclose()

    def _with_state(self, request: httpx.Request) -> tuple[httpx.Request, CallState]:
        """Return a copy of *request*, made by hand and not by the SDK, and what is known of its call."""
        safety = RETRY_SAFETY_BY_METHOD.get(request.method, RetrySafety.NEVER)
        state = CallState(Call(method=request.method, path=request.url.path, retry_safety=safety), self._options)
        extensions = {**request.extensions, EXTENSION: state}
        stream, headers = request.stream, request.headers
        return httpx.Request(request.method, request.url, headers=headers, stream=stream, extensions=extensions), state
