"""Asks the user's callable for the token: once for all calls that need it at the same time."""

from __future__ import annotations

import copy
import inspect
import re

from contextvars import ContextVar
from typing import TYPE_CHECKING

import anyio
import attrs

from .._cancellation import is_foreign_cancel
from .._errors import ConfigurationError, VPSError, portable
from .._secrets import Hidden
from .masked_token import NO_TOKEN, Secret, header_of, without_frames


if TYPE_CHECKING:
    from collections.abc import Callable

_LIKE_A_TOKEN = re.compile(r"vps_[\w.~+/=-]+")
"""The vendor's tokens begin with `vps_`. Source: the vendor's own clients."""


@attrs.define(eq=False, repr=False)
class _Request:
    """One request for the token: the task that made it shares the result with all who wait for it."""

    number: int
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    # `None` at the end: the task was cancelled, and whoever waits asks again.
    result: Secret | ConfigurationError | None = None


_ASKING: ContextVar[tuple[_Request, ...]] = ContextVar("_ASKING", default=())
"""The requests that this task is inside of: a callable may use another client, which has a callable too."""


class TokenSource:
    """The callable that gives the token.

    Attributes:
        begun: the number of requests for the token so far. A later request has a higher number.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._present: _Request | None = None
        self._last = NO_TOKEN
        self.begun = 0

    @property
    def asks(self) -> bool:
        """Whether the present task is inside the callable, which needs no token for its own requests.

        A task that the callable has begun is so only until the callable returns.
        """
        return self._present is not None and self._present in _ASKING.get()

    async def ask(self, *, after: int = 0) -> Secret:
        """Return the token. A request with a number up to *after* does not count: the API may have refused its token.

        Raises:
            ConfigurationError: the callable raised an error, or gave no usable token.

        Cancellation: ends at once. Another task that waits for the token asks again.
        """
        while (request := self._present) is not None:
            await request.ended.wait()
            if request.result is not None and request.number > after:
                return _result_of(request)
        self.begun += 1
        request = self._present = _Request(self.begun)
        try:
            request.result = await self._asked(request)
        finally:
            # Also on a cancel: the next one asks.
            self._present = None
            request.ended.set()
        return _result_of(request)

    async def _asked(self, request: _Request) -> Secret | ConfigurationError:
        asking = _ASKING.set((*_ASKING.get(), request))
        try:
            given = self._function()
            answer = Hidden(await given if inspect.isawaitable(given) else given)
        except BaseException as error:  # noqa: BLE001 - a cancel of a task that it awaits is a failure of its own
            if not isinstance(error, Exception) and not is_foreign_cancel(error):
                raise without_frames(error) from error.__cause__
            return self._failed(error)
        finally:
            _ASKING.reset(asking)
        try:
            self._last = header_of(answer)
        except ConfigurationError as error:
            return error
        return self._last

    def _failed(self, error: BaseException) -> ConfigurationError:
        """Return the error for one that the callable raised: its text and its frames may hold a token."""
        failure = ConfigurationError(f"the token's callable raised {type(error).__name__}")
        text = _LIKE_A_TOKEN.sub("[token]", self._last.masked_text(str(error)))
        failure.__cause__ = copy.copy(error) if isinstance(error, VPSError) else portable(error, text)
        return failure


def _result_of(request: _Request) -> Secret:
    if isinstance(request.result, ConfigurationError):
        # A copy for each: one error that many tasks raise would gather all their tracebacks.
        failure = copy.copy(request.result)
        failure.__cause__ = request.result.__cause__
        raise failure from failure.__cause__
    assert request.result is not None
    return request.result
