"""Opens TCP connections to servers, to find out whether they can be reached."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from typing import Protocol

import anyio


_UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}


class Connector(Protocol):
    """Tries whether a server can be reached. A sandbox's client has one that uses no network."""

    async def open(self, address: str, port: int) -> None:
        """Open a TCP connection to an IP address, and close it at once.

        Raises:
            OSError: it cannot be opened. The `errno` is ENETUNREACH if this machine has no route to the address.

        Cancellation: ends at once, and nothing stays open.
        """


class SystemConnector:
    """Opens connections from this machine, never through a proxy."""

    async def open(self, address: str, port: int) -> None:
        """Open a connection, and close it; see `Connector`."""
        family = _family_of(address)
        with socket.socket(family, socket.SOCK_STREAM) as opened:
            opened.setblocking(False)
            code = opened.connect_ex((address, port))
            if code in _UNDER_WAY:
                await anyio.wait_writable(opened)
                code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == errno.EHOSTUNREACH and not _has_source(family, address):
            code = errno.ENETUNREACH
        if code:
            raise OSError(code, os.strerror(code))


def _family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _has_source(family: socket.AddressFamily, address: str) -> bool:
    """Return whether this machine has an address of its own from which packets to *address* can get there.

    A network whose machines have no public IPv6 address may have a default route all the same, which leads nowhere.
    With IPv4, a private address says nothing, because routers translate it. No packet is sent.
    """
    if family is socket.AF_INET or _is_private(address):
        return True
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return False
        return not _is_private(probe.getsockname()[0])


def _is_private(address: str) -> bool:
    """Return whether an IPv6 address is of a single network: link-local, unique local (RFC 4193) or loopback."""
    ip = ipaddress.IPv6Address(address)
    return ip.is_link_local or ip.is_loopback or ip in _UNIQUE_LOCAL


_UNIQUE_LOCAL = ipaddress.IPv6Network("fc00::/7")
