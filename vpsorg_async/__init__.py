"""The async Python SDK for VPS.org's servers API."""

import importlib
import typing

from ._client import Client
from ._errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    InsufficientCreditsError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    ServerGoneError,
    StateConflictError,
    UnexpectedStatusError,
    VPSError,
    WaitError,
    WaitTimeoutError,
)
from ._events import Event
from ._models import (
    Action,
    OperatingSystem,
    Plan,
    ResourceUsage,
    Server,
    ServerRef,
    ServerSpec,
    ServerStatus,
    StatusName,
    StatusSeen,
)
from ._policies import NOT_GIVEN, PollPolicy, RetryPolicy
from ._version import __version__


if typing.TYPE_CHECKING:
    from ._fleet.fleet import Fleet
    from ._fleet.report import FleetReport, Outcome, Progress
    from ._fleet.run import FleetRun
    from ._pagination import ServerList
    from ._polling.watching import ServerChange


__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Action",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConfigurationError",
    "Event",
    "Fleet",
    "FleetReport",
    "FleetRun",
    "InsufficientCreditsError",
    "NotFoundError",
    "OperatingSystem",
    "Outcome",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "Plan",
    "PollPolicy",
    "Progress",
    "RateLimitError",
    "ResourceUsage",
    "ResponseError",
    "RetryPolicy",
    "Server",
    "ServerChange",
    "ServerError",
    "ServerGoneError",
    "ServerList",
    "ServerRef",
    "ServerSpec",
    "ServerStatus",
    "StateConflictError",
    "StatusName",
    "StatusSeen",
    "UnexpectedStatusError",
    "VPSError",
    "WaitError",
    "WaitTimeoutError",
    "__version__",
]

# What comes with the first client anyway, and is not needed to import one.
_LATER = {
    "Fleet": "_fleet.fleet",
    "FleetReport": "_fleet.report",
    "FleetRun": "_fleet.run",
    "Outcome": "_fleet.report",
    "Progress": "_fleet.report",
    "ServerChange": "_polling.watching",
    "ServerList": "_pagination",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
