"""Use a client in a FastAPI or Starlette app: one for the app's life, its errors as answers, its watches as events.

`pip install 'vpsorg-async[fastapi]'` brings FastAPI. A Starlette app needs no extra, and can use all but `ClientDep`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging

from collections.abc import AsyncGenerator, Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Unpack

from .._client import Client
from .._config import ClientOptions, Token
from .._errors import APITimeoutError, ConfigurationError, RateLimitError, VPSError
from .._extras import Needing
from ._problems import errors_in, problem_of_all, retry_after


with Needing("fastapi"):
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import JSONResponse, Response

    from ._change_events import ChangeEvents, change_events


__all__ = ["ChangeEvents", "ClientDep", "change_events", "error_handlers", "lifespan"]

Lifespan: TypeAlias = Callable[[Any], contextlib.AbstractAsyncContextManager[dict[str, Client]]]

_logger = logging.getLogger("vpsorg_async")

_LOGGED = 10
"""The number of errors of a group whose texts go to the log."""


def lifespan(token: Token | None = None, **client_options: Unpack[ClientOptions]) -> Lifespan:
    """Return the lifespan of an app with one client: `FastAPI(lifespan=lifespan())`. It takes `Client`'s arguments.

    The client is made when the app starts, and closed when it stops. It is `request.state.vpsorg`. In a lifespan of
    your own: `async with lifespan()(app) as state: yield {**state, "db": db}`.

    Raises, when the app starts:
        ConfigurationError: there is no token, or another argument cannot be used.
    """

    @contextlib.asynccontextmanager
    async def one_client(_app: Any) -> AsyncGenerator[dict[str, Client]]:
        async with Client(token, **client_options) as client:
            yield {"vpsorg": client}

    return one_client


def _client_of(connection: HTTPConnection) -> Client:
    client = getattr(connection.state, "vpsorg", None)
    if not isinstance(client, Client):
        raise ConfigurationError("the app has no client: give it lifespan=vpsorg_async.integrations.fastapi.lifespan()")
    return client


if TYPE_CHECKING:
    ClientDep: TypeAlias = Annotated[Client, "the client of the app's lifespan"]
else:

    def __getattr__(name: str) -> Any:
        """Make `ClientDep` when it is asked for: it needs FastAPI."""
        if name != "ClientDep":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with Needing("fastapi"):
            fastapi = importlib.import_module("fastapi")
        return Annotated[Client, fastapi.Depends(_client_of)]


def error_handlers(app: Starlette) -> None:
    """Let *app* answer a `VPSError` with a problem (RFC 9457, `application/problem+json`).

    400: an argument that cannot be, or that the API refuses; `fields` names it. 404: no such server. 409: its status
    does not allow it, or a name is there. 503: asked too often, with Retry-After. 504: not in time. 502: anything else
    between this program and the API, such as a refused token. The error itself goes to the log.

    A group of such errors, as `report.raise_for_failures()` and task groups raise it, is answered with the gravest
    status, and `errors` has each different problem once. A group with any other error in it is left to the app, and so
    are all groups if the app has a handler for `ExceptionGroup`.

    Raises:
        TypeError: *app* is no app of Starlette or FastAPI.
    """
    if not isinstance(app, Starlette):
        raise TypeError(f"app must be an app of Starlette or FastAPI, not {app!r}")
    app.add_exception_handler(VPSError, _answer)
    if ExceptionGroup not in app.exception_handlers:
        app.add_exception_handler(ExceptionGroup, _answer)


def _told_with_pause(request: Request, error: VPSError) -> VPSError:
    """Return a `RateLimitError` that says when to come again, for an error of a call that ended in a pause of others.

    Such a call was never sent, so no response has told it how long the pause is.
    """
    client = getattr(request.state, "vpsorg", None)
    unsent = (isinstance(error, APITimeoutError) and error.sent is False) or (
        isinstance(error, RateLimitError) and error.retry_after is None
    )
    if not unsent or not isinstance(client, Client) or not (paused_for := client.stats().paused_for):
        return error
    return RateLimitError(str(error), sent=False, retry_after=max(paused_for.values()))


async def _answer(request: Request, error: Exception) -> Response:
    errors = errors_in(error)
    if not errors or request.scope["type"] != "http":
        raise error
    errors = [_told_with_pause(request, one) for one in errors]
    problem = problem_of_all(errors)
    level = logging.WARNING if problem["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
    _logger.log(level, "answered %s with %d: %s", request.url.path, problem["status"], _in_words(errors))
    unavailable = problem["status"] == HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"Retry-After": str(max(map(retry_after, errors)))} if unavailable else None
    return JSONResponse(problem, problem["status"], headers, media_type="application/problem+json")


def _in_words(errors: Sequence[VPSError]) -> str:
    """Return the texts of *errors* for the log: a fleet may have thousands."""
    texts = "; ".join(map(str, errors[:_LOGGED]))
    return texts if len(errors) <= _LOGGED else f"{texts}; and {len(errors) - _LOGGED} more errors"
