"""Lists the events of a client as data: when each happens, how it is logged, and its fields with their types.

The events of a call belong together by their `call`, those of a wait by their `wait`, those of a fleet by their
`fleet`. The numbers are unique in a process, also among several clients. No field holds a token, a query or the body of
a request or a response.
"""

from __future__ import annotations

import logging

from typing import TYPE_CHECKING, NamedTuple


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Field(NamedTuple):
    """A field of events.

    Attributes:
        name: the key in `Event.fields`.
        type: the type of its values.
        meaning: what it tells, for the documentation.
    """

    name: str
    type: str
    meaning: str


# Named tuples: the package imports them, and attrs takes a millisecond to make a class.
class EventKind(NamedTuple):
    """A kind of event.

    Attributes:
        when: when it happens, for the documentation.
        fields: all its fields, in their order.
        level: the level at which the logger gets it.
    """

    when: str
    fields: tuple[Field, ...]
    level: int = logging.DEBUG


_CALL = Field("call", "int", "The number of the call. All events of one call have the same.")
_OF_CALL = Field("call", "int | None", "The number of the call, if it has events.")
_POLL = Field("poll", "int", "The number of the poll, counted by the client.")
_WAIT = Field("wait", "int", "The number of the wait. All events of one wait have the same.")
_OF_WAIT = Field("wait", "int | None", "The wait in whose `on_change` or `when` the call was made.")
_FLEET = Field("fleet", "int", "The number of the fleet's run. All events of one run have the same.")
_OF_FLEET = Field("fleet", "int | None", "The run of a fleet that this belongs to.")

_METHOD = Field("method", "str", "The HTTP method.")
_TEMPLATE = Field("template", "str", "The path with placeholders, such as `/servers/{id}/start/`.")
_SERVER = Field("server", "int | str", "The id of the server.")
_OF_SERVER = Field("server", "int | str | None", "The id of the server, if it is about one.")
_SECONDS = Field("seconds", "float", "How long it took, in seconds.")
_OUTCOME = Field("outcome", "str", '`"done"`, `"cancelled"`, or the name of the error\'s class.')
_GOAL = Field("goal", "str", "What the wait is for, in words.")
_NAME = Field("name", "str", "The name of the server.")
_LOCATION = Field("location", "str", "The location of the server.")
_ACTION = Field("action", "str", 'The action of the fleet, such as `"start"`.')
_ERROR = Field("error", "str | None", "The name of the error's class, if there was an error.")

_OF_A_CALL = (_CALL, _OF_WAIT, _OF_FLEET, _METHOD, _TEMPLATE, _OF_SERVER)
_OF_A_WAIT = (_WAIT, _OF_FLEET, _SERVER)


def _count(name: str, meaning: str) -> Field:
    return Field(name, "int", meaning)


EVENTS: Mapping[str, EventKind] = {
    "call.began": EventKind("A call begins, before it waits for its turn.", _OF_A_CALL),
    "call.attempt": EventKind(
        "A further attempt of a call begins.",
        (
            *_OF_A_CALL,
            Field("number", "int", "Which attempt it is: 2 or more."),
            Field("reason", "str", "Why it was needed, in words."),
        ),
        logging.INFO,
    ),
    "call.paused": EventKind(
        "The API asked a call for a pause, by a 429, or by a 503 with `Retry-After`.",
        (
            *_OF_A_CALL,
            Field("seconds", "float", "How long the pause is for this call, in seconds."),
            Field("reason", "str", "The response that asked for it, in words."),
            Field("whose", "str", "What pauses: `this call`, `reads`, `creates`, `other changes` or `all calls`."),
        ),
        logging.INFO,
    ),
    "call.ended": EventKind(
        "A call has ended, in whatever way. Each call that began has exactly one.",
        (
            *_OF_A_CALL,
            Field("status", "int | None", "The HTTP status of the last attempt. `None`: it got no response."),
            Field("attempts", "int", "How many attempts were made."),
            _SECONDS,
            Field("queued", "float", "How many of the seconds it waited for its turn, pauses of others included."),
            Field("sent", "bool", "Whether the API has executed it, or may have."),
            Field("request_id", "str | None", "The `X-Request-ID` of the last attempt's response."),
            _OUTCOME,
        ),
    ),
    "poll.ended": EventKind(
        "A poll has ended. It serves all waits and watches of the client, and has no `call.*` events.",
        (
            _POLL,
            Field("server", "str | None", "The server that was asked for. `None`: the list was read."),
            Field("servers", "int", "How many servers it has shown."),
            Field("requests", "int", "How many requests it took."),
            _SECONDS,
            Field("failed", "bool", "Whether it failed."),
        ),
    ),
    "wait.began": EventKind(
        "A wait begins.",
        (*_OF_A_WAIT, _GOAL, Field("timeout", "float | None", "Its timeout in seconds. `None`: it has no end.")),
    ),
    "wait.status": EventKind(
        "A wait has seen another status.", (*_OF_A_WAIT, Field("status", "str", "The status of the server."))
    ),
    "wait.ended": EventKind("A wait has ended, in whatever way.", (*_OF_A_WAIT, _GOAL, _OUTCOME, _SECONDS)),
    "watch.failed": EventKind(
        "A watch raises an error, because its polls have failed.",
        (
            Field("servers", "int | None", "How many servers are watched. `None`: all."),
            Field("error", "str", "The name of the error's class."),
            Field("reason", "str", "The text of the error."),
        ),
        logging.INFO,
    ),
    "fleet.began": EventKind(
        "A run of a fleet begins.",
        (_FLEET, _ACTION, _count("total", "How many items it has."), _count("at_once", "How many may be in progress.")),
    ),
    "fleet.item": EventKind(
        "An item of a fleet has ended.",
        (
            _FLEET,
            _ACTION,
            Field("index", "int", "The position of the item, from 0."),
            Field("state", "str", "The state of its outcome."),
            _OF_SERVER,
            _ERROR,
            Field("item", "str", "The outcome in words."),
            _SECONDS,
        ),
    ),
    "fleet.ended": EventKind(
        "A run of a fleet has ended, in whatever way. Each run that began has exactly one.",
        (
            _FLEET,
            _ACTION,
            _count("total", "How many items it has."),
            *(
                _count(state, f"How many items are {state}.")
                for state in ("succeeded", "failed", "pending", "unknown", "skipped")
            ),
            _SECONDS,
            _ERROR,
        ),
    ),
    "create.abandoned": EventKind(
        "A create was cancelled after it was sent. The server may exist.",
        (_OF_CALL, _OF_FLEET, _NAME, _LOCATION),
        logging.WARNING,
    ),
    "create.reconciled": EventKind(
        "The response to a create was lost, and the client has found the new server.",
        (_OF_CALL, _OF_FLEET, _NAME, _LOCATION, _SERVER),
        logging.INFO,
    ),
}
"""Every event."""


def table() -> str:
    """Return the events and their fields as a Markdown table, for the documentation."""
    lines = ["| event | field | type | meaning |", "|---|---|---|---|"]
    for name, kind in EVENTS.items():
        level = f" Logged as {logging.getLevelName(kind.level)}."
        lines.append(f"| **`{name}`** | | | {kind.when}{level} |")
        lines += _rows(kind.fields)
    return "\n".join(lines)


def _rows(fields: Iterable[Field]) -> list[str]:
    return [f"| | `{one.name}` | `{one.type.replace('|', chr(92) + '|')}` | {one.meaning} |" for one in fields]
