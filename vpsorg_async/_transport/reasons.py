"""Says in a few words why a connection failed, from what was raised, and what that came from."""

from __future__ import annotations

import errno
import re
import socket
import ssl

from typing import TYPE_CHECKING

import anyio


if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOSED = "closed by the other side"
_BY_NUMBER = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset by the other side",
    errno.ECONNABORTED: "aborted",
    errno.EPIPE: _CLOSED,
    errno.ETIMEDOUT: "timed out",
    errno.ENETUNREACH: "no route to the network",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETDOWN: "the network is down",
    errno.EACCES: "not permitted on this machine",
    errno.EPERM: "not permitted on this machine",
    errno.EMFILE: "the process has no free file descriptor",
    errno.ENFILE: "the machine has no free file descriptor",
    errno.EADDRNOTAVAIL: "this machine has no address or port left for it",
}
_NO_COMMON_VERSION = "the two sides have no version of TLS in common"
# OpenSSL's names of what may go wrong, whose own words tell only those who know TLS.
_BY_TLS = {
    "UNEXPECTED_EOF_WHILE_READING": _CLOSED,
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_COMMON_VERSION,
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_VERSION,
    "TLSV1_UNRECOGNIZED_NAME": "it has no host of this name",
}
_UNRESOLVED = {socket.EAI_AGAIN: "unresolved: the name server gives no answer about its name"}
# What says nothing by itself: anyio's and httpcore's word for several attempts.
_EMPTY = frozenset({"", "All connection attempts failed", "all attempts to connect failed"})
_DEPTH = 20

_CERTIFICATE_ALERTS = {
    41: "NO_CERTIFICATE",
    42: "BAD_CERTIFICATE",
    43: "UNSUPPORTED_CERTIFICATE",
    44: "CERTIFICATE_REVOKED",
    45: "CERTIFICATE_EXPIRED",
    46: "CERTIFICATE_UNKNOWN",
    47: "ILLEGAL_PARAMETER",
    48: "UNKNOWN_CA",
    49: "ACCESS_DENIED",
    51: "DECRYPT_ERROR",
    113: "BAD_CERTIFICATE_STATUS_RESPONSE",
    114: "BAD_CERTIFICATE_HASH_VALUE",
    115: "UNKNOWN_PSK_IDENTITY",
    116: "CERTIFICATE_REQUIRED",
}
"""By these alerts a TLS server refuses a client's certificate, or the want of one (RFC 8446, 6.2; RFC 5246, 7.2)."""

_HANDSHAKE_FAILURE = "HANDSHAKE_FAILURE"
_ALERT_NAME = re.compile(r"(?:SSLV3|TLSV13?)_(?:ALERT_)?([A-Z_]+)")
# OpenSSL counts a peer's alerts from 1000; one that Python has no name for comes as a number.
_ALERT_NUMBER = re.compile(r"reason\(1(\d{3})\)")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield *error* and what it came from, the nearest first."""
    waiting, seen = [error], 0
    while waiting and seen < _DEPTH:
        found = waiting.pop(0)
        if found is not None:
            seen += 1
            yield found
            waiting += [found.__cause__ or found.__context__, *getattr(found, "exceptions", ())]


def reason_of(error: BaseException) -> str:
    """Return why it failed, such as "refused"; *error* in its own words where nothing better is known."""
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return _UNRESOLVED.get(cause.errno or 0, "unresolved: its name is unknown")
        if isinstance(cause, UnicodeError):
            return "unresolved: its name is none that a host can have"
        if isinstance(cause, (anyio.EndOfStream, ssl.SSLZeroReturnError)):
            return _CLOSED
        if isinstance(cause, ssl.SSLError):
            if cause.reason in _BY_TLS:
                return _BY_TLS[cause.reason]
        elif isinstance(cause, OSError) and cause.errno in _BY_NUMBER:
            return _BY_NUMBER[cause.errno]
    return next((text for cause in causes(error) if (text := str(cause)) not in _EMPTY), type(error).__name__)


def certificate_alert(error: BaseException, *, in_handshake: bool = False) -> str:
    """Return the alert by which the server refused this side's certificate, in words; empty: it was none of those.

    Before TLS 1.3 the want of a certificate is one of the reasons for the alert 40, within the handshake.
    """
    alerts = {*_CERTIFICATE_ALERTS.values(), _HANDSHAKE_FAILURE} if in_handshake else _CERTIFICATE_ALERTS.values()
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError) and (name := _alert_of(cause)) in alerts:
            return name.lower().replace("_", " ")
    return ""


def _alert_of(error: ssl.SSLError) -> str:
    if number := _ALERT_NUMBER.search(str(error)):
        return _CERTIFICATE_ALERTS.get(int(number[1]), "")
    named = _ALERT_NAME.search((error.reason or str(error)).upper().replace(" ", "_"))
    return named[1].strip("_") if named else ""
