"""Tells whether bytes came behind the last response that httpcore read, by private names of httpx and httpcore.

httpcore would take such bytes for the next call's response, and tells of them nowhere else. They lie in its parser, or
in the buffers of the streams underneath, anyio's or trio's. This module is the only one that knows these names. Where
one of httpx's or httpcore's is missing, nothing can be told, and a connection of httpx's is not used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import _http as httpx


def missing_names(transport: httpx.AsyncHTTPTransport) -> Sequence[str]:
    """Return which private names are missing of *transport*, which has a connection that was used once."""
    pool: Any = getattr(transport, "_pool", None)
    if not hasattr(pool, "connections"):
        return ["_pool.connections"]
    if any(_innermost(held) is None for held in pool.connections):
        return ["_connection or _h11_state"]
    if not all(_has_trailing(held) for held in pool.connections):
        return ["_h11_state.trailing_data"]
    has_stream = all(hasattr(_innermost(held), "_network_stream") for held in pool.connections)
    return [] if has_stream else ["_network_stream"]


def has_leftover(transport: httpx.AsyncHTTPTransport) -> bool:
    """Return whether bytes came behind the last response; also where that cannot be told."""
    if missing_names(transport):
        return True
    pool: Any = transport._pool  # noqa: SLF001 - what this module is for
    return any(
        _innermost(held)._h11_state.trailing_data[0] or _is_buffered(_innermost(held)._network_stream)  # noqa: SLF001
        for held in pool.connections
    )


def _innermost(connection: Any) -> Any:
    """Return the connection that reads HTTP: one by way of a proxy is one around another."""
    while connection is not None and not hasattr(connection, "_h11_state"):
        connection = getattr(connection, "_connection", None)
    return connection


def _is_buffered(stream: Any) -> bool:
    """Return whether *stream*, or one that it stands on, holds bytes that nobody has received."""
    while stream is not None:
        # A TLS session takes from what has come no more than the record that it reads.
        session = getattr(stream, "_ssl_object", None)
        come = getattr(stream, "_read_bio", None) or getattr(stream, "_incoming", None)
        queue = getattr(getattr(stream, "_protocol", None), "read_queue", None)
        if queue or getattr(come, "pending", 0) or (session is not None and session.pending()):
            return True
        below = getattr(stream, "_stream", None) or getattr(stream, "_transport_stream", None)
        stream = below or getattr(stream, "transport_stream", None)
    return False


def _has_trailing(connection: Any) -> bool:
    return hasattr(_innermost(connection)._h11_state, "trailing_data")  # noqa: SLF001 - the same
