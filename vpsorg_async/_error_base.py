"""The base of all errors, the errors of wrong use, and ways to keep errors free of secrets."""

from __future__ import annotations

import pickle

from typing import Any

from ._public import publish


def portable(error: BaseException | None, text: str | None = None) -> BaseException | None:
    """Return a copy of *error* with its type and text alone.

    The traceback, context and request of an error may hold the token. *text* replaces an error's own text, which may
    hold the token too. Errors of this library are returned as they are.
    """
    if error is None or isinstance(error, VPSError):
        return error
    text = str(error) if text is None else text
    try:
        copy = type(error)(text)
    except Exception:  # noqa: BLE001 - a foreign constructor may raise anything
        return RuntimeError(f"{type(error).__qualname__}: {text}")
    return copy


def picklable(error: BaseException | None) -> BaseException | None:
    """Return *error*, or a RuntimeError with its text if it cannot be pickled: its class may be local to a function."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    except Exception:  # noqa: BLE001 - pickling runs a foreign class's code, which may raise anything
        return RuntimeError(f"{type(error).__qualname__}: {error}")
    return error


def _restore(cls: type[VPSError], text: str, state: dict[str, Any], cause: BaseException | None) -> VPSError:
    error = cls.__new__(cls)
    # An OSError whose class has an `__init__` of its own does not set this.
    error.args = (text,)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class VPSError(Exception):
    """The base of all errors of this library.

    Attributes:
        request_summary: the request that the error is about, such as `"POST /servers/"`, or `None`.
    """

    request_summary: str | None = None

    def __init__(self, text: str, *, request_summary: str | None = None) -> None:
        # Only one argument: an OSError, such as a TimeoutError, prints two arguments as "[Errno a] b".
        super().__init__(text)
        self.request_summary = request_summary

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), str(self), self.__dict__.copy(), picklable(portable(self.__cause__)))


class InvalidArgumentError(VPSError, ValueError):
    """An argument has a value that cannot be used. Nothing was sent for it."""


class ConfigurationError(VPSError):
    """The client is misconfigured, or was used in another event loop or process. Nothing was sent."""


publish(VPSError, InvalidArgumentError, ConfigurationError)
