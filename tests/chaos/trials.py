"""Defines the trials of `docs/reliability.md` and the verdicts of a run. No I/O."""

from __future__ import annotations

import random

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from vpsorg_async.sandbox._state.account import FIRST_ID
from vpsorg_async.sandbox.faults import Fault


ATTEMPT_SECONDS = 1.0
"""The time limit of one attempt: a tenth of this library's default."""

CALL_SECONDS = 4.0
"""The time limit of a call with all its attempts: a little more than a tenth of the default."""

WAIT_SECONDS = 10.0
"""The time limit of a wait."""

MARGIN_SECONDS = 4.0
"""A call that has not ended so long after its time limit counts as hung. Long enough for busy machines."""


@attrs.frozen
class Trouble:
    """The faults of one run.

    Attributes:
        faults: faults of the sandbox.
        gateway: a status that a gateway responds with, once, after the API has executed the request.
        queue: the seconds of the API that a reboot waits before it begins; the response to it says `active`.
        fast_clock: the seconds by which the clock of the node that begins a transition is fast.
        outage: the real seconds for which every read gets 502, from the first one on.
    """

    faults: tuple[Fault, ...] = ()
    gateway: int | None = None
    queue: float = 0.0
    fast_clock: float = 0.0
    outage: float = 0.0


@attrs.frozen(kw_only=True)
class Operation:
    """An operation that a caller runs.

    Attributes:
        rule: the requests that faults apply to.
        response_bytes: the length of a response with its head: at least so many bytes, and not many more.
        changes: whether it changes something, which can be doubled or unknown.
        servers: the number of servers of the account besides one for each run.
        stopped: whether every second of those is stopped at the begin.
        seconds: the time limit.
        speed: the seconds of the API in one real second.
    """

    rule: Mapping[str, Any]
    response_bytes: int = 0
    changes: bool = True
    servers: int = 0
    stopped: bool = False
    seconds: float = CALL_SECONDS
    speed: float = 1.0


# At these speeds the 20 to 60 s of a reboot take 1 to 3 s, and the 120 to 300 s of a create 2 to 5 s.
OPERATIONS: dict[str, Operation] = {
    "create": Operation(rule={"method": "POST", "path": "^/servers/$"}, response_bytes=540),
    "reboot": Operation(rule={"method": "POST", "path": "/reboot/$"}, response_bytes=270),
    "start or stop": Operation(rule={"method": "POST", "path": "/(start|stop)/$"}, response_bytes=270, stopped=True),
    "delete": Operation(rule={"method": "DELETE"}, response_bytes=110),
    "list": Operation(rule={"method": "GET"}, response_bytes=32_000, changes=False, servers=250),
    "reboot, wait": Operation(rule={"method": "GET"}, changes=False, seconds=WAIT_SECONDS, speed=20.0),
    "create, wait": Operation(rule={"method": "GET"}, changes=False, seconds=WAIT_SECONDS, speed=60.0),
}
"""The operations, in the order of the table."""

Make = Callable[[random.Random, Operation], Trouble]


@attrs.frozen(kw_only=True)
class Trial:
    """A fault on an operation.

    Attributes:
        operation: a key of `OPERATIONS`.
        fault: the fault in words.
        make: returns the trouble of one run, with random choices by the given generator.
        responds_again: whether the API responds again within the call's time, so that the outcome can be found out.
        limit: the reason why this library is known not to handle the fault; such a trial is not in the main table.
    """

    operation: str
    fault: str
    make: Make
    responds_again: bool = True
    limit: str = ""

    @property
    def spec(self) -> Operation:
        """The data of the operation."""
        return OPERATIONS[self.operation]

    @property
    def long(self) -> bool:
        """Whether some clients hang, or use all of their time."""
        return self.fault in _LONG or self.spec.seconds > CALL_SECONDS

    @property
    def quiet(self) -> bool:
        """Whether there is no fault. Every client must succeed then, or the comparison is not fair."""
        return self.fault == _QUIET

    def trouble(self, chance: random.Random) -> Trouble:
        """Return the faults of one run."""
        return self.make(chance, self.spec)


def nothing(_chance: random.Random, _operation: Operation) -> Trouble:
    """Return no faults."""
    return Trouble()


def _one(make: Callable[..., Fault], *arguments: Any, **when: Any) -> Make:
    """Return a maker of the same fault for every run."""
    return lambda _chance, operation: Trouble((make(*arguments, **{**operation.rule, **when}),))


def _cut(**when: Any) -> Make:
    return lambda chance, operation: Trouble(
        (Fault.cut(chance.randrange(operation.response_bytes), **operation.rule, **when),)
    )


def _broken(**when: Any) -> Make:
    return lambda chance, operation: Trouble((Fault.status(chance.choice(_CODES), **operation.rule, **when),))


def _lost_and(later: Fault, **when: Any) -> Make:
    """Return a maker of a connection that ends after execution, with a *later* fault."""
    return lambda _chance, operation: Trouble((Fault.drop(after_commit=True, **operation.rule, **when), later))


def _refused_repeat(**when: Any) -> Make:
    """Return a maker of a connection that ends after execution; the repeat of the request is refused."""
    return lambda chance, operation: Trouble(
        (
            Fault.drop(after_commit=True, **operation.rule, **when),
            Fault.status(chance.choice((400, 409, 410, 422, 423)), **operation.rule, **_SECOND),
        )
    )


def _around(**trouble: Any) -> Make:
    """Return a maker of trouble in front of the API."""
    return lambda _chance, _operation: Trouble(**trouble)


_CODES = (500, 502, 503, 504)
_ONCE = {"times": 1}
_SECOND = {"every": 2, "times": 1}
_LATER = {"method": "GET", "path": "^/servers/"}
_RETRY_AFTER = {"Retry-After": 1}
_QUIET = "nothing"
_DRIPS = "the response comes at 5 bytes a second"
_LOOPS = "`next` leads from the last page to the first; a page takes 0.2 s"
_LONG = (_DRIPS, _LOOPS)

ON_COMMANDS: dict[str, Make] = {
    _QUIET: nothing,
    "the connection ends, not carried out": _one(Fault.drop, **_ONCE),
    "carried out, then the connection ends": _one(Fault.drop, after_commit=True, **_ONCE),
    "carried out, then the connection ends, twice": _one(Fault.drop, after_commit=True, times=2),
    "the response is cut at a random byte": _cut(**_ONCE),
    "carried out, no response": _one(Fault.hang, **_ONCE),
    "the response comes after the attempt's time limit": _one(Fault.delay, 2 * ATTEMPT_SECONDS, **_ONCE),
    _DRIPS: _one(Fault.drip, 5, **_ONCE),
    "500, 502, 503 or 504, not carried out": _broken(**_ONCE),
    "carried out, then 500 or 502 of a gateway": lambda chance, _operation: Trouble(gateway=chance.choice((500, 502))),
    "429 with `Retry-After`": _one(Fault.status, 429, None, _RETRY_AFTER, **_ONCE),
    "503 with `Retry-After`": _one(Fault.status, 503, None, _RETRY_AFTER, **_ONCE),
    "HTML instead of the response": _one(Fault.html, **_ONCE),
}
"""The faults of the request that sends the command."""

ON_REPEATS: dict[str, Make] = {
    "carried out, the connection ends, the repeat is refused with a 4xx": _refused_repeat(**_ONCE),
}
"""The faults of the repeats of a request."""

ON_LISTS: dict[str, Make] = {
    _QUIET: nothing,
    "the connection ends, twice": _one(Fault.drop, times=2),
    "a page is cut at a random byte": _cut(**_SECOND),
    "a page gets no response": _one(Fault.hang, **_SECOND),
    _DRIPS: _one(Fault.drip, 5, **_SECOND),
    "500, 502, 503 or 504, twice": _broken(times=2),
    "429 with `Retry-After`": _one(Fault.status, 429, None, _RETRY_AFTER, **_ONCE),
    "HTML instead of a page": _one(Fault.html, **_SECOND),
    "a page lacks three of its servers": _one(Fault.omit, 3, **_SECOND),
    _LOOPS: lambda _chance, operation: Trouble((Fault.loop(**operation.rule), Fault.delay(0.2, **operation.rule))),
}

ON_POLLS: dict[str, Make] = {
    _QUIET: nothing,
    "reads are 10 s old": _one(Fault.stale, 10),
    "every second poll gets 500": _one(Fault.status, 500, every=2),
    "every second poll loses its connection": _one(Fault.drop, every=2),
    "every third poll gets no response": _one(Fault.hang, every=3),
    "every second poll gets HTML": _one(Fault.html, every=2),
    "five polls show an undocumented status": _one(Fault.as_status, "migrating", times=5),
    "one poll shows `suspended`": _one(Fault.as_status, "suspended", every=2, times=1),
    "every read gets 502 for 3 s": _around(outage=3.0),
    "the reboot is queued for 20 s, its response says `active`": _around(queue=20.0),
    "one node's clock is 3 minutes fast": _around(fast_clock=180.0),
}
"""The faults of the polls of a wait. Their seconds are the API's."""

ON_CREATED: dict[str, Make] = {
    _QUIET: nothing,
    "reads are 10 s old": _one(Fault.stale, 10),
    "provisioning ends in `stopped`": _one(Fault.end_in, "stopped", method="POST"),
    "the first two polls get 404": _one(Fault.status, 404, times=2),
    "every read gets 502 for 3 s": _around(outage=3.0),
    "one node's clock is 3 minutes fast": _around(fast_clock=180.0),
}


def _of(operation: str, faults: Mapping[str, Make]) -> list[Trial]:
    return [Trial(operation=operation, fault=fault, make=make) for fault, make in faults.items()]


def _unseen(operation: str) -> list[Trial]:
    """Return the trials in which the reconciliation of a lost command fails too."""
    return [
        Trial(
            operation=operation,
            fault="carried out, the connection ends, the next two polls get 503",
            make=_lost_and(Fault.status(503, times=2, **_LATER), **_ONCE),
        ),
        Trial(
            operation=operation,
            fault="carried out, then no response any more",
            make=_lost_and(Fault.drop(**_LATER)),
            responds_again=False,
        ),
    ]


TRIALS: tuple[Trial, ...] = (
    *_of("create", ON_COMMANDS),
    *_unseen("create"),
    *_of("reboot", ON_COMMANDS),
    *_unseen("reboot"),
    *_of("start or stop", ON_COMMANDS),
    *_of("start or stop", ON_REPEATS),
    *_of("delete", ON_COMMANDS),
    *_of("delete", ON_REPEATS),
    *_of("list", ON_LISTS),
    *_of("reboot, wait", ON_POLLS),
    *_of("create, wait", ON_CREATED),
    Trial(
        operation="reboot, wait",
        fault="reads are 40 s old",
        make=_one(Fault.stale, 40),
        limit="older than `PollPolicy.grace`, 15 s, after which `active` counts; raise it where replicas lag more",
    ),
    Trial(
        operation="list",
        fault="one server is missing from every pass",
        make=_one(Fault.omit, 1, server_id=FIRST_ID),
        limit="two passes that agree are believed, whatever their `count` says",
    ),
)


How = Literal["done", "error", "unknown", "nothing"]
Verdict = Literal["done", "failed", "unknown", "lost", "doubled", "wrong", "hung"]


@attrs.frozen
class Truth:
    """What the API did, by its own account.

    Attributes:
        commits: the number of executed requests for the operation; 0 if it changes nothing.
        value: the value that "done" must have: the id of the new server, the ids of all servers, whether the goal was
            reached, or whether it was executed.
    """

    commits: int
    value: object


@attrs.frozen
class Told:
    """The result that the caller got: done, an error, unknown, or nothing within the time limit."""

    how: How
    value: object = None


def classify(truth: Truth, told: Told) -> Verdict:
    """Return the verdict of one run: the worst that holds.

    `failed` is a true error: the request was not executed, the list was not read, or the wait did not reach its goal.
    """
    if truth.commits > 1:
        return "doubled"
    if told.how == "nothing":
        return "hung"
    if told.how == "done":
        if told.value == truth.value:
            return "done"
        return "lost" if truth.commits else "wrong"
    if told.how == "unknown":
        return "unknown"
    return "lost" if truth.commits else "failed"
