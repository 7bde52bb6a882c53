"""Leaves out what httpx does around a call where nobody asked for it, by private names of httpx.

After `send`, httpx goes on through authentication, hooks, redirects, cookies, a line for its log and an async walk over
a body that is there already. For the SDK's own calls, where nobody hooked in, the transport is asked directly: that
saves a call a tenth of its time. The SDK's own events tell of these calls, so httpx's line is left out on both ways.
This module is the only one that knows these names. Where one is missing, every call takes httpx's own way.
"""

from __future__ import annotations

import logging
import time

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING

from .. import _http as httpx
from .._transport.replaced import IN_THE_CLIENT
from .call import EXTENSION


if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_LOG = logging.getLogger(httpx.PACKAGE)
# The URL of the request of this library that the running task makes by httpx's own way.
_OURS: ContextVar[httpx.URL | None] = ContextVar("_OURS", default=None)
_OF_THE_CLIENT = ("_send_handling_auth", "_transport_for_url")


def missing_names() -> Sequence[str]:
    """Return which of the private names httpx lacks."""
    missing = [f"AsyncClient.{name}" for name in _OF_THE_CLIENT if not hasattr(httpx.AsyncClient, name)]
    made = httpx.Response(200, content=b"")
    return missing + [f"Response.{name}" for name in ("_content", "_request") if not hasattr(made, name)]


class _AlreadyTold(logging.Filter):
    """Leaves out httpx's line about a request of this library, whose own events tell of it. Others' lines pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        ours = _OURS.get()
        # The very object: a hook of this call may make requests with a client of the user's.
        return ours is None or not isinstance(record.args, tuple) or all(one is not ours for one in record.args)


_ALREADY_TOLD = _AlreadyTold()


@contextmanager
def _not_told_again(request: httpx.Request) -> Generator[None]:
    """Keep httpx from logging *request* if it is one of the library's."""
    if EXTENSION not in request.extensions or not _LOG.isEnabledFor(logging.INFO):
        yield
        return
    _LOG.addFilter(_ALREADY_TOLD)
    outer = _OURS.get()
    _OURS.set(request.url)
    try:
        yield
    finally:
        _OURS.set(outer)


class ShortcutClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that takes the short way from `send` to its transport."""

    # Looked up once.
    takes_shortcut = not missing_names()

    async def _send_handling_auth(
        self,
        request: httpx.Request,
        auth: httpx.Auth,
        follow_redirects: bool,  # noqa: FBT001 - httpx's own
        history: list[httpx.Response],
    ) -> httpx.Response:
        if (
            not self.takes_shortcut
            or EXTENSION not in request.extensions
            or type(auth) is not httpx.Auth
            or follow_redirects
            or any(self.event_hooks.values())
            or IN_THE_CLIENT.is_replaced()
        ):
            with _not_told_again(request):
                return await super()._send_handling_auth(request, auth, follow_redirects, history)
        began = time.perf_counter()
        response = await self._transport_for_url(request.url).handle_async_request(request)
        if response._request is None:  # noqa: SLF001 - what this module is for
            # A mock's, in the place of our transport.
            response.request = request
        if isinstance(response.stream, httpx.ByteStream):
            # What `aread` does, at a tenth of its cost. Nobody streams one of these calls.
            response._content = b"".join(response.stream)  # noqa: SLF001 - what this module is for
            response.is_stream_consumed = response.is_closed = True
            response.elapsed = timedelta(seconds=time.perf_counter() - began)
        return response
