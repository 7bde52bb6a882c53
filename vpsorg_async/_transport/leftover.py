"""Tells whether bytes came behind the last response that httpcore read, by private names of httpx and httpcore.

httpcore would take such bytes for the next call's response, and tells of them nowhere else. This module is the only one
that knows these names. Where one is missing, nothing can be told, and a connection by way of a proxy is not used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx


def missing_names(transport: httpx.AsyncHTTPTransport) -> Sequence[str]:
    """Return which private names are missing of *transport*, which has a connection that was used once."""
    pool: Any = getattr(transport, "_pool", None)
    if not hasattr(pool, "connections"):
        return ["_pool.connections"]
    if any(_innermost(held) is None for held in pool.connections):
        return ["_connection or _h11_state"]
    return [] if all(_has_trailing(held) for held in pool.connections) else ["_h11_state.trailing_data"]


def has_leftover(transport: httpx.AsyncHTTPTransport) -> bool:
    """Return whether bytes came behind the last response; also where that cannot be told."""
    if missing_names(transport):
        return True
    pool: Any = transport._pool  # noqa: SLF001 - what this module is for
    return any(_innermost(held)._h11_state.trailing_data[0] for held in pool.connections)  # noqa: SLF001 - the same


def _innermost(connection: Any) -> Any:
    """Return the connection that reads HTTP: one by way of a proxy is one around another."""
    while connection is not None and not hasattr(connection, "_h11_state"):
        connection = getattr(connection, "_connection", None)
    return connection


def _has_trailing(connection: Any) -> bool:
    return hasattr(_innermost(connection)._h11_state, "trailing_data")  # noqa: SLF001 - the same
