"""The async Python SDK for VPS.org's servers API."""

import importlib
import typing

from ._client import Client
from ._errors import (
    AmbiguousNameError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    InsufficientCreditsError,
    InvalidArgumentError,
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
    WaitFailedError,
    WaitTimeoutError,
)
from ._events import Event
from ._models import (
    Action,
    OperatingSystem,
    Plan,
    ResourceUsage,
    Server,
    ServerId,
    ServerRef,
    ServerSpec,
    ServerStatus,
    StatusGoal,
    StatusName,
    StatusSeen,
)
from ._policies import NOT_GIVEN, PollPolicy, RetryPolicy
from ._stats import ClientStats
from ._version import __version__


if typing.TYPE_CHECKING:
    from ._catalogue.models import Account, Location, TokenInfo
    from ._fleet.fleet import Fleet
    from ._fleet.preview import EnsureConflict, EnsureConflictError, EnsurePreview
    from ._fleet.report import FleetReport, Outcome, Progress
    from ._fleet.run import FleetRun
    from ._pagination import ServerList
    from ._polling.changes import ServerChange
    from ._polling.watching import ServerWatch
    from ._servers import Servers


__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Account",
    "Action",
    "AmbiguousNameError",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ClientClosedError",
    "ClientStats",
    "ConfigurationError",
    "EnsureConflict",
    "EnsureConflictError",
    "EnsurePreview",
    "Event",
    "Fleet",
    "FleetReport",
    "FleetRun",
    "InsufficientCreditsError",
    "InvalidArgumentError",
    "Location",
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
    "ServerId",
    "ServerList",
    "ServerRef",
    "ServerSpec",
    "ServerStatus",
    "ServerWatch",
    "Servers",
    "StateConflictError",
    "StatusGoal",
    "StatusName",
    "StatusSeen",
    "TokenInfo",
    "UnexpectedStatusError",
    "VPSError",
    "WaitError",
    "WaitFailedError",
    "WaitTimeoutError",
    "__version__",
]

# What comes with the first client anyway, and is not needed to import one.
_LATER = {
    "Account": "_catalogue.reading",
    "EnsureConflict": "_fleet.preview",
    "EnsureConflictError": "_fleet.preview",
    "EnsurePreview": "_fleet.preview",
    "Fleet": "_fleet.fleet",
    "FleetReport": "_fleet.report",
    "FleetRun": "_fleet.run",
    "Location": "_catalogue.reading",
    "Outcome": "_fleet.report",
    "Progress": "_fleet.report",
    "ServerChange": "_polling.changes",
    "ServerList": "_pagination",
    "ServerWatch": "_polling.watching",
    "Servers": "_servers",
    "TokenInfo": "_catalogue.reading",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
