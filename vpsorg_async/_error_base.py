"""The base of all errors, the error of a misconfigured client, and what keeps errors free of secrets."""

from __future__ import annotations

import pickle

from typing import Any


def portable(error: BaseException | None, text: str | None = None) -> BaseException | None:
    """Return *error* as its type and text alone: no traceback, context or request, which may hold the token.

    *text* stands in for an error's own that may hold the token as well.

    Errors of this library are returned as they are.
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
    """Return *error*, or its text where pickle does not know its class: one made in a function, say."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    except Exception:  # noqa: BLE001 - pickling runs a foreign class's code, which may raise anything
        return RuntimeError(f"{type(error).__qualname__}: {error}")
    return error


def _restore(cls: type[VPSError], text: str, state: dict[str, Any], cause: BaseException | None) -> VPSError:
    error = cls.__new__(cls)
    # An OSError with an `__init__` of its own leaves this to that.
    error.args = (text,)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class VPSError(Exception):
    """The base of everything that this library raises of its own.

    Attributes:
        request_summary: the request it is about, such as `"POST /servers/"`, or `None` where there was none.
    """

    request_summary: str | None = None

    def __init__(self, text: str, *, request_summary: str | None = None) -> None:
        # One argument only: an OSError (TimeoutError is one) prints two as "[Errno a] b".
        super().__init__(text)
        self.request_summary = request_summary

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), str(self), self.__dict__.copy(), picklable(portable(self.__cause__)))


class ConfigurationError(VPSError):
    """The client cannot be used as it was set up, or not here: nothing was sent."""
