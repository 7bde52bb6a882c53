"""Finds the rules that a run of the client breaks. Pure.

A record has two independent sides. The servers record what arrived: requests, whether they were executed, and how many
sockets were open. The callers of the client record what they were told. A header names the call of each request. A hook
of the tests sets that header.
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
"""Errors whose `sent` says whether the request may have been executed."""

_LIMITED, _UNAVAILABLE, _SERVER_ERROR = 429, 503, 500
_TIMEOUT = 408
_LASTING = frozenset({501, 505, 511})
# Kinds of calls that poll again after good responses. A final response ends every other call.
_POLLING = frozenset({"create", "reboot", "list", "wait", "watch", "fleet", "by name"})


@attrs.frozen(kw_only=True)
class Request:
    """A request as it arrived at a server.

    Attributes:
        call: the id of its call; empty if it names none.
        method: the method in capitals.
        path: the path below the base path.
        name: the server's name in a create; each create of a record has its own name.
        at: the time of its arrival, in seconds of the record's clock.
        origin: the server that received it.
        token: whether it has the token.
        whole: whether its last byte arrived.
        status: the status of the response, even if that was lost; 0: no response, and nothing was executed.
        retry_after: whether the response has a `Retry-After`.
        delivered: whether nothing kept the response from arriving whole.
        lost: whether the response cannot have arrived. One that was only late is neither delivered nor lost.
        spoilt: whether the response was not the API's own.
        committed: whether the API executed a change.
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
    lost: bool = False
    spoilt: bool = False
    committed: bool = False
    made: str = ""

    @property
    def once_only(self) -> bool:
        """Whether it must not be sent again if it may have been executed."""
        return self.method == "POST" and not self.path.endswith(("/start/", "/stop/"))

    @property
    def refused(self) -> bool:
        """Whether the response says that nothing was executed, and that it may be sent again."""
        return self.whole and (self.status == _LIMITED or (self.status == _UNAVAILABLE and self.retry_after))

    @property
    def final(self) -> bool:
        """Whether the response ends the call, so that the request is not sent again."""
        if not (self.whole and self.delivered and self.status):
            return False
        if self.status >= _SERVER_ERROR:
            return self.status in _LASTING
        return self.status not in (_LIMITED, _TIMEOUT)


@attrs.frozen(kw_only=True)
class Told:
    """The result of one call, as its caller got it.

    Attributes:
        call: the id of the call; all items of a fleet have the same.
        kind: the operation.
        name: the server's name in a create.
        began: the time at which the call began.
        end: how it ended.
        server: the id of the server that a create returned.
        error: the class of the error that was raised.
        sent: the error's `sent`.
        slow: whether one of its attempts was too slow and was given up; it may have missed a response then.
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
    """One run of one client.

    Attributes:
        requests: the requests in order of arrival at each server.
        told: one entry for each call, and for each item of a fleet's create.
        sockets: the numbers of open connections, each time they were counted.
        max_connections: the most connections that may be open.
        closed_at: the time at which `aclose()` had returned and every earlier request had arrived; `None`: not closed.
        origin: the only origin that may get the token.
    """

    requests: tuple[Request, ...] = attrs.field(default=(), converter=tuple)
    told: tuple[Told, ...] = attrs.field(default=(), converter=tuple)
    sockets: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    max_connections: int = 100
    closed_at: float | None = None
    origin: str = "api"


@attrs.frozen
class Violation:
    """A broken rule, and the place."""

    rule: str
    text: str


def violations(record: Record) -> list[Violation]:
    """Return every violation of a rule in *record*."""
    return [Violation(rule, text) for rule, find in RULES.items() for text in find(record)]


def doubled(record: Record) -> Iterator[str]:
    """Find creates that were executed more than once."""
    commits = Counter(request.name for request in record.requests if request.made)
    yield from (f"{name}: {times} servers for one create" for name, times in commits.items() if times > 1)


def lost(record: Record) -> Iterator[str]:
    """Find creates and reboots that were executed, and reported as not executed."""
    creates = {request.name for request in record.requests if request.made}
    reboots = {request.call for request in record.requests if request.committed and _is_reboot(request)}
    for told in record.told:
        if told.end == "raised" and told.error != UNKNOWN:
            if told.kind == "create" and told.name in creates:
                yield f"{told.name}: made, and reported as {told.error}"
            if told.kind == "reboot" and told.call in reboots:
                yield f"call {told.call}: rebooted, and reported as {told.error}"


def invented(record: Record) -> Iterator[str]:
    """Find creates that returned a server of another call."""
    made = {(request.name, request.made) for request in record.requests}
    for told in record.told:
        if told.kind == "create" and told.server and (told.name, told.server) not in made:
            yield f"{told.name}: returned server {told.server}, which was not made for it"


def repeated(record: Record) -> Iterator[str]:
    """Find creates and reboots that were sent again, except after a temporary refusal."""
    for key, requests in _of_one_call(record).items():
        for before, _ in itertools.pairwise(requests):
            if before.once_only and not before.refused:
                yield f"{key}: sent again after {_ending(before)}"


def insisted(record: Record) -> Iterator[str]:
    """Find other requests that were sent again after a final response."""
    told = {one.call: one for one in record.told}
    for key, requests in _of_one_call(record).items():
        call = told.get(key[0])
        polling = call is None or call.slow or (call.kind in _POLLING and key[1] == "GET")
        for number, (before, again) in enumerate(itertools.pairwise(requests)):
            if before.final and not before.once_only and not polling:
                in_doubt = call.kind == "fleet" and not all(request.final for request in requests[:number])
                if not (in_doubt and _looked_between(record, before, again)):
                    yield f"{key}: sent again after {_ending(before)}"


def unsent(record: Record) -> Iterator[str]:
    """Find executed requests that were reported as never sent."""
    committed = {request.call for request in record.requests if request.committed}
    for told in record.told:
        if told.end == "raised" and told.error in UNSENT and not told.sent and told.call in committed and not told.name:
            yield f"call {told.call}: {told.kind} executed, and reported as {told.error} with sent=False"


def stray(record: Record) -> Iterator[str]:
    """Find tokens that went to another origin than the API's."""
    for request in record.requests:
        if request.token and request.origin != record.origin:
            yield f"{request.method} {request.path}: the token went to {request.origin}"


def late(record: Record) -> Iterator[str]:
    """Find requests that were sent after the client was closed."""
    if record.closed_at is None:
        return
    began_late = {told.call for told in record.told if told.began > record.closed_at}
    for request in record.requests:
        if request.at > record.closed_at or request.call in began_late:
            yield f"{request.method} {request.path}: sent after aclose() had returned"


def crowded(record: Record) -> Iterator[str]:
    """Find times at which more sockets were open than the client may have."""
    most = max(record.sockets, default=0)
    if most > record.max_connections:
        yield f"{most} sockets at once, where {record.max_connections} are allowed"


def hung(record: Record) -> Iterator[str]:
    """Find calls that have not ended."""
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
"""The rules by the name under which a violation is reported."""


def tally(record: Record) -> Counter[str]:
    """Return how many creates were committed, and how they were reported.

    `unknown despite a listing` counts unknown creates whose own call got a whole and unspoilt page of the list after
    the commit: the API had responded again. The items of a fleet have one call together, so that nobody can tell for
    whom a page came; `committed alone` counts the other creates.
    """
    counts: Counter[str] = Counter()
    told = {one.name: one for one in record.told if one.kind == "create"}
    creates_of = Counter(one.call for one in told.values())
    broken = violations(record)
    counts["lost"] = sum(violation.rule in ("lost", "invented") for violation in broken)
    counts["doubled"] = sum(violation.rule == "doubled" for violation in broken)
    for number, request in enumerate(record.requests):
        one = told.get(request.name)
        if not request.made or one is None:
            continue
        alone = creates_of[one.call] == 1
        counts["committed"] += 1
        counts["committed alone"] += alone
        if one.end == "raised" and one.error == UNKNOWN:
            counts["unknown"] += 1
            counts["unknown despite a listing"] += alone and any(
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
    """Return groups of equal requests of the same call, in order of arrival."""
    grouped = defaultdict(list)
    for request in record.requests:
        if request.call:
            grouped[request.call, request.method, request.path, request.name].append(request)
    return grouped


def _looked_between(record: Record, before: Request, again: Request) -> bool:
    """Whether a poll that can show the requests' server may have been answered between them.

    A fleet goes on so with a start, stop or delete that an earlier attempt may have done, once the API responds again.
    It shares its polls, so the poll may be a list, and any call may have made it.
    """
    looks = (f"/servers/{before.path.split('/')[2]}/", "/servers/")
    places = {id(request): place for place, request in enumerate(record.requests)}
    between = record.requests[places[id(before)] + 1 : places[id(again)]]
    return any(
        one.method == "GET" and one.path.partition("?")[0] in looks and one.status == 200 and not one.lost
        for one in between
    )


def _ending(request: Request) -> str:
    if not request.whole:
        return "a part of it had left"
    return f"a response {request.status}" if request.status else "no response"
