"""What must hold of every run: a pure function from a record of what arrived and what was told to what is wrong.

A record has two sides that do not know of each other. What arrived is told by the servers: requests, whether they were
carried out, how many sockets were open. What was told is what the callers of the client got to hear. A request says
whose it is by a header that the test's own hook puts on it.
"""

from __future__ import annotations

import itertools

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Literal

import attrs


End = Literal["returned", "raised", "cancelled", "running"]

UNKNOWN = "OutcomeUnknownError"
UNSENT = frozenset({"APIConnectionError", "APITimeoutError"})
"""Errors that say by `sent` whether the request may have been carried out."""

_LIMITED, _UNAVAILABLE, _SERVER_ERROR = 429, 503, 500
_TIMEOUT = 408
_LASTING = frozenset({501, 505, 511})
# Kinds of calls that look again and again after good answers; of any other, an answer is the end.
_LOOKING = frozenset({"create", "reboot", "list", "wait", "watch", "fleet", "by name"})


@attrs.frozen(kw_only=True)
class Request:
    """A request as it arrived at a server.

    Attributes:
        call: whose it is; empty where it does not say.
        method: in capitals.
        path: below the base path.
        name: of the server that a create asks for; each create of a record has a name of its own.
        at: when, in seconds of whatever clock the record goes by.
        origin: the server that it came to.
        token: whether it bears the token.
        whole: whether its last byte arrived.
        status: what it was answered with, also if that was lost on its way; 0: nothing, and nothing was done.
        retry_after: whether the response has a `Retry-After`.
        delivered: whether nothing kept the answer from arriving whole.
        spoilt: whether the answer was not the API's own.
        committed: whether the API carried out a change.
        made: the id of the server that it made.
    """

    call: str
    method: str
    path: str
    name: str = ""
    at: float = 0.0
    origin: str = "api"
    token: bool = True
    whole: bool = True
    status: int = 200
    retry_after: bool = False
    delivered: bool = True
    spoilt: bool = False
    committed: bool = False
    made: str = ""

    @property
    def once_only(self) -> bool:
        """Whether it must not be sent again once it may have been carried out."""
        return self.method == "POST" and not self.path.endswith(("/start/", "/stop/"))

    @property
    def refused(self) -> bool:
        """Whether the answer says that nothing was done, and that it may be asked again."""
        return self.whole and (self.status == _LIMITED or (self.status == _UNAVAILABLE and self.retry_after))

    @property
    def final(self) -> bool:
        """Whether the answer ends the call, so that it is not asked again."""
        if not (self.whole and self.delivered and self.status):
            return False
        if self.status >= _SERVER_ERROR:
            return self.status in _LASTING
        return self.status not in (_LIMITED, _TIMEOUT)


@attrs.frozen(kw_only=True)
class Told:
    """What the caller of one call was told.

    Attributes:
        call: which call; those of a fleet's items share it.
        kind: what was called.
        name: of the server that a create asked for.
        began: when.
        end: how it ended.
        server: the id of the server that a create returned.
        error: the class of what was raised.
        sent: what the error's `sent` said.
        slow: whether a try of it was given up for taking too long: then it may not have seen an answer that came.
    """

    call: str
    kind: str
    name: str = ""
    began: float = 0.0
    end: End = "returned"
    server: str = ""
    error: str = ""
    sent: bool = False
    slow: bool = False


@attrs.frozen(kw_only=True)
class Record:
    """One run, of one client.

    Attributes:
        requests: in order of arrival at each server.
        told: one for each call and for each item of a fleet's create.
        sockets: how many connections were open, each time that this was counted.
        max_connections: how many may be.
        closed_at: when `aclose()` had returned and everything sent before it had arrived; `None`: not closed.
        origin: where the token belongs.
    """

    requests: tuple[Request, ...] = attrs.field(default=(), converter=tuple)
    told: tuple[Told, ...] = attrs.field(default=(), converter=tuple)
    sockets: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    max_connections: int = 100
    closed_at: float | None = None
    origin: str = "api"


@attrs.frozen
class Violation:
    """A rule that does not hold, and where."""

    rule: str
    text: str


def violations(record: Record) -> list[Violation]:
    """Return everything that is wrong with *record*."""
    return [Violation(rule, text) for rule, find in RULES.items() for text in find(record)]


def doubled(record: Record) -> Iterator[str]:
    """A create is carried out once."""
    commits = Counter(request.name for request in record.requests if request.made)
    yield from (f"{name}: {times} servers for one create" for name, times in commits.items() if times > 1)


def lost(record: Record) -> Iterator[str]:
    """A server that was made is not reported as not made, nor a reboot that was carried out."""
    creates = {request.name for request in record.requests if request.made}
    reboots = {request.call for request in record.requests if request.committed and _is_reboot(request)}
    for told in record.told:
        if told.end == "raised" and told.error != UNKNOWN:
            if told.kind == "create" and told.name in creates:
                yield f"{told.name}: made, and reported as {told.error}"
            if told.kind == "reboot" and told.call in reboots:
                yield f"call {told.call}: rebooted, and reported as {told.error}"


def invented(record: Record) -> Iterator[str]:
    """A server that a create returns was made for it, and is not another's."""
    made = {(request.name, request.made) for request in record.requests}
    for told in record.told:
        if told.kind == "create" and told.server and (told.name, told.server) not in made:
            yield f"{told.name}: returned server {told.server}, which was not made for it"


def repeated(record: Record) -> Iterator[str]:
    """A create or reboot is not sent again, unless the answer said that it was refused for now."""
    for key, requests in _of_one_call(record).items():
        for before, _ in itertools.pairwise(requests):
            if before.once_only and not before.refused:
                yield f"{key}: sent again after {_ending(before)}"


def insisted(record: Record) -> Iterator[str]:
    """Any other request is not sent again after an answer that is final."""
    told = {one.call: one for one in record.told}
    for key, requests in _of_one_call(record).items():
        call = told.get(key[0])
        looking = call is None or call.slow or (call.kind in _LOOKING and key[1] == "GET")
        for before, _ in itertools.pairwise(requests):
            if before.final and not before.once_only and not looking:
                yield f"{key}: sent again after {_ending(before)}"


def unsent(record: Record) -> Iterator[str]:
    """What was carried out is not said to have never left."""
    committed = {request.call for request in record.requests if request.committed}
    for told in record.told:
        if told.end == "raised" and told.error in UNSENT and not told.sent and told.call in committed and not told.name:
            yield f"call {told.call}: {told.kind} carried out, and reported as {told.error} with sent=False"


def stray(record: Record) -> Iterator[str]:
    """The token goes to the API's own origin alone."""
    for request in record.requests:
        if request.token and request.origin != record.origin:
            yield f"{request.method} {request.path}: the token went to {request.origin}"


def late(record: Record) -> Iterator[str]:
    """Nothing is asked once the client is closed."""
    if record.closed_at is None:
        return
    began_late = {told.call for told in record.told if told.began > record.closed_at}
    for request in record.requests:
        if request.at > record.closed_at or request.call in began_late:
            yield f"{request.method} {request.path}: asked after aclose() had returned"


def crowded(record: Record) -> Iterator[str]:
    """No more sockets are open than the client may have."""
    most = max(record.sockets, default=0)
    if most > record.max_connections:
        yield f"{most} sockets at once, where {record.max_connections} are allowed"


def hung(record: Record) -> Iterator[str]:
    """Every call ends."""
    yield from (f"call {told.call}: {told.kind} has not ended" for told in record.told if told.end == "running")


RULES: dict[str, Callable[[Record], Iterator[str]]] = {
    "doubled": doubled,
    "lost": lost,
    "invented": invented,
    "repeated": repeated,
    "insisted": insisted,
    "unsent": unsent,
    "stray": stray,
    "late": late,
    "crowded": crowded,
    "hung": hung,
}
"""By the name under which a violation is reported."""


def tally(record: Record) -> Counter[str]:
    """Return how many creates were committed, and as what they were reported.

    `unknown in spite of a listing` counts those of the unknown whose own call was answered with a whole and unspoilt
    page of the list after the commit: the API had answered again.
    """
    counts: Counter[str] = Counter()
    told = {one.name: one for one in record.told if one.kind == "create"}
    broken = violations(record)
    counts["lost"] = sum(violation.rule in ("lost", "invented") for violation in broken)
    counts["doubled"] = sum(violation.rule == "doubled" for violation in broken)
    for number, request in enumerate(record.requests):
        one = told.get(request.name)
        if not request.made or one is None:
            continue
        counts["committed"] += 1
        if one.end == "raised" and one.error == UNKNOWN:
            counts["unknown"] += 1
            counts["unknown in spite of a listing"] += any(
                _is_listing(later) and later.call == request.call for later in record.requests[number + 1 :]
            )
        else:
            counts[one.end] += 1
    return counts


def _is_listing(request: Request) -> bool:
    whole = request.final and not request.spoilt and request.status == 200
    return whole and (request.method, request.path) == ("GET", "/servers/")


def _is_reboot(request: Request) -> bool:
    return request.path.endswith("/reboot/")


def _of_one_call(record: Record) -> dict[tuple[str, str, str, str], list[Request]]:
    """Return the requests that ask the same for the same call, in order of arrival."""
    grouped = defaultdict(list)
    for request in record.requests:
        if request.call:
            grouped[request.call, request.method, request.path, request.name].append(request)
    return grouped


def _ending(request: Request) -> str:
    if not request.whole:
        return "a part of it had left"
    return f"an answer {request.status}" if request.status else "no answer"
