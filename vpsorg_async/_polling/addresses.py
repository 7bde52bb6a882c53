"""Decides which addresses of a server to try to reach, and what failed attempts say. Pure."""

from __future__ import annotations

import errno
import ipaddress

from typing import TYPE_CHECKING

from .._error_base import InvalidArgumentError


if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._models import Server

LAST_PORT = 65_535

NO_ROUTE = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""The system's words for "this machine cannot send there". EHOSTUNREACH is none of them: a router far away says so of
a server that is not up yet."""


def checked_port(port: object) -> int:
    """Return the number of a TCP port.

    Raises:
        TypeError: *port* is no int.
        InvalidArgumentError: there is no such port.
    """
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be an int, not {port!r}")
    if not 1 <= port <= LAST_PORT:
        raise InvalidArgumentError(f"port={port}: give 1 to {LAST_PORT}")
    return int(port)


def addresses_of(server: Server) -> tuple[str, ...]:
    """Return the server's IPv4 and IPv6 address, as far as it has them.

    What is no IP address is left out, and so is `0.0.0.0`, a placeholder that would lead to this machine.
    """
    found = {_read(text): None for text in (server.ip_address, server.ipv6_address)}
    return tuple(address for address in found if address is not None)


def _read(text: str | None) -> str | None:
    """Return an IP address in its usual form, without the length of a prefix."""
    try:
        address = None if text is None else ipaddress.ip_interface(text.strip()).ip
    except ValueError:
        return None
    return None if address is None or address.is_unspecified else str(address)


def no_route(failures: Mapping[str, OSError | None]) -> bool:
    """Return whether this machine has no route to any of the addresses; `None` is an attempt without an answer."""
    return bool(failures) and all(error is not None and error.errno in NO_ROUTE for error in failures.values())


def words_of(failures: Mapping[str, OSError | None], port: int) -> str:
    """Return in words how the attempts to reach the addresses failed."""
    return ", ".join(f"{end_point(address, port)} {_reason(error)}" for address, error in failures.items())


def end_point(address: str, port: int) -> str:
    """Return address and port as they are usually written together."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _reason(error: OSError | None) -> str:
    if error is None or isinstance(error, TimeoutError):
        return "did not answer"
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if error.errno in NO_ROUTE:
        return f"has no route from this machine ({_text(error)})"
    return f"failed ({_text(error)})"


def _text(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
