"""Names the statuses of a server, the commands between them, and what waits judge by. Pure."""

from __future__ import annotations

import math

from typing import TYPE_CHECKING

import attrs

from .._models import ServerStatus


if TYPE_CHECKING:
    from datetime import datetime

    from .._models import Server

LASTING = frozenset({ServerStatus.ACTIVE, ServerStatus.STOPPED, ServerStatus.SUSPENDED})
"""Statuses in which a server stays until something is done to it."""


@attrs.frozen
class Transition:
    """The statuses of a server before, during and after a command."""

    status_before: ServerStatus | None
    transitional_status: ServerStatus
    status_after: ServerStatus


TRANSITIONS = {
    "create": Transition(None, ServerStatus.PROVISIONING, ServerStatus.ACTIVE),
    "start": Transition(ServerStatus.STOPPED, ServerStatus.STARTING, ServerStatus.ACTIVE),
    "stop": Transition(ServerStatus.ACTIVE, ServerStatus.STOPPING, ServerStatus.STOPPED),
    "reboot": Transition(ServerStatus.ACTIVE, ServerStatus.REBOOTING, ServerStatus.ACTIVE),
}
"""Every status is either lasting or the transitional status of exactly one command.

Source: VPS.org API documentation, "Server statuses".
"""

PASSING: dict[str, ServerStatus] = {
    transition.transitional_status: transition.status_after for transition in TRANSITIONS.values()
}
"""The transitional statuses, and the statuses that they lead to."""

ENDS = frozenset(PASSING.values())
"""The lasting statuses that commands lead to."""

DELETED = "deleted"
"""A status that the API does not document, and that the vendor's newer clients know. It counts as gone."""


@attrs.frozen
class Suspicion:
    """Why an observation is not believed yet: its `updated_at` is older than one that was handed out.

    Attributes:
        newest: the newest `updated_at` that was handed out.
        since: when the first of the observations in a row began that were older.
    """

    newest: datetime
    since: float


@attrs.frozen(kw_only=True)
class Observation:
    """The content of one response about one server.

    Attributes:
        began: when its request began, in seconds on the client's clock.
        ended: when its response had come.
        server: the server as it was shown, or `None` for 404 or 410.
        listed: whether a list showed it. A list lacks some fields.
        known: whether the client had seen the server before.
        suspicion: why the command log and watches do not believe it yet. A wait decides by its own grace.
        date: the API's clock then, from the `Date` of the response; `None` if it is not known.
    """

    began: float
    ended: float
    server: Server | None
    listed: bool = False
    known: bool = True
    suspicion: Suspicion | None = None
    date: datetime | None = None

    @property
    def status(self) -> str | None:
        """The status shown; `None` if the server is gone."""
        return None if self.server is None or self.server.status == DELETED else self.server.status


@attrs.frozen(kw_only=True)
class Baseline:
    """A server before a command.

    Attributes:
        updated_at: the time of its last change, by the API.
        settings: its name, hostname and backups_enabled; `None` if a list showed it, which lacks some of them.
        names: its name and hostname, which lists show too; `None` if they are not known.
    """

    updated_at: datetime | None
    settings: tuple[str | None, str | None, bool | None] | None = None
    names: tuple[str | None, str | None] | None = None


@attrs.frozen(kw_only=True)
class Command:
    """The last command of this client to a server.

    Attributes:
        name: a key of `TRANSITIONS`.
        began: when its request began, in seconds on the client's clock.
        answered: when its response had come, or was given up; infinity while the request is running.
        lost: whether the response was lost, so that nobody knows whether the API executed the command.
        date: the API's clock then, from the `Date` of the response.
        said: the status in the API's response to the command; `""` if it told none.
        baseline: the server in an observation that ended before the command was sent and showed it active, with no
            other change of this client in between.
        disturbed: when the next change of this client to the server began; infinity if there was none.
        old_transition: `updated_at` of an observation from before the command that showed the transitional status
            already: that of an earlier command.
        unclear: whether an earlier command of this client had not been seen to take effect when this one was sent. What
            is seen of the two cannot be told apart.
        bound: when a command of another process became known here; `None` for one of this client.
    """

    name: str
    began: float
    answered: float
    lost: bool = False
    date: datetime | None = None
    said: str = ""
    baseline: Baseline | None = None
    disturbed: float = math.inf
    old_transition: datetime | None = None
    unclear: bool = False
    bound: float | None = None

    @property
    def transitional_status(self) -> ServerStatus:
        """The status of the server during the command."""
        return TRANSITIONS[self.name].transitional_status

    @property
    def status_before(self) -> ServerStatus | None:
        """The status of the server before the command."""
        return TRANSITIONS[self.name].status_before


@attrs.frozen(kw_only=True)
class Goal:
    """The goal of a wait.

    Attributes:
        statuses: the wait ends with any of these; none at all means that the server is to be gone.
        fail_on: any of these puts the goal out of reach.
        grace: a number of seconds. For so long after a create a 404 proves nothing, and for so long after a command
            the status from before it proves nothing.
    """

    statuses: frozenset[str]
    fail_on: frozenset[str] = frozenset({ServerStatus.SUSPENDED})
    grace: float = 15.0

    @property
    def gone(self) -> bool:
        """Whether the goal is that the server no longer exists."""
        return not self.statuses
