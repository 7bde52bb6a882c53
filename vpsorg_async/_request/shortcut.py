"""Leaves out what httpx does around a call where nobody asked for it, by private names of httpx.

After `send`, httpx goes on through authentication, hooks, redirects, cookies, a line for its log and an async walk over
a body that is there already. For the SDK's own calls, where nobody hooked in, the transport is asked directly: that
saves a call a tenth of its time. This module is the only one that knows these names. Where one is missing, every call
takes httpx's own way.
"""

from __future__ import annotations

import logging
import time

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx

from .call import EXTENSION


if TYPE_CHECKING:
    from collections.abc import Sequence

_LOG = logging.getLogger("httpx")
_OF_THE_CLIENT = ("_send_handling_auth", "_transport_for_url")


def missing_names() -> Sequence[str]:
    """Return which of the private names httpx lacks."""
    missing = [f"AsyncClient.{name}" for name in _OF_THE_CLIENT if not hasattr(httpx.AsyncClient, name)]
    return missing if hasattr(httpx.Response(200, content=b""), "_content") else [*missing, "Response._content"]


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
            or _LOG.isEnabledFor(logging.INFO)
        ):
            return await super()._send_handling_auth(request, auth, follow_redirects, history)
        began = time.perf_counter()
        response = await self._transport_for_url(request.url).handle_async_request(request)
        if isinstance(response.stream, httpx.ByteStream):
            # What `aread` does, at a tenth of its cost. Nobody streams one of these calls.
            response._content = b"".join(response.stream)  # noqa: SLF001 - what this module is for
            response.is_stream_consumed = response.is_closed = True
            response.elapsed = timedelta(seconds=time.perf_counter() - began)
        return response
