"""Gives the integrations for telemetry the parts of the client that they follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._client import Client


if TYPE_CHECKING:
    from .._context import Context


def context_of(client: object) -> Context:
    """Return what the parts and views of *client* share.

    Raises:
        TypeError: it is no client.
    """
    if not isinstance(client, Client):
        raise TypeError(f"client must be a Client, not {client!r}")
    return client._context  # noqa: SLF001 - of this library
