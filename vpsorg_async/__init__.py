"""The async Python SDK for VPS.org's servers API."""

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
from ._fleet import Fleet, FleetRun
from ._lifecycle import StatusSeen
from ._models import Action, OperatingSystem, Plan, ResourceUsage, Server, ServerRef, ServerStatus, StatusName
from ._paging import ServerList
from ._policies import NOT_GIVEN, PollPolicy, RetryPolicy
from ._reports import FleetReport, Outcome, Progress, ServerSpec
from ._version import __version__
from ._watching import ServerChange


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
